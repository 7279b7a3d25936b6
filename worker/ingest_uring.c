/* SPDX-License-Identifier: ISC */
/*
 * The back end of ingest by io_uring: one multishot recvmsg for each input,
 * which takes its buffers from a ring of them (in_flight.h).  Worker, relay
 * thread only.  Must not allocate, lock or ask the clock while it receives.
 *
 * The ring is a deferred one: what a datagram's arrival has to do waits until
 * this thread asks for it, in receive_all().  So the kernel fills buffers only
 * in our own system calls, as with recvmmsg, and what a killed worker has left
 * does not change any more once it has been reaped, although the kernel takes
 * the ring apart later: a request whose thread has ended is cancelled without
 * being tried again.  And a ring that is not used any more is left alone, not
 * closed: that would have the kernel do the rest at a time of its own.
 *
 * One call takes what all inputs have.  What came by others than the one that
 * was asked for waits in their buffers, and no socket tells of it:
 * ingest_holds().
 */
#include <sys/socket.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/inputs.h"
#include "common/util.h"
#include "worker/ingest_ops.h"
#include "worker/ingest_uring.h"

/* What has come in the first `n' buffers that are not committed. */
static void
read_buffers(struct ingest *ingest, uint64_t first, unsigned n)
{
	struct arrival *arrival = ingest->arrival;
	const struct uring_out *out;
	uint8_t *buffer;
	unsigned i;

	for (i = 0; i < n; i++, arrival++) {
		buffer = inputs_uring_buffer(ingest->segment, ingest->input,
		    first + i);
		out = (const void *)buffer;
		arrival->truncated = (out->flags & MSG_TRUNC) != 0 ||
		    out->length > SLOT_SIZE;
		arrival->rest = buffer + URING_PAYLOAD_AT;
		arrival->record = (struct ring_record){.length = out->length};
		/* What an earlier message left there is not this one's. */
		if (out->name_length < sizeof(struct sockaddr_in))
			memset(buffer + URING_OUT_SIZE, 0, URING_NAME_SIZE);
		arrival_describe(arrival,
		    (const void *)(buffer + URING_OUT_SIZE),
		    buffer + URING_OUT_SIZE + URING_NAME_SIZE,
		    MIN_OF(out->control_length, (uint32_t)RX_CONTROL_SIZE));
	}
}

static uint64_t
committed(const struct segment *segment, unsigned input)
{
	return inputs_of(segment, ingest_current(&segment->state->ingest))
	    [input].messages;
}

static bool
uring_recover(struct ingest *ingest, unsigned *n)
{
	const struct segment *segment = ingest->segment;
	unsigned i;

	for (i = 0; i < segment->inputs; i++) {
		*n = inputs_uring_left(segment, i);
		if (*n == 0)
			continue;
		ingest->stride = 0;
		ingest->input = i;
		read_buffers(ingest, committed(segment, i), *n);
		return true;
	}
	return false;
}

void
ingest_ring_forget(const struct segment *segment)
{
	unsigned i;

	for (i = 0; segment->uring != NULL && i < segment->inputs; i++)
		atomic_store_explicit(&inputs_uring(segment, i)->published, 0,
		    memory_order_relaxed);
}

#ifdef HAVE_URING

#include <liburing.h>

_Static_assert(sizeof(struct io_uring_recvmsg_out) ==
    sizeof(struct uring_out) &&
    offsetof(struct io_uring_recvmsg_out, payloadlen) ==
    offsetof(struct uring_out, length) &&
    offsetof(struct io_uring_recvmsg_out, controllen) ==
    offsetof(struct uring_out, control_length), "the kernel's");

/* Calls that brought nothing but errors until it is given up. */
#define FAILURES_MAX	16

struct ring_input {
	uint64_t	first;		/* message that the first buffer gets */
	uint64_t	provided;	/* messages that have had a buffer */
	uint64_t	arrived;	/* messages that have come */
	bool		armed;		/* a multishot recvmsg is in flight */
};

