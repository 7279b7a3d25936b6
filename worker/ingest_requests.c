/* SPDX-License-Identifier: ISC */
/*
 * What receives by an io_uring, of one channel or of several: buffers,
 * requests, the one system call.  Worker, relay thread only.  Must not
 * allocate, lock or ask the clock while it receives.
 */
#include <assert.h>
#include <errno.h>

#include "common/util.h"

#ifdef HAVE_URING

#include "worker/ingest_uring_priv.h"

struct ingest_hub *
hub_new(void)
{
	struct ingest_hub *hub = xcalloc(1, sizeof(*hub));

	hub->event = -1;
	TAILQ_INIT(&hub->all);
	TAILQ_INIT(&hub->due);
	TAILQ_INIT(&hub->ready);
	return hub;
}

struct ingest_ring *
ring_new(struct ingest_hub *hub, const struct segment *segment)
{
	struct ingest_ring *ring = xcalloc(1, sizeof(*ring));
	unsigned i;

	ring->hub = hub;
	ring->segment = segment;
	ring->buffers = uring_buffers(&segment->config->uring,
	    segment->rx_slots);
	ring->msg = (struct msghdr){.msg_namelen = URING_NAME_SIZE,
	    .msg_controllen = RX_CONTROL_SIZE};
	for (i = 0; i < segment->inputs; i++)
		ring->input[i].ring = ring;
	TAILQ_INSERT_TAIL(&hub->all, ring, link);
	return ring;
}

void
hub_due(struct ingest_ring *ring)
{
	if (ring->is_due || ring->left)
		return;
	ring->is_due = true;
	TAILQ_INSERT_TAIL(&ring->hub->due, ring, due);
}

void
ingest_ring_again(struct ingest_ring *ring)
{
	if (ring->is_ready)
		return;
	ring->is_ready = true;
	TAILQ_INSERT_TAIL(&ring->hub->ready, ring, ready);
}

/*
 * Gives the kernel the buffers of messages that are committed for the next
 * ones: sentinels first, then what a successor goes by, then the buffers.
 */
void
hub_provide(struct ingest_ring *ring, unsigned input)
{
	const struct segment *segment = ring->segment;
	struct io_uring_buf_ring *to = ring_of_buffers(segment, input);
	struct ring_input *in = &ring->input[input];
	uint64_t until = ring_committed(segment, input) + ring->buffers, n;
	struct io_uring_buf *entry;
	struct uring_out *out;

	if (in->provided == until)
		return;
	for (n = in->provided; n != until; n++) {
		out = (void *)inputs_uring_buffer(segment, input, n);
		out->length = RX_SENTINEL;
	}
	/* Partner: the acquire in inputs_uring_left() of a successor, which
	 * finds a sentinel in each of them that has not come. */
	atomic_store_explicit(&inputs_uring(segment, input)->published, until,
	    memory_order_release);
	for (n = in->provided; n != until; n++) {
		/* Not by assignment: the first one's end is the ring's. */
		entry = &to->bufs[(n - in->first) & (ring->buffers - 1)];
		entry->addr = (uintptr_t)inputs_uring_buffer(segment, input,
		    n);
		entry->len = URING_BUFFER_SIZE;
		entry->bid = (uint16_t)(n & (ring->buffers - 1));
	}
	in->provided = until;
	/* Partner: the kernel's acquire. */
	io_uring_smp_store_release(&to->tail, (uint16_t)(until - in->first));
}

struct io_uring_sqe *
hub_sqe(struct ingest_hub *hub)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&hub->uring);

	if (LIKELY(sqe != NULL))
		return sqe;
	(void)io_uring_submit(&hub->uring);
	return io_uring_get_sqe(&hub->uring);
}

/* False: not now. */
static bool
arm(struct ingest_ring *ring, struct ring_input *in)
{
	struct io_uring_sqe *sqe = hub_sqe(ring->hub);

	if (sqe == NULL)
		return false;
	io_uring_prep_recvmsg_multishot(sqe, in->file, &ring->msg, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	if (!ring->hub->shared)
		sqe->flags |= IOSQE_FIXED_FILE;
	sqe->buf_group = in->group;
	io_uring_sqe_set_data(sqe, in);
	in->armed = true;
	return true;
}

/* One that has no buffer left is armed when it has. */
static bool
prepare(struct ingest_ring *ring)
{
	struct ring_input *in;
	unsigned i;

	for (i = 0; i < ring->segment->inputs; i++) {
		in = &ring->input[i];
		hub_provide(ring, i);
		if (!in->armed && in->provided != in->arrived &&
		    !arm(ring, in))
			return false;
	}
	return true;
}

void
hub_prepare(struct ingest_hub *hub)
{
	struct ingest_ring *ring;

	while ((ring = TAILQ_FIRST(&hub->due)) != NULL && prepare(ring)) {
		ring->is_due = false;
		TAILQ_REMOVE(&hub->due, ring, due);
	}
}

/* One completion; true: a message. */
static bool
take(const struct io_uring_cqe *cqe)
{
	struct ring_input *in = io_uring_cqe_get_data(cqe);
	struct ingest_ring *ring;

	/* A cancellation. */
	if (in == NULL)
		return false;
	ring = in->ring;
	if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
		in->armed = false;
		hub_due(ring);
	}
	if (cqe->res >= 0) {
		assert(cqe->flags >> IORING_CQE_BUFFER_SHIFT ==
		    (in->arrived & (ring->buffers - 1)));
		in->arrived++;
		ring->failures = 0;
		ring->error = 0;
		ingest_ring_again(ring);
		return true;
	}
	/* It is armed again when it has buffers; or it has left. */
	if (cqe->res == -ENOBUFS || ring->left)
		return false;
	ring->error = -cqe->res;
	ring->failures++;
	ingest_ring_again(ring);
	return false;
}

static int
call(struct ingest_hub *hub, unsigned count, uint64_t wait_ns)
{
	struct __kernel_timespec ts = {.tv_nsec = (long long)wait_ns};
	struct io_uring_cqe *cqe;

	return wait_ns == 0 ? io_uring_submit_and_get_events(&hub->uring) :
	    io_uring_submit_and_wait_timeout(&hub->uring, &cqe, count, &ts,
	    NULL);
}

/* It may be the ring itself that leads nowhere. */
static void
count_failures(struct ingest_hub *hub, int result)
{
	struct ingest_ring *ring;

	hub->error = result < 0 && result != -ETIME ? -result : 0;
	if (LIKELY(hub->error == 0 || hub->error == EINTR || hub->seen > 0)) {
		hub->failures = 0;
		return;
	}
	if (++hub->failures < FAILURES_MAX)
		return;
	TAILQ_FOREACH(ring, &hub->all, link) {
		ring->error = hub->error;
		ring->failures = FAILURES_MAX;
		ingest_ring_again(ring);
	}
}

void
hub_enter(struct ingest_hub *hub, unsigned count, uint64_t wait_ns)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	int result;

	hub_prepare(hub);
	result = call(hub, count, wait_ns);
	hub->seen = 0;
	io_uring_for_each_cqe(&hub->uring, head, cqe) {
		hub->messages += take(cqe);
		hub->seen++;
	}
	io_uring_cq_advance(&hub->uring, hub->seen);
	count_failures(hub, result);
}

#endif /* HAVE_URING */
