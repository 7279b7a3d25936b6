/* SPDX-License-Identifier: ISC */
/*
 * Between the process that asks for channels and their workers, while one is
 * handed over: orders one way, answers and marks both.  Supervisor only.
 * Believes nothing of what is in page and segment: it is passed on, bounded.
 */
#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/fleet_priv.h"

static void
copy_mark(struct turn_mark *to, const struct turn_mark *from)
{
	*to = *from;
	if (to->count != TURN_MARK_ALL)
		to->count = MIN_OF(to->count, TURN_MARK_MAX);
}

void
fleet_tell_worker(const struct channel *channel)
{
	struct message message = {.type = MESSAGE_TURN};

	if (channel->child.state == CHILD_RUNNING)
		child_send(&channel->child, &message);
}

static void
give_order(struct channel *channel, struct turn *turn, uint64_t order)
{
	if (TURN_KIND(order) == TURN_FOLLOW)
		copy_mark(&turn->mark, &channel->lease->mark);
	if (order != 0)
		fleet_store(&turn->number, fleet_load(&channel->lease->number));
	/* Partner: turn_look() of the worker. */
	atomic_store_explicit(&turn->order, order, memory_order_release);
}

static void
take_answer(struct channel *channel, const struct turn *turn, uint64_t order)
{
	struct lease_slot *slot = channel->lease;

	/* Partner: turn_answer() of the worker. */
	if (order == 0 || fleet_load(&slot->done) == order ||
	    atomic_load_explicit(&turn->done, memory_order_acquire) != order)
		return;
	if (TURN_KIND(order) == TURN_STOP)
		copy_mark(&slot->mark, &turn->mark);
	/* Partner: is_done() of forwarder/lease_turns.c. */
	atomic_store_explicit(&slot->done, order, memory_order_release);
}

bool
fleet_mirror(struct channel *channel, uint64_t order, uint64_t until_ns)
{
	struct turn *turn;
	bool is_new;

	if (channel->segment.base == NULL)
		return false;
	turn = &channel->segment.state->turn;
	if (order != 0)
		fleet_store(&turn->order_until_ns, until_ns);
	is_new = fleet_load(&turn->order) != order;
	if (is_new)
		give_order(channel, turn, order);
	/* A worker looks before each batch as well; one that has nothing to
	 * send has to be told, and another one, that was begun since. */
	if (is_new || (order != 0 && fleet_load(&turn->done) != order))
		fleet_tell_worker(channel);
	take_answer(channel, turn, order);
	return order != 0;
}

void
fleet_resume(struct channel *channel)
{
	struct lease_slot *slot = channel->lease;
	const struct turn *turn;

	if (channel->segment.base == NULL)
		return;
	turn = &channel->segment.state->turn;
	fleet_store(&slot->done, fleet_load(&turn->done));
	if (clock_boottime_ns() >= fleet_load(&turn->order_until_ns))
		return;
	copy_mark(&slot->mark, &turn->mark);
	fleet_store(&slot->number, fleet_load(&turn->number));
	/* Partner: the process, which is started after this. */
	fleet_store(&slot->order, fleet_load(&turn->order));
}