struct ingest_ring {
	struct io_uring		 uring;
	const struct segment	*segment;
	uint32_t		 buffers;	/* of each input */
	struct msghdr		 msg;		/* of each recvmsg */
	int			 error;		/* the last one; 0: none */
	unsigned		 failures;
	struct ring_input	 input[INPUTS_MAX];
};

static struct io_uring_buf_ring *
kernel_ring(const struct segment *segment, unsigned input)
{
	return (void *)inputs_uring(segment, input)->kernel;
}

static bool
failed(char *why, const char *what, int error)
{
	snprintf(why, URING_WHY_SIZE, "%s: %s", what, strerror(error));
	return false;
}

static bool
register_all(struct ingest_ring *ring, const int *sockets, char *why)
{
	const struct segment *segment = ring->segment;
	struct io_uring_buf_reg reg;
	unsigned i;
	int error;

	error = io_uring_register_files(&ring->uring, sockets,
	    segment->inputs);
	if (error != 0)
		return failed(why, "registering sockets with io_uring",
		    -error);
	for (i = 0; i < segment->inputs; i++) {
		reg = (struct io_uring_buf_reg){
		    .ring_addr = (uintptr_t)kernel_ring(segment, i),
		    .ring_entries = ring->buffers, .bgid = (uint16_t)i};
		error = io_uring_register_buf_ring(&ring->uring, &reg, 0);
		if (error != 0)
			return failed(why, "registering buffers with io_uring",
			    -error);
	}
	return true;
}

struct ingest_ring *
ingest_ring_open(const struct segment *segment, const int *sockets,
    char why[static URING_WHY_SIZE])
{
	static const uint8_t ops[] = {IORING_OP_RECVMSG};
	const struct uring_limits limits = {.ops = ops, .count = NITEMS(ops),
	    .flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT,
	    .required = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT};
	struct ingest_ring *ring = xcalloc(1, sizeof(*ring));
	struct uring_options options = {.deferred = true, .cpu = -1,
	    .entries = segment->inputs};

	ring->segment = segment;
	ring->buffers = uring_buffers(&segment->config->uring,
	    segment->rx_slots);
	ring->msg = (struct msghdr){.msg_namelen = URING_NAME_SIZE,
	    .msg_controllen = RX_CONTROL_SIZE};
	/* A message each, and the end of a multishot recvmsg. */
	options.completions = 2 * segment->inputs * (ring->buffers + 1);
	if (!uring_open(&ring->uring, &options, why)) {
		free(ring);
		return NULL;
	}
	if (register_all(ring, sockets, why) &&
	    uring_restrict(&ring->uring, &limits, why) &&
	    uring_enable(&ring->uring, why))
		return ring;
	ingest_ring_close(ring);
	return NULL;
}

void
ingest_ring_close(struct ingest_ring *ring)
{
	if (ring != NULL)
		io_uring_queue_exit(&ring->uring);
	free(ring);
}

int
ingest_ring_fd(const struct ingest_ring *ring)
{
	return ring == NULL ? -1 : ring->uring.ring_fd;
}

/*
 * Gives the kernel the buffers of messages that are committed for the next
 * ones: sentinels first, then what a successor goes by, then the buffers.
 */
static void
provide(struct ingest_ring *ring, unsigned input)
{
	const struct segment *segment = ring->segment;
	struct io_uring_buf_ring *to = kernel_ring(segment, input);
	struct ring_input *in = &ring->input[input];
	uint64_t until = committed(segment, input) + ring->buffers, n;
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

static void
uring_begin(struct ingest *ingest)
{
	const struct segment *segment = ingest->segment;
	struct ingest_ring *ring = ingest->ring;
	struct ring_input *in;
	unsigned i;

	for (i = 0; i < segment->inputs; i++) {
		in = &ring->input[i];
		in->first = in->provided = in->arrived =
		    committed(segment, i);
		/* A predecessor's is another ring's. */
		kernel_ring(segment, i)->tail = 0;
		provide(ring, i);
		ingest->each[i].readable = ingest->each[i].socket;
	}
}

static void
arm(struct ingest_ring *ring, unsigned input)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	/* There is one for each, and each is armed once at a time. */
	assert(sqe != NULL);
	io_uring_prep_recvmsg_multishot(sqe, (int)input, &ring->msg, 0);
	sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)input;
	sqe->user_data = input;
	ring->input[input].armed = true;
}

