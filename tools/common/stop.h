/* SPDX-License-Identifier: ISC */
/*
 * Tools that run until they are told to stop: INT and TERM, and waits that
 * end with them.
 */
#ifndef MCRELAY_TOOLS_STOP_H
#define MCRELAY_TOOLS_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

/* From now on INT and TERM do no more than make stop_requested() true. */
void		stop_catch_signals(void);
bool		stop_requested(void);

/*
 * A signal that comes just before a wait does not end it, so nobody waits
 * longer than this without asking again.
 */
#define STOP_WAIT_MAX_NS	(100 * NS_PER_MS)

/* Waits (CLOCK_MONOTONIC); returns the time at the end, which is earlier than
 * the deadline when it was told to stop. */
uint64_t	stop_sleep_until(uint64_t deadline_ns);

/* Without it the kernel's slack makes each wake-up up to 50 us late. */
void		stop_sleep_exactly(void);

#endif /* MCRELAY_TOOLS_STOP_H */
