/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-gen as a process of its own, which is waited for.  A wait that takes
 * too long fails the test.
 */
#ifndef MCRELAY_GEN_PROCESS_H
#define MCRELAY_GEN_PROCESS_H

#include <sys/types.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

struct run {
	pid_t	pid;
	int	out;		/* its stdout */
	int	err;		/* its stderr */
	char	text[512];	/* of stderr, the beginning */
	size_t	length;
};

/* Starts `mcrelay-gen LINE'; what it writes is read by the others. */
struct run	 run_start(const char *fmt, ...) ATTR_PRINTF(1, 2);
/* Waits for a whole line on stderr. */
void		 run_wait_line(struct run *run);
/* The port of a sink that is ready. */
unsigned	 run_port(struct run *run);
/* Waits for its end; its exit status, with stdout in `text'. */
int		 run_finish_text(struct run *run, char *text, size_t size);
/* The same; the report of -j, to be given back with json_decref(). */
json_t		*run_finish(struct run *run, int expected_status);
/* An integer of the report. */
int64_t		 run_number(const json_t *report, const char *name);

#endif /* MCRELAY_GEN_PROCESS_H */