/* One completion; true: a message. */
static bool
take(struct ingest_ring *ring, const struct io_uring_cqe *cqe)
{
	struct ring_input *in = &ring->input[cqe->user_data];

	if ((cqe->flags & IORING_CQE_F_MORE) == 0)
		in->armed = false;
	if (cqe->res >= 0) {
		assert(cqe->flags >> IORING_CQE_BUFFER_SHIFT ==
		    (in->arrived & (ring->buffers - 1)));
		in->arrived++;
		return true;
	}
	/* It is armed again when it has buffers. */
	if (cqe->res != -ENOBUFS)
		ring->error = -cqe->res;
	return false;
}

/* The one system call: all that has come, by all inputs. */
static void
receive_all(struct ingest_ring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned i, head, seen = 0;
	bool any = false;
	int result;

	for (i = 0; i < ring->segment->inputs; i++) {
		provide(ring, i);
		if (!ring->input[i].armed)
			arm(ring, i);
	}
	ring->error = 0;
	result = io_uring_submit_and_get_events(&ring->uring);
	if (result < 0)
		ring->error = -result;
	io_uring_for_each_cqe(&ring->uring, head, cqe) {
		any |= take(ring, cqe);
		seen++;
	}
	io_uring_cq_advance(&ring->uring, seen);
	if (any || ring->error == 0 || ring->error == EINTR)
		ring->failures = 0;
	else
		ring->failures++;
}

bool
ingest_holds(const struct ingest *ingest, unsigned input)
{
	return ingest->ops == &ingest_uring && ingest->ring->
	    input[input].arrived != committed(ingest->segment, input);
}

static bool
any_holds(const struct ingest *ingest)
{
	unsigned i;

	for (i = 0; i < ingest->segment->inputs; i++)
		if (ingest_holds(ingest, i))
			return true;
	return false;
}

static int
uring_receive(struct ingest *ingest, unsigned offered)
{
	struct ingest_ring *ring = ingest->ring;
	const struct ring_input *in = &ring->input[ingest->input];
	uint64_t first = committed(ingest->segment, ingest->input);
	unsigned n;

	if (in->arrived == first) {
		receive_all(ring);
		if (ring->failures >= FAILURES_MAX && !any_holds(ingest)) {
			errno = ring->error;
			return INGEST_GIVEN_UP;
		}
	}
	n = (unsigned)MIN_OF(in->arrived - first, (uint64_t)offered);
	if (n == 0 && ring->error != 0) {
		errno = ring->error;
		return -1;
	}
	read_buffers(ingest, first, n);
	return (int)n;
}

#else

struct ingest_ring *
ingest_ring_open(const struct segment *segment ATTR_UNUSED,
    const int *sockets ATTR_UNUSED, char why[static URING_WHY_SIZE])
{
	(void)uring_probe(URING_RECEIVE, why);
	return NULL;
}

void
ingest_ring_close(struct ingest_ring *ring ATTR_UNUSED)
{
}

int
ingest_ring_fd(const struct ingest_ring *ring ATTR_UNUSED)
{
	return -1;
}

static void
uring_begin(struct ingest *ingest ATTR_UNUSED)
{
}

static int
uring_receive(struct ingest *ingest ATTR_UNUSED, unsigned offered ATTR_UNUSED)
{
	return INGEST_GIVEN_UP;
}

bool
ingest_holds(const struct ingest *ingest ATTR_UNUSED,
    unsigned input ATTR_UNUSED)
{
	return false;
}

#endif /* HAVE_URING */

static bool
uring_look(const struct ingest *ingest, unsigned input, uint32_t *drops,
    uint32_t *queued_bytes)
{
	return ingest_socket.look(ingest, input, drops, queued_bytes);
}

const struct ingest_ops ingest_uring = {
	.beside = true,
	.recover = uring_recover,
	.open = uring_begin,
	.receive = uring_receive,
	.look = uring_look,
};
