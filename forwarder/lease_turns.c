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

/* No two orders of a daemon have one number: what was done of the one is not of
 * another.  `handover' is what both hosts know it by. */
static void
order(struct lease *l, enum turn_order kind, uint64_t handover)
{
	store(&l->slot->number, handover);
	/* Partner: look_at() of supervisor/fleet.c.  After the mark, and after
	 * `until_ns'. */
	atomic_store_explicit(&l->slot->order, kind == TURN_NONE ? 0 :
	    TURN_ORDER(kind, clock_boottime_ns() >> 2), memory_order_release);
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

enum turn_order
lease_order(struct lease *l)
{
	enum turn_order kind = TURN_KIND(load(&l->slot->order));

	/* Not before: a worker that ends meanwhile is followed by one that has
	 * to know. */
	if (kind != TURN_FOLLOW || !is_done(l))
		return kind;
	order(l, TURN_NONE, 0);
	return TURN_NONE;
}

/* Tells where the other one has stopped; NULL: that none of what was kept is
 * to be sent. */
static void
order_to_follow(struct lease *l, const struct turn_mark *mark, uint64_t number)
{
	if (mark != NULL)
		l->slot->mark = *mark;
	else
		l->slot->mark.count = TURN_MARK_ALL;
	order(l, TURN_FOLLOW, number);
}

void
lease_leave(struct lease *l)
{
	enum turn_order kind = lease_order(l);

	if (kind != TURN_KEEP && kind != TURN_STOP)
		return;
	store(&l->slot->until_ns, 0);
	order_to_follow(l, NULL, 0);
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

/* The worker is at rest, with all sent that the mark covers.  Where it is not
 * known whether this was stored, that is found out: until then the worker stays
 * so, and whoever has the channel goes on from there. */
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
		return;
	count(&l->slot->handed);
	log_info("%s: handed over to %s", l->spec->name, to);
	lease_leave(l);
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
	/* What came when the time was over was not sent, and is in the mark. */
	if (wait_done(l) &&
	    load(&l->slot->until_ns) > clock_boottime_ns()) {
		give(l, to, number);
		return;
	}
	order(l, TURN_NONE, 0);
	log_warnx("%s: its worker has not stopped relaying in time: it stays "
	    "here for now", l->spec->name);
	(void)lease_renew(l, "-", 0);
}

/*** The host that is to follow. ***/

/* By another one, which relays until we are ready. */
static bool
is_announced(const struct lease *l, uint64_t number)
{
	return number != 0 && l->value.held && !l->ours &&
	    l->value.number == number &&
	    strcmp(l->value.to, spec.host) == 0;
}

/*
 * What it takes from its socket somewhat later than we do is kept, too.  Once
 * we may have said that we are ready nothing but the key ends this: the other
 * one may have stopped, whether we hear of it or not.
 */
static void
get_ready(struct lease *l, uint64_t number, bool pledged)
{
	uint64_t end = clock_boottime_ns() + READY_NS, kept = 0, now;
	bool said = false;

	while ((now = clock_boottime_ns()) < end || pledged) {
		if (!is_announced(l, number) || lease_is_over(l) ||
		    (!pledged && !lease_is_wanted(l)))
			return;
		if (kept == 0 && is_done(l))
			kept = now;
		if (kept != 0 && !said &&
		    now - kept >= LEASE_MARGIN(spec.lease_ns)) {
			pledged = true;
			said = lease_say_ready(l, number);
		}
		lease_pause(l, STEP_NS);
		(void)lease_look(l);
	}
}

void
lease_follow(struct lease *l)
{
	uint64_t number = l->value.number;
	/* A process before us may have said so. */
	bool pledged = lease_order(l) == TURN_KEEP &&
	    load(&l->slot->number) == number;

	if (!is_announced(l, number))
		return;
	if (!pledged)
		order(l, TURN_KEEP, number);
	get_ready(l, number, pledged);
}

/*** Either. ***/

/* The key says where the other one has stopped, before and after it is taken,
 * until the worker has found the place. */
void
lease_take(struct lease *l)
{
	enum turn_order kind = lease_order(l);
	uint64_t sent = clock_boottime_ns(), number = load(&l->slot->number);
	struct turn_mark mark = kind == TURN_FOLLOW ? l->slot->mark :
	    l->value.mark;
	bool over = load(&l->slot->until_ns) <= sent, again = l->ours;
	bool follows = kind == TURN_FOLLOW ||
	    (kind == TURN_KEEP && l->value.number == number &&
	    !is_announced(l, number));
	const uint64_t said = follows ? number : 0;

	if (!lease_say(l, true, "-", said, follows ? &mark : NULL) ||
	    !lease_confirm(l, "-", said, follows ? &mark : NULL))
		return;
	lease_allow(l, sent);
	if (kind == TURN_KEEP)
		order_to_follow(l, follows ? &mark : NULL, number);
	else if (kind == TURN_STOP)
		order(l, TURN_NONE, 0);
	l->held = true;
	if (again && !follows) {
		if (over)
			log_warnx("%s: goes on, though its lease was over: "
			    "what came meanwhile was not relayed",
			    l->spec->name);
		return;
	}
	memset(l->rival, 0, sizeof(l->rival));
	store(&l->slot->alone_ns, 0);
	count(&l->slot->taken);
	log_info("%s: taken, as %s%s", l->spec->name, spec.host,
	    l->value.held && !follows ? ": its lease was over" : "");
}
