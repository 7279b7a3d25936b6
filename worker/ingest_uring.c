/* SPDX-License-Identifier: ISC */
/*
 * The back end of ingest by io_uring: one multishot recvmsg for each input,
 * which takes its buffers from a ring of them (in_flight.h).  Worker, relay
 * thread only.  Must not allocate, lock or ask the clock while it receives.
 *
 * The ring is a deferred one: what a datagram's arrival has to do waits until
 * this thread asks for it, in hub_enter().  So the kernel fills buffers only
 * in our own system calls, as with recvmmsg, and what a killed worker has left
 * does not change any more once it has been reaped, although the kernel takes
 * the ring apart later: a request whose thread has ended is cancelled without
 * being tried again.  And a ring that is not used any more is left alone, not
 * closed: that would have the kernel do the rest at a time of its own.  A
 * channel that goes while others share the ring (ingest_hub.h) has its requests
 * cancelled, and waits until the kernel has said of each that it is over.
 *
 * One call takes what all inputs have.  What came by others than the one that
 * was asked for waits in their buffers, and no socket tells of it:
 * ingest_holds().
 */
#include <sys/socket.h>
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
		read_buffers(ingest, inputs_of(segment, ingest_current(
		    &segment->state->ingest))[i].messages, *n);
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

#include "worker/ingest_uring_priv.h"

_Static_assert(sizeof(struct io_uring_recvmsg_out) ==
    sizeof(struct uring_out) &&
    offsetof(struct io_uring_recvmsg_out, payloadlen) ==
    offsetof(struct uring_out, length) &&
    offsetof(struct io_uring_recvmsg_out, controllen) ==
    offsetof(struct uring_out, control_length), "the kernel's");

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
	struct io_uring *uring = &ring->hub->uring;
	struct io_uring_buf_reg reg;
	unsigned i;
	int error;

	error = io_uring_register_files(uring, sockets, segment->inputs);
	if (error != 0)
		return failed(why, "registering sockets with io_uring",
		    -error);
	for (i = 0; i < segment->inputs; i++) {
		ring->input[i].file = (int)i;
		ring->input[i].group = (uint16_t)i;
		reg = (struct io_uring_buf_reg){
		    .ring_addr = (uintptr_t)ring_of_buffers(segment, i),
		    .ring_entries = ring->buffers, .bgid = (uint16_t)i};
		error = io_uring_register_buf_ring(uring, &reg, 0);
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
	struct ingest_hub *hub = hub_new();
	struct ingest_ring *ring = ring_new(hub, segment);
	struct uring_options options = {.deferred = true, .cpu = -1,
	    .entries = segment->inputs};

	/* A message each, and the end of a multishot recvmsg. */
	options.completions = 2 * segment->inputs * (ring->buffers + 1);
	if (!uring_open(&hub->uring, &options, why)) {
		free(ring);
		free(hub);
		return NULL;
	}
	if (register_all(ring, sockets, why) &&
	    uring_restrict(&hub->uring, &limits, why) &&
	    uring_enable(&hub->uring, why))
		return ring;
	io_uring_queue_exit(&hub->uring);
	free(ring);
	free(hub);
	return NULL;
}

int
ingest_ring_fd(const struct ingest_ring *ring)
{
	return ring == NULL ? -1 : ring->hub->uring.ring_fd;
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
		    ring_committed(segment, i);
		/* A predecessor's is another ring's. */
		ring_of_buffers(segment, i)->tail = 0;
		hub_provide(ring, i);
	}
	hub_due(ring);
}

bool
ingest_holds(const struct ingest *ingest, unsigned input)
{
	return ingest->ops == &ingest_uring && ingest->ring->
	    input[input].arrived != ring_committed(ingest->segment, input);
}

bool
ingest_has_left(const struct ingest *ingest)
{
	return ingest->ops == &ingest_uring && ingest->ring->left;
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

/* Nothing has come by the input that was asked for.  0: now it has, or nothing
 * is there. */
static int
ask(struct ingest *ingest)
{
	struct ingest_ring *ring = ingest->ring;

	if (!ring->left)
		hub_enter(ring->hub, 0, 0);
	if (ring->failures >= FAILURES_MAX)
		ingest_ring_leave(ring);
	if (!ring->left || any_holds(ingest))
		return 0;
	errno = ring->failures >= FAILURES_MAX ? ring->error : 0;
	return INGEST_GIVEN_UP;
}

static int
uring_receive(struct ingest *ingest, unsigned offered)
{
	struct ingest_ring *ring = ingest->ring;
	const struct ring_input *in = &ring->input[ingest->input];
	uint64_t first = ring_committed(ingest->segment, ingest->input);
	unsigned n;

	if (in->arrived == first && ask(ingest) == INGEST_GIVEN_UP)
		return INGEST_GIVEN_UP;
	n = (unsigned)MIN_OF(in->arrived - first, (uint64_t)offered);
	if (n == 0 && ring->error != 0) {
		errno = ring->error;
		ring->error = 0;
		return -1;
	}
	read_buffers(ingest, first, n);
	hub_due(ring);
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

bool
ingest_has_left(const struct ingest *ingest ATTR_UNUSED)
{
	return false;
}

#endif /* HAVE_URING */

bool
ingest_by_ring(const struct ingest *ingest)
{
	return ingest->ops == &ingest_uring;
}

static void
uring_count(const struct ingest *ingest ATTR_UNUSED,
    struct input_state *input, unsigned n)
{
	input->messages += n;
}

static bool
uring_look(const struct ingest *ingest, unsigned input,
    struct ingest_look *look)
{
	return ingest_socket.look(ingest, input, look);
}

const struct ingest_ops ingest_uring = {
	.beside = true,
	.recover = uring_recover,
	.open = uring_begin,
	.receive = uring_receive,
	.count = uring_count,
	.look = uring_look,
};
