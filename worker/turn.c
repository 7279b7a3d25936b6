/* SPDX-License-Identifier: ISC */
/*
 * What the relay does as it is told when another host is to go on with a
 * channel, or has gone on until now.  Worker, relay thread only.
 */
#include "common/log.h"
#include "common/util.h"
#include "worker/relay.h"
#include "worker/turn.h"

/* Outputs may be at different places: one that is blocked waits. */
static uint64_t
first_position(const struct relay *relay)
{
	uint64_t first = ring_head(&relay->segment->ring);
	unsigned i;

	for (i = 0; i < relay->outputs; i++)
		first = MIN_OF(first, output_current(
		    &relay->segment->state->output[i])->position);
	return first;
}

static bool
is_done(const struct relay *relay)
{
	return atomic_load_explicit(&relay->segment->state->turn.done,
	    memory_order_relaxed) == relay->turn.begun;
}

/*
 * What a predecessor has let go of or sent is a part of what it looked at: what
 * is left of that would say something else.  It is in the ring still, unless
 * that has come round since; then only what is left can be looked at.
 */
static void
follow(struct relay *relay)
{
	const struct segment *segment = relay->segment;
	struct turn *turn = &segment->state->turn;
	uint64_t head = ring_head(&segment->ring), order = relay->turn.begun;
	uint64_t from = first_position(relay);

	if (atomic_load_explicit(&turn->looked, memory_order_acquire) !=
	    order) {
		turn->look_from = from;
		turn->look_to = head;
		atomic_store_explicit(&turn->looked, order,
		    memory_order_release);
	}
	if (ring_intact(&segment->ring, turn->look_from))
		from = turn->look_from;
	turn_find(&segment->ring, MIN_OF(from, turn->look_to), turn->look_to,
	    &turn->mark, &relay->turn);
}

/* A predecessor may have carried it out already. */
static void
begin(struct relay *relay, uint64_t order)
{
	enum turn_order kind = TURN_KIND(order);

	relay->turn.begun = order;
	if (kind == TURN_KEEP)
		relay->turn.end = 0;
	else if (is_done(relay))
		relay->turn.end = kind == TURN_STOP ? 0 : UINT64_MAX;
	else {
		relay->turn.awaits_ns = clock_monotonic_ns();
		relay->turn.end = kind == TURN_STOP ? UINT64_MAX : 0;
	}
}

void
turn_heard(struct relay *relay)
{
	struct turn_view *turn = &relay->turn;

	turn->awaits_ns = 0;
	if (TURN_KIND(turn->begun) == TURN_STOP) {
		turn->end = ring_head(&relay->segment->ring);
		return;
	}
	turn->end = UINT64_MAX;
	follow(relay);
}

void
turn_look(struct relay *relay)
{
	const struct turn *turn = &relay->segment->state->turn;
	/* Partner: the release in supervisor/fleet_turns.c. */
	uint64_t order = atomic_load_explicit(&turn->order,
	    memory_order_acquire);

	if (UNLIKELY(TURN_KIND(order) != TURN_NONE) &&
	    clock_boottime_ns() >= atomic_load_explicit(
	    &turn->order_until_ns, memory_order_relaxed))
		order = 0;
	if (LIKELY(order == relay->turn.begun))
		return;
	relay->turn.end = UINT64_MAX;
	relay->turn.begun = relay->turn.awaits_ns = 0;
	if (TURN_KIND(order) != TURN_NONE)
		begin(relay, order);
}

void
turn_answer(struct relay *relay)
{
	struct turn *turn = &relay->segment->state->turn;
	uint64_t first;

	if (LIKELY(relay->turn.begun == 0) || relay->turn.awaits_ns != 0 ||
	    is_done(relay))
		return;
	first = first_position(relay);
	switch (TURN_KIND(relay->turn.begun)) {
	case TURN_NONE:
	case TURN_KEEP:
		break;
	case TURN_STOP:
		if (first < relay->turn.end)
			return;
		turn_mark(&relay->segment->ring, &relay->turn, &turn->mark);
		relay->turn.end = 0;
		break;
	case TURN_FOLLOW:
		if (first < relay->turn.sent_end)
			return;
		break;
	}
	/* Partner: the acquire in supervisor/fleet_turns.c. */
	atomic_store_explicit(&turn->done, relay->turn.begun,
	    memory_order_release);
}
