/* SPDX-License-Identifier: ISC */
/*
 * An io_uring of channels that share a loop: who has a part of it, and when
 * there is something to be taken.  Worker, relay thread only.
 */
#include <sys/eventfd.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "common/wake.h"
#include "worker/ingest_hub.h"

#ifdef HAVE_URING

#include "worker/ingest_uring_priv.h"

/* Submissions of a call: as one is armed once and for all, few. */
#define SHARED_ENTRIES		64
/* What does not fit waits in the kernel's memory. */
#define SHARED_COMPLETIONS	4096
/* A call may leave work when it has done so much: the kernel's
 * IO_LOCAL_TW_DEFAULT_MAX is 20. */
#define MANY			16U
/* How long an answer to a cancellation is waited for before another. */
#define CANCEL_NS		(10 * NS_PER_MS)

static bool
open_shared(struct ingest_hub *hub)
{
	static const uint8_t ops[] = {IORING_OP_RECVMSG,
	    IORING_OP_ASYNC_CANCEL};
	const struct uring_limits limits = {.ops = ops, .count = NITEMS(ops),
	    .flags = IOSQE_BUFFER_SELECT, .buffers = true};
	const struct uring_options options = {.deferred = true, .cpu = -1,
	    .entries = SHARED_ENTRIES, .completions = SHARED_COMPLETIONS};

	if (!uring_open(&hub->uring, &options, hub->why))
		return false;
	hub->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (hub->event == -1)
		fatal("eventfd");
	if (io_uring_register_eventfd(&hub->uring, hub->event) == 0 &&
	    uring_restrict(&hub->uring, &limits, hub->why))
		return true;
	if (hub->why[0] == '\0')
		strcpy(hub->why, "io_uring does not tell when something has "
		    "come");
	io_uring_queue_exit(&hub->uring);
	close(hub->event);
	hub->event = -1;
	return false;
}

struct ingest_hub *
ingest_hub_new(void)
{
	struct ingest_hub *hub = hub_new();

	hub->shared = true;
	hub->usable = open_shared(hub);
	return hub;
}

void
ingest_hub_enable(struct ingest_hub *hub)
{
	hub->usable = hub->usable && uring_enable(&hub->uring, hub->why);
}

int
ingest_hub_fd(const struct ingest_hub *hub)
{
	return hub->usable ? hub->uring.ring_fd : -1;
}

int
ingest_hub_event(const struct ingest_hub *hub)
{
	return hub->usable ? hub->event : -1;
}

unsigned
ingest_hub_take(struct ingest_hub *hub, unsigned count, uint64_t wait_ns)
{
	uint64_t before = hub->messages;

	hub_enter(hub, count, wait_ns);
	return (unsigned)(hub->messages - before);
}

void *
ingest_hub_next(struct ingest_hub *hub)
{
	struct ingest_ring *ring = TAILQ_FIRST(&hub->ready);

	if (ring == NULL)
		return NULL;
	ring->is_ready = false;
	TAILQ_REMOVE(&hub->ready, ring, ready);
	return ring->owner;
}

bool
ingest_hub_stirs(const struct ingest_hub *hub)
{
	return !TAILQ_EMPTY(&hub->due) || !TAILQ_EMPTY(&hub->ready);
}

