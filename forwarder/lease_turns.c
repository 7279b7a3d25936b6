/* SPDX-License-Identifier: ISC */
/*
 * Hands a channel over from host to host so that nothing is missing between
 * what the two relay: common/lease.h says what is asked of the servers,
 * common/turn.h what of the workers.  Called in the channel's thread of the
 * process that asks for leases.
 */
#include <inttypes.h>
#include <string.h>

#include "forwarder/lease_priv.h"

#define STEP_NS		(50 * NS_PER_MS)
/* A host that stands by cold has to start a worker. */
#define READY_NS	(2 * spec.lease_ns + 10 * NS_PER_S)
/* For a worker to carry out an order. */
#define ORDER_NS	(spec.lease_ns / 3)

static void
order(struct lease *l, enum turn_order kind, uint64_t number)
{
	/* Partner: fleet_mirror().  After the mark, and after `until_ns'. */
	atomic_store_explicit(&l->slot->order, kind == TURN_NONE ? 0 :
	    TURN_ORDER(kind, number), memory_order_release);
}

static bool
is_done(const struct lease *l)
{
	/* Partner: fleet_mirror(), which has copied the mark. */
	return atomic_load_explicit(&l->slot->done, memory_order_acquire) ==
	    load(&l->slot->order);
}

static bool
wait_done(struct lease *l)
{
	uint64_t end = clock_boottime_ns() + ORDER_NS;

	while (!is_done(l) && clock_boottime_ns() < end)
		lease_pause(l, NS_PER_MS);
	return is_done(l);
}

/*** The host that relays. ***/

/* Announces it, and goes on relaying, until the other one is ready. */
static bool
is_awaited(struct lease *l, const char *to, uint64_t number)
{
	uint64_t end = clock_boottime_ns() + READY_NS, renew = 0, now;

	while ((now = clock_boottime_ns()) < end && lease_is_wanted(l)) {
		if (now >= renew && !lease_renew(l, to, number))
			return false;
		if (now >= renew)
			renew = now + LEASE_RENEW(spec.lease_ns);
		if (lease_is_ready(l, to, number))
			return lease_renew(l, to, number);
		lease_pause(l, STEP_NS);
	}
	return false;
}

/* Whether it was stored that the other one may have it nobody knows: then it is
 * found out, and if not, it is ours as before. */
static void
settle(struct lease *l)
{
	uint64_t end = clock_boottime_ns() + spec.lease_ns, sent;

	while (clock_boottime_ns() < end) {
		if (lease_look(l) && !l->ours)
			return;
		sent = clock_boottime_ns();
		if (l->ours && lease_say(l, true, "-", 0, NULL)) {
			lease_allow(l, sent);
			l->held = true;
			return;
		}
		lease_pause(l, STEP_NS);
	}
}

/* The worker is at rest, with all sent that the mark covers. */
static void
give(struct lease *l, const char *to, uint64_t number)
{
	struct turn_mark mark = l->slot->mark;

	lease_fall_silent(l);
	/* The worker has said that it has nothing under way; a decimator
	 * says nothing. */
	if (l->spec->streams)
		lease_pause(l, LEASE_MARGIN(spec.lease_ns));
	l->held = false;
	l->shown_ns = 0;
	if (!lease_say(l, false, to, number, &mark))
		settle(l);
	else {
		count(&l->slot->handed);
		log_info("%s: handed over to %s", l->spec->name, to);
	}
}

void
lease_hand_over(struct lease *l, const char *to)
{
	/* Told apart from those of others by the key that it is in. */
	uint64_t number = clock_boottime_ns() >> 2;

	if (!is_awaited(l, to, number)) {
		lease_forget_rival(l, to);
		if (!l->held)
			return;
		log_warnx("%s: %s was to have it, and does not get ready: "
		    "tried again", l->spec->name, to);
		(void)lease_renew(l, "-", 0);
		return;
	}
	order(l, TURN_STOP, number);
	if (wait_done(l))
		give(l, to, number);
	else {
		log_warnx("%s: its worker has not stopped relaying in time: "
		    "it stays here for now", l->spec->name);
		(void)lease_renew(l, "-", 0);
	}
	order(l, TURN_NONE, 0);
}

/*** The host that is to follow. ***/

static bool
is_announced(const struct lease *l, uint64_t number)
{
	return l->value.number == number &&
	    strcmp(l->value.to, spec.host) == 0;
}

/* True: the other one has stopped, and the channel is ours to be taken.  What
 * it takes from its socket somewhat later than we do is kept, too. */
static bool
get_ready(struct lease *l, uint64_t number)
{
	uint64_t end = clock_boottime_ns() + READY_NS, kept = 0, now;
	bool said = false;

	while ((now = clock_boottime_ns()) < end && lease_is_wanted(l)) {
		if (kept == 0 && is_done(l))
			kept = now;
		if (kept != 0 && !said &&
		    now - kept >= LEASE_MARGIN(spec.lease_ns))
			said = lease_say_ready(l, number);
		if (!lease_look(l) || !is_announced(l, number))
			return false;
		if (!l->value.held)
			return true;
		lease_pause(l, STEP_NS);
	}
	return false;
}

/* As long as nobody else has it. */
static void
take(struct lease *l, uint64_t number)
{
	uint64_t end = clock_boottime_ns() + ORDER_NS, sent;

	l->slot->mark = l->value.mark;
	while (clock_boottime_ns() < end) {
		sent = clock_boottime_ns();
		if (lease_say(l, true, "-", 0, NULL)) {
			order(l, TURN_FOLLOW, number);
			lease_allow(l, sent);
			lease_note_taken(l);
			(void)wait_done(l);
			return;
		}
		if (!lease_look(l) || l->value.held)
			return;
		lease_pause(l, STEP_NS);
	}
}

void
lease_follow(struct lease *l)
{
	uint64_t number = l->value.number;

	if (number == 0 || !is_announced(l, number))
		return;
	order(l, TURN_KEEP, number);
	if (get_ready(l, number))
		take(l, number);
	order(l, TURN_NONE, 0);
}
