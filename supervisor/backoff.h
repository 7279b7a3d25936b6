/* SPDX-License-Identifier: ISC */
/*
 * How long to wait before a successor is started.  Pure functions.
 *
 * A process that had been up for BACKOFF_HEALTHY_NS is followed at once.
 * One that died younger is followed after 100 ms, then 200 ms, doubling up to
 * 30 s; a quarter of that at random is added, so that a thousand channels
 * that fail together do not come back together.  It never gives up.
 */
#ifndef MCRELAY_BACKOFF_H
#define MCRELAY_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/util.h"

#define BACKOFF_FIRST_NS	(100 * NS_PER_MS)
#define BACKOFF_LAST_NS		(30 * NS_PER_S)
/*
 * Long enough that a process that dies over and over costs next to nothing,
 * short enough that one bad moment an hour costs no waiting.
 */
#define BACKOFF_HEALTHY_NS	(1 * NS_PER_S)
/* A process that says READY and ends well, again and again, is no loop that
 * may spin. */
#define BACKOFF_CLEAN_NS	(100 * NS_PER_MS)

struct backoff {
	unsigned	failures;	/* in a row */
};

/*
 * The process has ended after `up_ns' of being ready (0: it never was);
 * `clean': with exit status 0.  `random' is any number.  Returns the
 * time to wait, 0 for none.
 */
uint64_t	backoff_delay_ns(struct backoff *backoff, uint64_t up_ns,
		    bool clean, uint32_t random) ATTR_NONNULL;

#endif /* MCRELAY_BACKOFF_H */