/* What the next call would do. */
static bool
has_something(struct ingest_hub *hub)
{
	return hub->seen >= MANY || io_uring_sq_ready(&hub->uring) > 0 ||
	    ingest_hub_stirs(hub) ||
	    (IO_URING_READ_ONCE(*hub->uring.sq.kflags) &
	    (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/*
 * The kernel marks that there is work to do before it makes the descriptor
 * readable: so whoever makes it unreadable sees the mark.
 */
void
ingest_hub_rest(struct ingest_hub *hub)
{
	uint64_t count;

	hub_prepare(hub);
	if (read(hub->event, &count, sizeof(count)) == -1 && errno != EAGAIN)
		fatal("cannot read from an eventfd");
	if (has_something(hub))
		wake_post(hub->event);
}

static bool
register_buffers(struct ingest_ring *ring, unsigned input, char *why)
{
	struct ingest_hub *hub = ring->hub;
	struct ring_input *in = &ring->input[input];
	struct io_uring_buf_reg reg = {
	    .ring_addr = (uintptr_t)ring_of_buffers(ring->segment, input),
	    .ring_entries = ring->buffers};
	const uint8_t *free_one = memchr(hub->group, 0, sizeof(hub->group));
	int error;

	assert(free_one != NULL);
	reg.bgid = (uint16_t)(free_one - hub->group);
	error = io_uring_register_buf_ring(&hub->uring, &reg, 0);
	if (error != 0) {
		snprintf(why, URING_WHY_SIZE, "registering buffers with "
		    "io_uring: %s", strerror(-error));
		return false;
	}
	hub->group[reg.bgid] = 1;
	in->group = reg.bgid;
	return true;
}

static void
unregister_buffers(struct ingest_ring *ring, unsigned count)
{
	struct ingest_hub *hub = ring->hub;
	unsigned i;

	for (i = 0; i < count; i++)
		if (io_uring_unregister_buf_ring(&hub->uring,
		    ring->input[i].group) == 0)
			hub->group[ring->input[i].group] = 0;
}

struct ingest_ring *
ingest_hub_join(struct ingest_hub *hub, const struct segment *segment,
    const int *sockets, void *owner, char why[static URING_WHY_SIZE])
{
	struct ingest_ring *ring;
	unsigned i;

	if (!hub->usable) {
		memcpy(why, hub->why, URING_WHY_SIZE);
		return NULL;
	}
	ring = ring_new(hub, segment);
	ring->owner = owner;
	for (i = 0; i < segment->inputs; i++) {
		ring->input[i].file = sockets[i];
		if (register_buffers(ring, i, why))
			continue;
		unregister_buffers(ring, i);
		TAILQ_REMOVE(&hub->all, ring, link);
		free(ring);
		return NULL;
	}
	return ring;
}

static unsigned
cancel(struct ingest_ring *ring)
{
	struct io_uring_sqe *sqe;
	unsigned i, armed = 0;

	for (i = 0; i < ring->segment->inputs; i++) {
		if (!ring->input[i].armed)
			continue;
		armed++;
		sqe = hub_sqe(ring->hub);
		if (sqe == NULL)
			continue;
		io_uring_prep_cancel(sqe, &ring->input[i], 0);
		io_uring_sqe_set_data(sqe, NULL);
	}
	return armed;
}

void
ingest_ring_leave(struct ingest_ring *ring)
{
	struct ingest_hub *hub = ring->hub;

	if (ring->left)
		return;
	ring->left = true;
	if (ring->is_due)
		TAILQ_REMOVE(&hub->due, ring, due);
	ring->is_due = false;
	if (!hub->shared)
		return;
	/* The kernel says of each that it was the last. */
	while (cancel(ring) > 0 && hub->failures < FAILURES_MAX)
		hub_enter(hub, 1, CANCEL_NS);
	if (!ring_is_armed(ring))
		unregister_buffers(ring, ring->segment->inputs);
}

void
ingest_ring_free(struct ingest_ring *ring)
{
	struct ingest_hub *hub = ring->hub;

	if (ring->is_ready)
		TAILQ_REMOVE(&hub->ready, ring, ready);
	TAILQ_REMOVE(&hub->all, ring, link);
	/* If the kernel does not let go of it, it is let be. */
	if (!ring_is_armed(ring))
		free(ring);
}

#else

struct ingest_hub {
	char	why[URING_WHY_SIZE];
};

struct ingest_hub *
ingest_hub_new(void)
{
	struct ingest_hub *hub = xcalloc(1, sizeof(*hub));

	(void)uring_probe(URING_RECEIVE, hub->why);
	return hub;
}

void
ingest_hub_enable(struct ingest_hub *hub ATTR_UNUSED)
{
}

int
ingest_hub_fd(const struct ingest_hub *hub ATTR_UNUSED)
{
	return -1;
}

int
ingest_hub_event(const struct ingest_hub *hub ATTR_UNUSED)
{
	return -1;
}

unsigned
ingest_hub_take(struct ingest_hub *hub ATTR_UNUSED,
    unsigned count ATTR_UNUSED, uint64_t wait_ns ATTR_UNUSED)
{
	return 0;
}

void *
ingest_hub_next(struct ingest_hub *hub ATTR_UNUSED)
{
	return NULL;
}

bool
ingest_hub_stirs(const struct ingest_hub *hub ATTR_UNUSED)
{
	return false;
}

void
ingest_hub_rest(struct ingest_hub *hub ATTR_UNUSED)
{
}

struct ingest_ring *
ingest_hub_join(struct ingest_hub *hub,
    const struct segment *segment ATTR_UNUSED,
    const int *sockets ATTR_UNUSED, void *owner ATTR_UNUSED,
    char why[static URING_WHY_SIZE])
{
	memcpy(why, hub->why, URING_WHY_SIZE);
	return NULL;
}

void
ingest_ring_leave(struct ingest_ring *ring ATTR_UNUSED)
{
}

void
ingest_ring_free(struct ingest_ring *ring ATTR_UNUSED)
{
}

void
ingest_ring_again(struct ingest_ring *ring ATTR_UNUSED)
{
}

#endif /* HAVE_URING */
