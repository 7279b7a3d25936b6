/* SPDX-License-Identifier: ISC */
/*
 * Whose turn it is to relay a channel that several hosts have, as its worker is
 * told; a part of the segment.  Written by the supervisor (supervisor/fleet.c),
 * but for `done' and the mark of TURN_STOP, which are the worker's.
 *
 * A turn ends by the clock, at `speak_until_ns', or is handed over, so that
 * nothing is missing between what two hosts relay, and nothing twice.  They
 * number datagrams each for itself, and compare no clocks: what the one has
 * sent the other knows again by its content.
 *
 *	 host that relays			host that is to follow
 *						TURN_KEEP: lets go of nothing
 *						  that comes from now on
 *	 TURN_STOP: sends what has come,
 *	   then nothing; writes down the
 *	   last of it, a mark
 *	 loses its turn; lets go of
 *	   what came since
 *						TURN_FOLLOW: looks for the mark
 *						  in what it has kept, and goes
 *						  on behind it
 *
 * The mark has the last datagrams, of whatever source.  Of each source the
 * host that follows goes on where the longest sequence ends that mark and ring
 * have in common: two hosts may hear sources in different orders, and each may
 * miss some.  Inputs that are merged are one source, as hosts need not have a
 * datagram by the same path.  Where equal datagrams leave several places it
 * takes the first: rather twice than not at all.  If nothing is found all that
 * was kept is sent.
 *
 * STOP and FOLLOW begin when what had come to the sockets is in the ring:
 * after a while in which nobody took it that may be a lot.  What was kept for
 * nothing, as there was no hand-over, is let go by FOLLOW, too: so it is known
 * when none of it can be sent any more.
 *
 * An order is in force until `order_until_ns', so that nobody has to live for
 * it to end, and outlives who has given it.  While it is KEEP or STOP nothing
 * is sent, whatever is allowed.
 */
#ifndef MCRELAY_TURN_H
#define MCRELAY_TURN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

#define TURN_MARK_MAX	64U
/* Instead of a count: of what was kept nothing is to be sent. */
#define TURN_MARK_ALL	UINT32_MAX

enum turn_order {
	TURN_NONE,
	TURN_KEEP,
	TURN_STOP,
	TURN_FOLLOW,
};

/* Whose it is, and a number by which two of a kind are told apart. */
#define TURN_ORDER(kind, number)	((uint64_t)(number) << 2 | (kind))
#define TURN_KIND(order)		((enum turn_order)((order) & 3))

struct turn_mark {
	uint32_t	count;		/* <= TURN_MARK_MAX, or TURN_MARK_ALL */
	uint32_t	source[TURN_MARK_MAX];	/* and input, as a number;
						 * 0: merged */
	uint64_t	content[TURN_MARK_MAX];	/* the oldest first */
};

struct turn {
	/* Not 0: there is no worker, as long as another host has it.  For the
	 * next supervisor. */
	_Atomic uint32_t	asleep;
	/* CLOCK_BOOTTIME until which this host may send; 0: always.  Compared
	 * before each batch: a process that was stopped meanwhile finds out by
	 * itself that its time is over. */
	_Atomic uint64_t	speak_until_ns;
	/* When the turn came to this host by the clock: CLOCK_BOOTTIME, and
	 * CLOCK_REALTIME, as datagrams are stamped; 0: it did not, or by a
	 * hand-over, which says by itself what is whose.  Stored before
	 * `speak_until_ns', whose store is a release. */
	_Atomic uint64_t	since_ns;
	_Atomic uint64_t	since_realtime_ns;
	_Atomic uint64_t	order_until_ns;	/* CLOCK_BOOTTIME */
	/* Of the hand-over that the order belongs to; of KEEP and FOLLOW. */
	_Atomic uint64_t	number;
	/* Release; stored after `mark' of FOLLOW, `number' and
	 * `speak_until_ns'. */
	_Atomic uint64_t	order;
	/* The last order that the worker has carried out.  Release, after the
	 * mark of STOP. */
	_Atomic uint64_t	done;
	struct turn_mark	mark;
	/* Of FOLLOW, the worker's: which order it is, and where in the ring it
	 * looks for the mark, for a successor that is to find the same.
	 * Release, after the others. */
	_Atomic uint64_t	looked;
	uint64_t		look_from;
	uint64_t		look_to;
};

/* As turn_before_ns(), of a channel that several hosts have, which may speak
 * until then. */
uint64_t	turn_limit_ns(const struct turn *turn, uint64_t until_ns)
		    ATTR_NONNULL;

/*
 * What was received before this time (CLOCK_REALTIME) is another host's to
 * send, however late we are with it: it had the turn.  UINT64_MAX: whatever
 * comes is.  0: nothing is.
 */
static inline uint64_t
turn_before_ns(const struct turn *turn)
{
	/* Partner: the release in fleet_apply(). */
	uint64_t until = atomic_load_explicit(&turn->speak_until_ns,
	    memory_order_acquire);

	return LIKELY(until == 0) ? 0 : turn_limit_ns(turn, until);
}

#endif /* MCRELAY_TURN_H */
