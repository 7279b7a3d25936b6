/* SPDX-License-Identifier: ISC */
/*
 * The worker's inputs: whose turn it is, and how long.  Relay thread.
 */
#include <sched.h>
#include <time.h>

#include "common/util.h"
#include "worker/host.h"
#include "worker/ingest_hub.h"
#include "worker/worker_priv.h"

/*
 * Batches received before the loop looks at signals and other descriptors:
 * 16 batches of 64 datagrams are about a millisecond.
 */
#define BATCHES_PER_TURN	16

/* Turns that the archive is offered while it does not get on. */
#define SHARES_MAX		8

/* Batches of each input before something is given up for missing. */
#define EMPTY_ROUNDS		64U

/* For what lies in the sockets when another host takes over. */
#define HEAR_NS			NS_PER_S

/* How often the socket's drop counter is read while there is traffic. */
#define DROPS_INTERVAL_S	1.0

/* Its loop says when something has come. */
static bool
has_hub(const struct worker *worker)
{
	return worker->hub != NULL && ingest_by_ring(&worker->ingest);
}

void
worker_start_inputs(struct worker *worker)
{
	uint32_t i;

	if (has_hub(worker))
		return;
	for (i = 0; i < worker->segment.inputs; i++)
		ev_io_start(worker->loop, &worker->input[i]);
}

void
worker_stop_inputs(struct worker *worker)
{
	uint32_t i;

	for (i = 0; i < worker->segment.inputs; i++)
		ev_io_stop(worker->loop, &worker->input[i]);
}

/* The archive is a ring behind and must not lose: the socket buffer holds
 * what comes, until on_note(). */
static void
close_gate(struct worker *worker)
{
	worker->gated = true;
	worker_stop_inputs(worker);
	/* The archive may have moved on after its notification was handled. */
	ev_async_send(worker->loop, &worker->archive_note);
}

/* Lets a batch form; signals and other descriptors wait as well, which is
 * why receive() does so only BATCHES_PER_TURN times. */
static bool
wait_for_batch(struct worker *worker)
{
	uint64_t ns = ingest_wait_ns(&worker->ingest, clock_monotonic_ns());
	struct timespec ts;

	if (worker->shares_loop)
		ns = MIN_OF(ns, host_wait_ns(worker));
	if (ns == 0)
		return false;
	ts = (struct timespec){.tv_nsec = (long)ns};
	nanosleep(&ts, NULL);
	return true;
}

/* Asks again and again for the time of busy_poll, without sleeping: one input
 * after the other. */
static enum ingest_status
poll_batch(struct worker *worker)
{
	uint64_t until = clock_monotonic_ns() + worker->busy_poll_ns;
	enum ingest_status status;

	do {
		worker->next = (worker->next + 1) % worker->segment.inputs;
		status = ingest_batch(&worker->ingest, worker->next);
	} while (worker->ingest.batch_datagrams == 0 &&
	    status == INGEST_DRAINED && clock_monotonic_ns() < until);
	return status;
}

/*
 * On a CPU that both threads have to share, the archive's may not get a turn
 * before the ring comes round, which is 3 ms at 20 Gbit/s.  When it is half a
 * ring behind it is offered one; where it has a CPU of its own that is over at
 * once.  What comes meanwhile the socket's buffer holds.  An archive that does
 * not get on, for its disk, say, is not offered more: the relay comes first.
 */
static void
share_cpu(struct worker *worker)
{
	const struct segment *segment = &worker->segment;
	uint64_t position = atomic_load_explicit(
	    &segment->state->archive_position, memory_order_relaxed);

	if (LIKELY(worker->directory == -1 || ring_head(&segment->ring) -
	    position <= segment->ring.size / 2))
		return;
	if (worker->shared_at != position) {
		worker->shared_at = position;
		worker->shared = 0;
	}
	if (worker->shared++ < SHARES_MAX)
		sched_yield();
}

/*
 * With several inputs, or channels that share the loop, it is a batch and the
 * next one's turn: the loop comes back to each that is readable, so that a
 * flood at one does not keep the others waiting.  The last of them waits for
 * more, for all.
 */
