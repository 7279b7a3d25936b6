/* SPDX-License-Identifier: ISC */
/*
 * How long to wait before a successor is started.  Supervisor only.
 */
#include "supervisor/backoff.h"

#define DOUBLINGS_MAX	16U	/* more than enough to reach the limit */

uint64_t
backoff_delay_ns(struct backoff *backoff, uint64_t up_ns, bool clean,
    uint32_t random)
{
	uint64_t delay;

	if (up_ns >= BACKOFF_HEALTHY_NS) {
		backoff->failures = 0;
		return 0;
	}
	/* A worker that ends with status 0 was asked to (TERM): no failure. */
	if (clean && up_ns > 0)
		return up_ns >= BACKOFF_CLEAN_NS ? 0 : BACKOFF_CLEAN_NS;
	delay = BACKOFF_FIRST_NS << MIN_OF(backoff->failures, DOUBLINGS_MAX);
	backoff->failures++;
	if (delay >= BACKOFF_LAST_NS)
		delay = BACKOFF_LAST_NS;
	return delay + delay / 4 * (random % 1024) / 1024;
}
