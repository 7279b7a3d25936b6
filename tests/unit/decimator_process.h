/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-decimator as a process of its own, seen from outside.  A wait that
 * takes too long fails the test.
 */
#ifndef MCRELAY_DECIMATOR_PROCESS_H
#define MCRELAY_DECIMATOR_PROCESS_H

#include <sys/types.h>
#include <unistd.h>

#include "common/util.h"

#define DEADLINE_NS	(10 * NS_PER_S)

/* Waits for a condition; a deadline fails the test. */
#define WAIT_FOR(condition) do {					\
	uint64_t until_ = clock_monotonic_ns() + DEADLINE_NS;		\
	while (!(condition)) {						\
		assert_true(clock_monotonic_ns() < until_);		\
		usleep(1000);						\
	}								\
} while (0)

/* Starts one that is ready; *control is the supervisor's end, to be closed. */
pid_t		decimator_start(int *control);
/* Waits for it to end and sets *pid to 0; its wait status. */
int		decimator_reap(pid_t *pid);
/* How many descriptors a process has open. */
unsigned	process_fds(pid_t pid);
/* What /proc says of it under `key': a number or a letter. */
long		process_fact(pid_t pid, const char *key);

#endif /* MCRELAY_DECIMATOR_PROCESS_H */
