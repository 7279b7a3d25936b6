/* SPDX-License-Identifier: ISC */
/*
 * Being told to stop.  Tools.
 */
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "common/log.h"
#include "common/process.h"
#include "tools/common/stop.h"

static atomic_bool stopped;

static void
on_signal(int signo ATTR_UNUSED)
{
	atomic_store_explicit(&stopped, true, memory_order_relaxed);
}

bool
stop_requested(void)
{
	return atomic_load_explicit(&stopped, memory_order_relaxed);
}

void
stop_catch_signals(void)
{
	/* No SA_RESTART: a wait ends at once. */
	struct sigaction action = { .sa_handler = on_signal };

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGINT, &action, NULL) == -1 ||
	    sigaction(SIGTERM, &action, NULL) == -1)
		fatal("sigaction");
}

uint64_t
stop_sleep_until(uint64_t deadline_ns)
{
	struct timespec ts;
	uint64_t now;

	while ((now = clock_monotonic_ns()) < deadline_ns &&
	    !stop_requested()) {
		now = MIN_OF(deadline_ns, now + STOP_WAIT_MAX_NS);
		ts.tv_sec = (time_t)(now / NS_PER_S);
		ts.tv_nsec = (long)(now % NS_PER_S);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	}
	return now;
}

void
stop_sleep_exactly(void)
{
	process_sleep_exactly();
}
