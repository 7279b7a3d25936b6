/* SPDX-License-Identifier: ISC */
/*
 * Threads that relay, of a process that channels share.  Worker.
 */
#include <stdlib.h>
#include <string.h>

#include "common/sandbox.h"
#include "common/util.h"
#include "worker/host.h"
#include "worker/ingest_hub.h"
#include "worker/worker_priv.h"

/*
 * By io_uring: how long the next datagram is waited for in the call that takes
 * it, where they have come faster than that; and how long other events of the
 * loop wait meanwhile.
 */
#define LINGER_NS	(250 * NS_PER_US)
#define TURN_NS		NS_PER_MS
/* Where all channels bear a longer wait: until so many have come. */
#define GATHERED	64U

struct order {
	STAILQ_ENTRY(order)	 link;
	struct host_channel	*channel;
	void			(*act)(struct worker *worker);
};

struct host_loop {
	struct ev_loop		*loop;
	pthread_t		 thread;
	struct host_channel	*only;	/* NULL: several share it */
	bool			 syslog;
	uint32_t		 parts;	/* of the sandbox; the loop's */
	ev_async		 note;
	ev_prepare		 idle;
	struct ingest_hub	*hub;	/* NULL: none */
	ev_io			 taken;
	uint64_t		 taken_ns;	/* when, CLOCK_MONOTONIC */
	uint64_t		 gap_ns;	/* between datagrams, mean */
	TAILQ_HEAD(, host_channel) relayed;
	uint64_t		 wait_ns;	/* that all of them bear */
	pthread_mutex_t		 mutex;
	STAILQ_HEAD(, order)	 orders;	/* under the mutex */
};

/* The next one for a channel that has not ended; act NULL: none.  As only this
 * thread ends channels, it stays so. */
static struct order
next_order(struct host_loop *loop)
{
	struct order order = {.act = NULL}, *first;

	pthread_mutex_lock(&loop->mutex);
	while (order.act == NULL &&
	    (first = STAILQ_FIRST(&loop->orders)) != NULL) {
		STAILQ_REMOVE_HEAD(&loop->orders, link);
		if (!first->channel->ended)
			order = *first;
		free(first);
	}
	pthread_mutex_unlock(&loop->mutex);
	return order;
}

static void
on_orders(struct ev_loop *ev ATTR_UNUSED, ev_async *note,
    int events ATTR_UNUSED)
{
	struct host_loop *loop = note->data;
	struct order order;

	for (order = next_order(loop); order.act != NULL;
	    order = next_order(loop)) {
		worker_enter(&order.channel->worker);
		order.channel->worker.sandbox |= loop->parts &
		    order.channel->parts;
		order.act(&order.channel->worker);
	}
}

/* Keeps the mean time between datagrams of all channels, over the last ten
 * calls or so; how long to wait for the next in the same call, 0: not. */
static uint64_t
wait_ns(struct host_loop *loop, unsigned datagrams, uint64_t now)
{
	uint64_t gap;

	if (datagrams == 0)
		return 0;
	gap = MIN_OF((now - loop->taken_ns) / datagrams, NS_PER_MS);
	loop->taken_ns = now;
	loop->gap_ns = (loop->gap_ns * 7 + gap) / 8;
	return loop->gap_ns < LINGER_NS ? LINGER_NS : 0;
}

/* Something has come by io_uring, for whomever: a batch of each. */
static void
on_taken(struct ev_loop *ev ATTR_UNUSED, ev_io *taken, int events ATTR_UNUSED)
{
	struct host_loop *loop = taken->data;
	bool gathers = loop->wait_ns > HOST_WAIT_NS;
	uint64_t until = clock_monotonic_ns() + TURN_NS, now, wait = 0;
	unsigned datagrams;
	struct worker *worker;

	do {
		datagrams = ingest_hub_take(loop->hub, gathers ? GATHERED : 1,
		    wait);
		while ((worker = ingest_hub_next(loop->hub)) != NULL)
			worker_receive_ready(worker);
		whose_enter(NULL);
		now = clock_monotonic_ns();
		wait = wait_ns(loop, datagrams, now);
		if (gathers && datagrams > 0)
			wait = loop->wait_ns;
	} while (wait > 0 && now < until);
	ingest_hub_rest(loop->hub);
}

/* Nothing is done for any channel while it sleeps. */
static void
on_idle(struct ev_loop *ev ATTR_UNUSED, ev_prepare *idle,
    int events ATTR_UNUSED)
{
	struct host_loop *loop = idle->data;

	whose_enter(NULL);
	if (loop->hub != NULL && ingest_hub_stirs(loop->hub))
		ingest_hub_rest(loop->hub);
}

/* Before its sandbox. */
static void
start_hub(struct host_loop *loop)
{
	ingest_hub_enable(loop->hub);
	if (ingest_hub_event(loop->hub) == -1)
		return;
	ev_io_init(&loop->taken, on_taken, ingest_hub_event(loop->hub),
	    EV_READ);
	loop->taken.data = loop;
	ev_io_start(loop->loop, &loop->taken);
}

