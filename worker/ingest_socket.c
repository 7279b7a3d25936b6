/* SPDX-License-Identifier: ISC */
/*
 * The back end of ingest that every kernel has: messages of an
 * input's socket.
 * Worker, relay thread only.  Must not allocate, lock or ask the clock.
 *
 * Everything that the kernel writes lies in the segment (struct rx_area).
 */
#include <sys/socket.h>
#include <string.h>

#include "common/messages.h"
#include "common/udp.h"
#include "common/util.h"
#include "worker/ingest_ops.h"

/* What the kernel overwrites in a message must be set again for each call. */
static void
reset_message(struct rx_area *rx, unsigned i)
{
	struct msghdr *hdr = &rx->msg[i].msg_hdr;

	hdr->msg_name = &rx->name[i];
	hdr->msg_namelen = sizeof(rx->name[i]);
	hdr->msg_control = rx->control[i];
	hdr->msg_controllen = RX_CONTROL_SIZE;
	hdr->msg_flags = 0;
	rx->msg[i].msg_len = RX_SENTINEL;
}

/* For each of the messages offered, however few may come: so it is short. */
static void
set_landings(const struct ingest *ingest, unsigned offered)
{
	struct rx_area *rx = ingest->segment->rx;
	uint32_t size = ingest_landing_size(ingest);
	unsigned first = size == 0 ? 1 : 0;
	unsigned iovecs = size == 0 || size == SLOT_SIZE ? 1 : 2;
	uint8_t *landing = ingest_landing(ingest, 0);
	unsigned i;

	for (i = 0; i < offered; i++, landing += ingest->stride) {
		rx->iov[i][0] = (struct iovec){landing, size};
		rx->iov[i][1] = (struct iovec){ingest_overflow(ingest, i),
		    SLOT_SIZE - size};
		rx->msg[i].msg_hdr.msg_iov = &rx->iov[i][first];
		rx->msg[i].msg_hdr.msg_iovlen = iovecs;
	}
}

/* What has come in the first `n' messages. */
static void
read_messages(struct ingest *ingest, unsigned n)
{
	struct rx_area *rx = ingest->segment->rx;
	struct arrival *arrival = ingest->arrival;
	unsigned i;

	for (i = 0; i < n; i++, arrival++) {
		arrival->broken = false;
		arrival->each = NULL;
		arrival->truncated =
		    (rx->msg[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
		arrival->rest = ingest_overflow(ingest, i);
		arrival->record = (struct ring_record){
		    .length = messages_length(&rx->msg[i])};
		/* The pointers in its msghdr may be a dead process's: not
		 * used. */
		arrival_describe(arrival, &rx->name[i], rx->control[i],
		    MIN_OF(rx->msg[i].msg_hdr.msg_controllen,
		    (size_t)RX_CONTROL_SIZE));
	}
}

/* The stride that the batch was announced with, if a worker can have meant
 * it; else 0. */
static uint32_t
announced_stride(const struct rx_area *rx)
{
	uint32_t stride = rx->stride;

	return stride < sizeof(struct ring_record) ||
	    stride > RX_STRIDE_MAX || stride % RING_ALIGN != 0 ? 0 : stride;
}

static bool
socket_recover(struct ingest *ingest, unsigned *n)
{
	struct rx_area *rx = ingest->segment->rx;
	uint32_t offered = MIN_OF(rx->offered, ingest->segment->rx_slots);

	/* Partner: the release in socket_receive(). */
	if (atomic_load_explicit(&rx->batch, memory_order_acquire) !=
	    ingest_current(&ingest->segment->state->ingest)->batch + 1)
		return false;
	for (*n = 0; *n < offered; ++*n)
		if (!messages_has(&rx->msg[*n], &rx->name[*n]))
			break;
	ingest->stride = announced_stride(rx);
	ingest->input = MIN_OF(rx->input, ingest->segment->inputs - 1);
	read_messages(ingest, *n);
	return true;
}

static void
socket_open(struct ingest *ingest)
{
	unsigned i;

	for (i = 0; i < ingest->segment->rx_slots; i++)
		reset_message(ingest->segment->rx, i);
}

/* Where it lands, and where it comes from, is settled before the batch is
 * announced, so a successor looks for it in the right place. */
static int
socket_receive(struct ingest *ingest, unsigned offered)
{
	struct rx_area *rx = ingest->segment->rx;
	unsigned i;
	int n;

	for (i = 0; i < ingest->dirty; i++)
		reset_message(rx, i);
	ingest->dirty = 0;
	set_landings(ingest, offered);
	rx->stride = ingest->stride;
	rx->offered = offered;
	rx->input = ingest->input;
	/* Partner: the acquire in socket_recover() of a successor.  One that
	 * sees this batch sees no message of an earlier one. */
	atomic_store_explicit(&rx->batch,
	    ingest_current(&ingest->segment->state->ingest)->batch + 1,
	    memory_order_release);
	n = messages_receive(ingest->each[ingest->input].socket, rx->msg,
	    offered);
	if (n > 0) {
		ingest->dirty = (unsigned)n;
		read_messages(ingest, ingest->dirty);
	}
	return n;
}

static bool
socket_look(const struct ingest *ingest, unsigned input,
    struct ingest_look *look)
{
	struct udp_memory memory;

	if (!udp_read_memory(ingest->each[input].socket, &memory))
		return false;
	look->drops = memory.drops;
	look->queued_bytes = memory.queued_bytes;
	return true;
}

const struct ingest_ops ingest_socket = {
	.recover = socket_recover,
	.open = socket_open,
	.receive = socket_receive,
	.look = socket_look,
};
