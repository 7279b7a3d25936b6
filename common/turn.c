/* SPDX-License-Identifier: ISC */
/*
 * What of a channel's datagrams are another host's to send.  See turn.h.
 */
#include "common/turn.h"
#include "common/util.h"

/* Nobody is that late and goes on with what is older. */
#define LATE_NS		(60 * NS_PER_S)

/*
 * If the clock has been set back since, what came then has been stamped with
 * less than what came before: the limit goes back with it, so that nothing is
 * lost for it.
 */
uint64_t
turn_limit_ns(const struct turn *turn, uint64_t until_ns)
{
	uint64_t now = clock_boottime_ns(), since;

	if (now >= until_ns)
		return UINT64_MAX;
	since = atomic_load_explicit(&turn->since_ns, memory_order_relaxed);
	if (since == 0 || now - since > LATE_NS)
		return 0;
	return MIN_OF(atomic_load_explicit(&turn->since_realtime_ns,
	    memory_order_relaxed), clock_realtime_ns() - (now - since));
}