static void *
run(void *argument)
{
	struct host_loop *loop = argument;

	if (loop->only == NULL)
		whose_loop();
	else
		worker_schedule(loop->only->worker.segment.config);
	if (loop->hub != NULL)
		start_hub(loop);
	loop->parts = sandbox_enter_some(&(struct sandbox){
	    .program = SANDBOX_WORKER, .directory = -1,
	    .syslog = loop->syslog, .uring = loop->hub != NULL,
	    .uring_buffers = true}, SANDBOX_FILES | SANDBOX_CALLS);
	sandbox_thread(SANDBOX_WITH_NETWORK, loop->hub == NULL ? -1 :
	    ingest_hub_fd(loop->hub));
	ev_run(loop->loop, 0);
	return NULL;
}

struct host_loop *
host_loop_start(bool syslog, struct ingest_hub *hub, struct host_channel *only)
{
	struct host_loop *loop = xcalloc(1, sizeof(*loop));
	int error;

	loop->loop = ev_loop_new(EVFLAG_AUTO);
	if (loop->loop == NULL)
		fatalx("cannot start libev");
	loop->hub = hub;
	loop->only = only;
	loop->syslog = syslog;
	STAILQ_INIT(&loop->orders);
	TAILQ_INIT(&loop->relayed);
	loop->wait_ns = UINT64_MAX;
	pthread_mutex_init(&loop->mutex, NULL);
	ev_async_init(&loop->note, on_orders);
	loop->note.data = loop;
	ev_async_start(loop->loop, &loop->note);
	if (only == NULL) {
		ev_prepare_init(&loop->idle, on_idle);
		loop->idle.data = loop;
		ev_prepare_start(loop->loop, &loop->idle);
	}
	error = whose_thread(&loop->thread, run, loop);
	if (error != 0)
		fatalx("cannot start the relay's thread: %s",
		    strerror(error));
	return loop;
}

struct ev_loop *
host_loop_ev(struct host_loop *loop)
{
	return loop->loop;
}

void
host_loop_order(struct host_channel *channel,
    void (*act)(struct worker *worker))
{
	struct host_loop *loop = channel->loop;
	struct order *order = xcalloc(1, sizeof(*order));

	order->channel = channel;
	order->act = act;
	pthread_mutex_lock(&loop->mutex);
	STAILQ_INSERT_TAIL(&loop->orders, order, link);
	pthread_mutex_unlock(&loop->mutex);
	ev_async_send(loop->loop, &loop->note);
}

static uint64_t
wait_of(const struct segment *segment)
{
	uint64_t wait = UINT64_MAX, ns;
	unsigned i;

	for (i = 0; i < segment->inputs; i++) {
		ns = segment->input[i].coalesce_ns;
		wait = MIN_OF(wait, ns == COALESCE_AUTO ? HOST_WAIT_NS : ns);
	}
	return wait;
}

void
host_begin(struct worker *worker)
{
	struct host_channel *channel = worker->hosted;
	struct host_loop *loop = channel->loop;

	TAILQ_INSERT_TAIL(&loop->relayed, channel, relayed);
	channel->wait_ns = wait_of(&worker->segment);
	loop->wait_ns = MIN_OF(loop->wait_ns, channel->wait_ns);
}

uint64_t
host_wait_ns(const struct worker *worker)
{
	return worker->hosted->loop->wait_ns;
}

/* Often there is another that bears no more. */
static void
leave_relayed(struct host_channel *channel)
{
	struct host_loop *loop = channel->loop;
	uint64_t least = UINT64_MAX;
	struct host_channel *other;

	TAILQ_REMOVE(&loop->relayed, channel, relayed);
	TAILQ_FOREACH(other, &loop->relayed, relayed) {
		least = MIN_OF(least, other->wait_ns);
		if (least == loop->wait_ns)
			return;
	}
	loop->wait_ns = least;
}

/* The last thing that the loop does with a channel. */
static void
on_ended(struct ev_loop *ev, ev_timer *ended, int events ATTR_UNUSED)
{
	struct worker *worker = ended->data;
	struct host_channel *channel = worker->hosted;
	struct host_loop *loop = channel->loop;

	if (loop->only != NULL)
		ev_break(ev, EVBREAK_ALL);
	whose_enter(NULL);
	pthread_mutex_lock(&loop->mutex);
	channel->ended = true;
	pthread_mutex_unlock(&loop->mutex);
	host_ended(channel);
}

void
host_end(struct worker *worker)
{
	worker_stop_watchers(worker);
	leave_relayed(worker->hosted);
	ev_timer_init(&worker->ended, on_ended, 0., 0.);
	worker->ended.data = worker;
	ev_feed_event(worker->loop, &worker->ended, EV_TIMER);
}

static void
forget_orders(struct host_loop *loop, const struct host_channel *channel)
{
	struct order *order, *next;

	pthread_mutex_lock(&loop->mutex);
	for (order = STAILQ_FIRST(&loop->orders); order != NULL;
	    order = next) {
		next = STAILQ_NEXT(order, link);
		if (order->channel != channel)
			continue;
		STAILQ_REMOVE(&loop->orders, order, order, link);
		free(order);
	}
	pthread_mutex_unlock(&loop->mutex);
}

void
host_loop_leave(struct host_channel *channel)
{
	struct host_loop *loop = channel->loop;

	forget_orders(loop, channel);
	if (loop->only == NULL)
		return;
	pthread_join(loop->thread, NULL);
	ev_loop_destroy(loop->loop);
	pthread_mutex_destroy(&loop->mutex);
	free(loop);
}
