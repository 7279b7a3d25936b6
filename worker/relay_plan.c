/* SPDX-License-Identifier: ISC */
/*
 * Which messages an output's next call is made of: neighbours of one size in
 * one, or, where each has a header of ours, each by itself.  Relay thread.
 */
#include <string.h>

#include "common/util.h"
#include "worker/relay_priv.h"

/* What the kernel takes in one message (UDP_MAX_SEGMENTS of older ones). */
#define MESSAGE_SEGMENTS	64U
#define MESSAGE_BYTES		65507U

static bool
can_open(const struct send_batch *batch)
{
	return batch->messages < TX_MESSAGES && batch->iovecs < TX_IOVECS;
}

static void
open_message(struct send_batch *batch, uint32_t datagram_size)
{
	struct tx_area *tx = batch->tx;
	struct msghdr *hdr = &tx->msg[batch->messages].msg_hdr;

	memset(hdr, 0, sizeof(*hdr));
	hdr->msg_iov = &tx->iov[batch->iovecs];
	tx->plan[batch->messages] = (struct tx_plan){
	    .datagram_size = datagram_size};
	batch->messages++;
	batch->datagram_size = datagram_size;
	batch->bytes = 0;
	batch->open = datagram_size > 0 && datagram_size <= batch->gso_limit;
}

/*
 * Begins the last message with the headers that its datagram had when it came.
 * Where there can be none it stays without a byte, which the kernel refuses
 * (EINVAL): so it is counted where others are.
 */
static uint32_t
add_header(struct send_batch *batch, const struct ring_record *record,
    const uint8_t *data, uint32_t length)
{
	uint8_t *header = batch->header[batch->messages - 1];
	struct iovec *iov = &batch->tx->iov[batch->iovecs++];

	iov->iov_base = header;
	iov->iov_len = keep_source_header(batch->keep, record, data, length,
	    header);
	batch->tx->msg[batch->messages - 1].msg_hdr.msg_iovlen++;
	return iov->iov_len == 0 ? 0 : length;
}

/* Adds bytes that hold `datagrams' datagrams to the last message. */
static void
add_piece(struct send_batch *batch, const uint8_t *data, uint32_t length,
    uint32_t datagrams)
{
	struct tx_area *tx = batch->tx;
	unsigned last = batch->messages - 1;
	struct tx_plan *plan = &tx->plan[last];

	tx->iov[batch->iovecs].iov_base = (void *)(uintptr_t)data;
	tx->iov[batch->iovecs].iov_len = length;
	batch->iovecs++;
	tx->msg[last].msg_hdr.msg_iovlen++;
	batch->bytes += length;
	batch->at.sequence += datagrams;
	plan->position = batch->at.position;
	plan->sequence = batch->at.sequence;
	plan->skip = batch->at.skip;
	plan->datagrams += datagrams;
	/* A shorter datagram ends a run. */
	if (length < batch->datagram_size * datagrams)
		batch->open = false;
}

/* How many datagrams of `size' the open message still takes. */
static uint32_t
room(const struct send_batch *batch, uint32_t size, uint32_t last_length)
{
	uint32_t count = batch->tx->plan[batch->messages - 1].datagrams;
	uint32_t by_count = MESSAGE_SEGMENTS - count;
	uint32_t by_bytes = (MESSAGE_BYTES - batch->bytes) /
	    batch->datagram_size;

	if (size == batch->datagram_size)
		return MIN_OF(by_count, by_bytes);
	/* A single shorter one may be the last. */
	return last_length > 0 && last_length < batch->datagram_size &&
	    by_count > 0 && by_bytes > 0 ? 1 : 0;
}

/*
 * Adds as much as fits of the record at batch->at to the last message or a
 * new one.  False when the batch is full.
 */
static bool
add_record_part(struct send_batch *batch, const struct ring_record *record,
    const uint8_t *payload)
{
	uint32_t size = record->datagram_size != 0 ? record->datagram_size :
	    record->length;
	uint32_t total = ring_record_datagrams(record);
	uint32_t left = total - batch->at.skip;
	uint32_t offset = batch->at.skip * size;
	uint32_t take = 0, length;

	if (batch->open && batch->iovecs < TX_IOVECS &&
	    (size == batch->datagram_size || total == 1))
		take = room(batch, size, record->length);
	if (take == 0) {
		if (!can_open(batch))
			return false;
		open_message(batch, size);
		take = batch->open ? room(batch, size, 0) : 1;
		take = MAX_OF(take, 1U);
	}
	take = MIN_OF(take, left);
	length = take == left ? record->length - offset : take * size;
	batch->at.skip += take;
	if (batch->at.skip == total) {
		batch->at.skip = 0;
		batch->at.position += ring_record_span(record);
	}
	if (batch->keep != NULL)
		length = add_header(batch, record, payload + offset, length);
	add_piece(batch, payload + offset, length, take);
	if (relay_kernel_failed(batch->segment->config, batch->output, record))
		batch->tx->plan[batch->messages - 1].kernel_failed += take;
	return true;
}

/* The records are our own process's: no reader can be lapped here. */
void
relay_plan(struct send_batch *batch)
{
	const struct ring *ring = &batch->segment->ring;
	const struct ring_record *record;

	while (batch->at.position != batch->head) {
		record = (const void *)ring_at(ring, batch->at.position);
		if (UNLIKELY((record->flags & RING_PAD) != 0)) {
			batch->at.position += ring_record_span(record);
			continue;
		}
		if (UNLIKELY((record->flags & RING_NO_RELAY) != 0 ||
		    record->received_ns < batch->before_ns) ||
		    relay_by_kernel(batch->segment->config, batch->output,
		    record) ||
		    turn_sent(batch->turn, record, batch->at.position) >
		    batch->at.skip)
			break;
		if (!add_record_part(batch, record,
		    (const uint8_t *)(record + 1)))
			break;
	}
}
