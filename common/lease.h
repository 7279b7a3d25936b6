/* SPDX-License-Identifier: ISC */
/*
 * Who of several hosts relays a channel: what mcrelayd and the process that
 * asks the servers (mcrelay-forwarder, forwarder/lease.c) know of each other.
 *
 * One key of a key-value bucket for each channel says who has it.  Only an
 * update that names the key's revision is stored, so of two one fails.
 * (nats-server 2.9 looks at that when an update comes, not when it is stored,
 * and stores both of two that come at once: so who takes it, or renews it when
 * its time is over, waits until a key of its own is stored behind, and says it
 * once more.)  Times are those of CLOCK_BOOTTIME, each host's own: hosts
 * compare no clocks.
 *
 *  - Who has it renews it, every sixth of the lease L.  A renewal sent at t
 *    that was confirmed, whenever, allows to speak until t + L.  What was not
 *    confirmed allows nothing.
 *  - Who wants it looks every twelfth of L.  It may try to take it when it has
 *    seen the same revision for LEASE_WAIT(L) = L + L/8: when that update is
 *    stored, none of the holder's was since the revision was seen, so the last
 *    one that was confirmed had been sent before that.
 *  - So the holder is silent L after a moment, and the next one speaks L + L/8
 *    after a later one.  That holds as long as one clock runs no more than 6 %
 *    faster than another ((1 + r) / (1 - r) <= 9/8), and a datagram that was
 *    allowed leaves its host within what is left of L/8 (with clocks of one
 *    rate all of it).
 *  - Who gives it back is silent first: takes the time out of the page, waits
 *    until mcrelayd has gone round twice, so that the segments have it, or the
 *    time is over; waits for L/8; then says so in the key, to the host that is
 *    to take it, which need not wait.
 *  - Who hands it over announces that in the key, with a number, and goes on
 *    relaying.  The other says in its own key that it keeps all that comes,
 *    L/8 after that has begun.  Only then the first has its worker stop, which
 *    tells what it has sent last (common/turn.h), becomes silent as above, but
 *    for the L/8 if there is nobody but the worker who sends, and says in the
 *    key that it is free, and where it has stopped.  If anything of this takes
 *    too long it stays where it is.
 *  - Who has said that it keeps all that comes does so until the key says what
 *    has become of it: also when nobody answers, and when the process that asks
 *    is another one meanwhile, which finds the order that is in force in the
 *    segment.  The key says where the other one has stopped until the worker
 *    has found the place.
 *
 * tests/model/lease.pml is a model of who has it, turn.pml of the hand-over.
 *
 * In the page each word has one writer and is whole by itself: orders are
 * relaxed but for `rounds'.  A process that was taken over may write anything
 * there: mcrelayd bounds the time by L from now.
 */
#ifndef MCRELAY_LEASE_H
#define MCRELAY_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/message.h"
#include "common/turn.h"

#define LEASE_SPEC_FD	(MESSAGE_FD + 1)
#define LEASE_PAGE_FD	(MESSAGE_FD + 2)

/* Channels of one host that have several. */
#define LEASES_MAX	64U
/* That a channel may have. */
#define HOSTS_MAX	16U

#define LEASE_MARGIN(lease_ns)	((lease_ns) / 8)
#define LEASE_WAIT(lease_ns)	((lease_ns) + LEASE_MARGIN(lease_ns))
#define LEASE_RENEW(lease_ns)	((lease_ns) / 6)
#define LEASE_LOOK(lease_ns)	((lease_ns) / 12)

#define LEASE_NOBODY	UINT64_MAX
/* Of `until_ns': it is over, in no order. */
#define LEASE_OVER	1U

/* Of a channel: member, meaning. */
#define LEASE_COUNTERS(X)						\
	X(taken, "times that this host has taken it")			\
	X(handed, "times that it has handed it over, with nothing missing") \
	X(given, "times that it has given it away, as it was stopped here or " \
	    "did not run")						\
	X(lost, "times that it could not renew it in time")

struct lease_counts {
#define LEASE_COUNT(name, meaning)	uint64_t name;
	LEASE_COUNTERS(LEASE_COUNT)
#undef LEASE_COUNT
};

struct lease_slot {
	/* By the other, but for `lost'. */
#define LEASE_COUNT(name, meaning)	_Atomic uint64_t name;
	LEASE_COUNTERS(LEASE_COUNT)
#undef LEASE_COUNT
	/* By mcrelayd: until when we want to have it. */
	_Atomic uint64_t	wanted_ns;
	/* By the other: until when we may speak, 0: not at all, and nothing
	 * was lost by that; who has it, as an index of `hosts', or
	 * LEASE_NOBODY; when a server last told; while we have it, how many
	 * others would. */
	_Atomic uint64_t	until_ns;
	_Atomic uint64_t	holder;
	_Atomic uint64_t	seen_ns;
	_Atomic uint64_t	standbys;
	/* How long servers took to store what was said, lately at most; when
	 * another daemon was last seen to have it by our name, 0: never. */
	_Atomic uint64_t	slow_ns;
	_Atomic uint64_t	namesake_ns;
	/* By mcrelayd, 1: hand it over to whoever can follow.  By the other:
	 * from when to when, each time it has looked, servers knew of nobody
	 * who could; `alone_ns' 0: not so. */
	_Atomic uint64_t	drain;
	_Atomic uint64_t	alone_ns;
	_Atomic uint64_t	alone_to_ns;
	/* What the worker is to do (TURN_ORDER of common/turn.h), by the other,
	 * and has done, by mcrelayd, each with release; the mark is written
	 * before, of STOP by mcrelayd, of FOLLOW by the other.  No two orders
	 * have one number; `number' is that of the hand-over. */
	_Atomic uint64_t	number;
	_Atomic uint64_t	order;
	_Atomic uint64_t	done;
	struct turn_mark	mark;
};

struct lease_page {
	/* How often mcrelayd has copied `until_ns' to the segments. */
	_Atomic uint64_t	rounds;
	/* Of the bucket as it is, by the other; 0: not known. */
	_Atomic uint64_t	replicas;
	_Atomic uint64_t	forgets_ns;	/* what is older; 0: nothing */
	struct lease_slot	slot[LEASES_MAX];
};

static inline bool
lease_is_bucket(const char *text)
{
	return *text != '\0' && strlen(text) <= 63 && strspn(text,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
	    == strlen(text);
}

#endif /* MCRELAY_LEASE_H */