static unsigned
batches_of(const struct worker *worker)
{
	return (worker->segment.inputs == 1 && !worker->shares_loop) ||
	    worker->busy_poll_ns != 0 ? BATCHES_PER_TURN : 1;
}

static bool
is_last(const struct worker *worker)
{
	return (worker->segment.inputs == 1 && !worker->shares_loop) ||
	    ev_pending_count(worker->loop) == 0;
}

static enum ingest_status
receive(struct worker *worker, unsigned input)
{
	bool busy = worker->busy_poll_ns != 0;
	enum ingest_status status = INGEST_MORE;
	unsigned i, batches = batches_of(worker);

	for (i = 0; i < batches && status == INGEST_MORE; i++) {
		status = busy ? poll_batch(worker) :
		    ingest_batch(&worker->ingest, input);
		worker_run_outputs(worker);
		worker_wake_readers(worker);
		share_cpu(worker);
		if (status != INGEST_DRAINED)
			continue;
		if (busy ? worker->ingest.batch_datagrams > 0 :
		    is_last(worker) && wait_for_batch(worker))
			status = INGEST_MORE;
	}
	return status;
}

/*
 * What came with what another input was asked for: no socket tells of it any
 * more.  As much as there are buffers, at the most.
 */
void
worker_receive_held(struct worker *worker)
{
	enum ingest_status status = INGEST_DRAINED;
	unsigned i;

	for (i = 0; i < worker->segment.inputs; i++)
		while (status != INGEST_GATED &&
		    ingest_holds(&worker->ingest, i)) {
			status = ingest_batch(&worker->ingest, i);
			worker_run_outputs(worker);
			worker_wake_readers(worker);
		}
	if (status == INGEST_GATED && !worker->gated)
		close_gate(worker);
}

/* After a turn: what has become of it. */
static void
end_turn(struct worker *worker, enum ingest_status status)
{
	if (status == INGEST_GATED && !worker->gated)
		close_gate(worker);
	else if (status == INGEST_MORE && ++worker->behind %
	    (BATCHES_PER_TURN / batches_of(worker)) == 0)
		ingest_look(&worker->ingest);	/* we are behind: how far? */
	if (!ev_is_active(&worker->drops))
		ev_timer_start(worker->loop, &worker->drops);
	worker_await_merge(worker);
	if (UNLIKELY(worker->ingest.failed))
		worker_fail(worker);
}

static void
on_input(struct ev_loop *loop ATTR_UNUSED, ev_io *io, int events ATTR_UNUSED)
{
	struct worker *worker = io->data;
	unsigned input = (unsigned)(io - worker->input);
	enum ingest_status status;

	worker_enter(worker);
	status = receive(worker, input);
	worker_receive_held(worker);
	end_turn(worker, status);
}

/* A batch of each input. */
static enum ingest_status
receive_ready(struct worker *worker)
{
	enum ingest_status status = INGEST_DRAINED;
	unsigned i;
	bool any = false;

	for (i = 0; i < worker->segment.inputs && status != INGEST_GATED;
	    i++) {
		if (!ingest_holds(&worker->ingest, i))
			continue;
		any = true;
		status = ingest_batch(&worker->ingest, i);
		worker_run_outputs(worker);
		worker_wake_readers(worker);
		share_cpu(worker);
	}
	/* It was an error that has come. */
	return any ? status : ingest_batch(&worker->ingest, 0);
}

/* While the archive has no room it stays in its buffers, until on_note(). */
void
worker_receive_ready(struct worker *worker)
{
	enum ingest_status status;
	unsigned i;

	worker_enter(worker);
	if (worker->gated)
		return;
	status = receive_ready(worker);
	for (i = 0; i < worker->segment.inputs && status != INGEST_GATED; i++)
		if (ingest_holds(&worker->ingest, i))
			ingest_ring_again(worker->ring);
	end_turn(worker, status);
	/* It may have been given up. */
	if (UNLIKELY(!ingest_by_ring(&worker->ingest)) && !worker->gated &&
	    worker->ending != WORKER_STOPPING)
		worker_start_inputs(worker);
}

