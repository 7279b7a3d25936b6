/* SPDX-License-Identifier: ISC */
/*
 * Who of several hosts relays a channel: asks for it, renews it, gives it back,
 * by a key of a bucket on the servers.  common/lease.h has the arithmetic.
 *
 * A thread for each channel, since what libnats is asked waits for an answer.
 * It has no state that its end would harm: what is allowed is a time in the
 * page, and another process of this daemon finds its key by its `instance'.
 * What is sent, and arrives later than anybody waits for it, names a revision
 * like all else.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "forwarder/lease_priv.h"

/* A thread that does not come round for so long hangs. */
#define HANG_NS		(60 * NS_PER_S)
/* Of a host that was away, before it is given the channel: so long it must
 * have been there again. */
#define STEADY_NS	(2 * spec.lease_ns)

struct lease_page	*lease_page;

static struct lease	 lease[LEASES_MAX];

void
lease_pause(struct lease *l, uint64_t ns)
{
	struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S),
	    .tv_nsec = (long)(ns % NS_PER_S)};

	store(&l->beat_ns, clock_boottime_ns());
	(void)nanosleep(&time, NULL);
}

bool
lease_is_wanted(const struct lease *l)
{
	return load(&l->slot->wanted_ns) > clock_boottime_ns();
}

void
lease_allow(struct lease *l, uint64_t sent_ns)
{
	store(&l->slot->until_ns, sent_ns + spec.lease_ns);
}

void
lease_fall_silent(struct lease *l)
{
	uint64_t until = load(&l->slot->until_ns), rounds;

	/* Partner: on_round() in supervisor/fleet.c.  A round that is under
	 * way may have the time from before; one that begins after this has
	 * not. */
	atomic_store_explicit(&l->slot->until_ns, 0, memory_order_seq_cst);
	rounds = atomic_load_explicit(&lease_page->rounds,
	    memory_order_seq_cst);
	while (atomic_load_explicit(&lease_page->rounds,
	    memory_order_acquire) < rounds + 2 && clock_boottime_ns() < until)
		lease_pause(l, 2 * NS_PER_MS);
}

/* Silent first, then said.  Nobody is asked whether he can follow at once. */
static void
give_back(struct lease *l, const char *to)
{
	lease_fall_silent(l);
	lease_pause(l, LEASE_MARGIN(spec.lease_ns));
	l->held = false;
	count(&l->slot->given);
	if (lease_say(l, false, to != NULL ? to : "-", 0, NULL))
		log_info("%s: given %s%s", l->spec->name, to != NULL ? "to " :
		    "away", to != NULL ? to : "");
	/* Else it is still ours, or soon is nobody's. */
	l->shown_ns = 0;
}

bool
lease_renew(struct lease *l, const char *to, uint64_t number)
{
	uint64_t sent_ns = clock_boottime_ns();
	const struct turn_mark *mark = NULL;

	/* For a process that comes after us, as long as it matters. */
	if (lease_order(l) == TURN_FOLLOW) {
		number = load(&l->slot->number);
		mark = &l->slot->mark;
	}
	/* Where it was over another one may be just taking it. */
	if (lease_say(l, true, to, number, mark) &&
	    (clock_boottime_ns() < load(&l->slot->until_ns) ||
	    lease_confirm(l, to, number, mark))) {
		lease_allow(l, sent_ns);
		return true;
	}
	if (!lease_look(l))
		return false;
	if (l->ours)
		return true;
	log_warnx("%s: another host has taken it: this one could not renew it "
	    "in time", l->spec->name);
	store(&l->slot->until_ns, LEASE_OVER);
	l->held = false;
	return false;
}

void
lease_note_alone(struct lease *l, bool alone)
{
	uint64_t now = clock_boottime_ns();

	if (!alone)
		store(&l->slot->alone_ns, 0);
	else if (load(&l->slot->alone_ns) == 0)
		store(&l->slot->alone_ns, now);
	store(&l->slot->alone_to_ns, now);
}

static void
hold(struct lease *l)
{
	bool drains = load(&l->slot->drain) != 0;
	const char *to;
	bool known;

	if (!lease_is_wanted(l)) {
		give_back(l, lease_find_rival(l, false, 0));
		return;
	}
	/* One after the other. */
	if (!lease_renew(l, "-", 0) || lease_order(l) != TURN_NONE)
		return;
	known = lease_look_at_rivals(l);
	store(&l->slot->standbys, lease_rivals(l));
	to = lease_find_rival(l, !drains, drains ? 0 : STEADY_NS);
	lease_note_alone(l, known && drains && to == NULL);
	if (to != NULL)
		lease_hand_over(l, to);
}

bool
lease_is_over(const struct lease *l)
{
	return clock_boottime_ns() - l->since_ns >=
	    LEASE_WAIT(spec.lease_ns) +
	    l->spec->rank * (LEASE_LOOK(spec.lease_ns) / 8);
}

/* It was given back, to us or to nobody: whoever had it is silent. */
static bool
is_free(const struct lease *l, bool wanted)
{
	return !l->value.held && (strcmp(l->value.to, spec.host) == 0 ||
	    (wanted && strcmp(l->value.to, "-") == 0));
}

static void
stand_by(struct lease *l)
{
	enum turn_order kind = lease_order(l);
	bool wanted = lease_is_wanted(l);

	if (!lease_look(l))
		return;
	if (!wanted && kind != TURN_KEEP && kind != TURN_STOP) {
		/* A process before us had it, or we could not say so. */
		if (l->ours)
			give_back(l, NULL);
		return;
	}
	lease_show_ourselves(l);
	lease_follow(l);
	if (l->ours || is_free(l, wanted) || (wanted && lease_is_over(l)))
		lease_take(l);
	else
		lease_leave(l);
}

static void *
run(void *argument)
{
	struct lease *l = argument;

	for (;;) {
		if (l->held)
			hold(l);
		else
			stand_by(l);
		lease_pause(l, l->held ? LEASE_RENEW(spec.lease_ns) :
		    LEASE_LOOK(spec.lease_ns));
	}
	return NULL;
}

bool
leases_get_anywhere(void)
{
	uint64_t now = clock_boottime_ns();
	unsigned i;

	for (i = 0; i < spec.leases; i++)
		if (now - load(&lease[i].beat_ns) > HANG_NS + spec.lease_ns)
			return false;
	return true;
}

void
leases_start(void)
{
	pthread_t thread;
	unsigned i;

	for (i = 0; i < spec.leases; i++) {
		lease[i].spec = &spec.lease[i];
		lease[i].slot = &lease_page->slot[i];
		store(&lease[i].beat_ns, clock_boottime_ns());
		errno = pthread_create(&thread, NULL, run, &lease[i]);
		if (errno != 0)
			fatal("no thread for %s", spec.lease[i].name);
		(void)pthread_detach(thread);
	}
}