/*
 * Comes again and again until the order is carried out.  Sockets that are never
 * empty, as we are slower than what comes, are not waited for any longer.
 */
void
worker_take_turn(struct worker *worker)
{
	struct turn_view *turn = &worker->relay.turn;

	worker_run_outputs(worker);
	if (turn->awaits_ns == 0 ||
	    (worker_receive_all(worker) != INGEST_DRAINED &&
	    clock_monotonic_ns() - turn->awaits_ns < HEAR_NS))
		return;
	/* It may have been taken back meanwhile. */
	if (turn->awaits_ns != 0)
		turn_heard(&worker->relay);
	worker_run_outputs(worker);
}

/* Until what waits for datagrams of other inputs has waited long enough. */
void
worker_await_merge(struct worker *worker)
{
	uint64_t due = merge_due_ns(&worker->ingest), now, wait;

	if (LIKELY(due == 0) || ev_is_active(&worker->merge))
		return;
	now = clock_monotonic_ns();
	wait = due > now ? due - now : 0;
	ev_timer_set(&worker->merge, (double)MAX_OF(wait, NS_PER_MS) /
	    (double)NS_PER_S, 0.);
	ev_timer_start(worker->loop, &worker->merge);
}

/* What is waited for may be in a socket: after a while in which nobody asked,
 * say, as a worker has been killed. */
static void
empty_inputs(struct worker *worker)
{
	enum ingest_status status = INGEST_MORE;
	unsigned i, round;

	for (round = 0; round < EMPTY_ROUNDS && status == INGEST_MORE;
	    round++) {
		status = INGEST_DRAINED;
		for (i = 0; i < worker->segment.inputs; i++)
			if (ingest_batch(&worker->ingest, i) == INGEST_MORE)
				status = INGEST_MORE;
		worker_run_outputs(worker);
		worker_wake_readers(worker);
	}
}

static void
on_merge(struct ev_loop *loop, ev_timer *timer, int events ATTR_UNUSED)
{
	struct worker *worker = timer->data;

	worker_enter(worker);
	ev_timer_stop(loop, timer);
	empty_inputs(worker);
	/* Without room for it this comes again. */
	(void)ingest_release(&worker->ingest, MERGE_RELEASE_DUE);
	worker_run_outputs(worker);
	worker_wake_readers(worker);
	worker_await_merge(worker);
}

/* Runs once a second while there is traffic, and once after it. */
static void
on_drops(struct ev_loop *loop, ev_timer *timer, int events ATTR_UNUSED)
{
	struct worker *worker = timer->data;

	worker_enter(worker);
	ingest_look(&worker->ingest);
	ev_timer_stop(loop, timer);
	ev_timer_set(timer, DROPS_INTERVAL_S, 0.);
}

/* A turn of each input. */
enum ingest_status
worker_receive_all(struct worker *worker)
{
	enum ingest_status status, all = INGEST_DRAINED;
	unsigned i;

	for (i = 0; i < worker->segment.inputs; i++) {
		status = receive(worker, i);
		if (status == INGEST_GATED)
			return status;
		if (status == INGEST_MORE)
			all = status;
	}
	for (i = 0; i < worker->segment.inputs; i++)
		if (ingest_holds(&worker->ingest, i))
			return INGEST_MORE;
	return all;
}

void
worker_init_inputs(struct worker *worker)
{
	uint32_t i;

	for (i = 0; i < worker->segment.inputs; i++) {
		ev_io_init(&worker->input[i], on_input,
		    worker->ingest.each[i].readable, EV_READ);
		worker->input[i].data = worker;
	}
	ev_timer_init(&worker->drops, on_drops, DROPS_INTERVAL_S, 0.);
	worker->drops.data = worker;
	ev_timer_init(&worker->merge, on_merge, 0., 0.);
	worker->merge.data = worker;
	worker_await_merge(worker);	/* a predecessor's */
}
