/* SPDX-License-Identifier: ISC */
/*
 * From what a back end has received to records in the ring.  Worker, relay
 * thread only.  Must not allocate, lock or ask the clock per datagram.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/inputs.h"
#include "common/prefix.h"
#include "common/util.h"
#include "worker/ingest.h"
#include "worker/ingest_ops.h"
#include "worker/ingest_priv.h"
#include "worker/ingest_uring.h"
#include "worker/last_words.h"
#include "worker/relay.h"

/*
 * What one batch may bring into the ring.  Eight coalesced messages of
 * 64 KiB are batch enough, and stay in the cache; a single datagram brings
 * little, so the call takes as many as there are slots.
 */
#define BATCH_BYTES	(8U * RX_STRIDE_MAX)

/* What a datagram of a run takes in the ring, beyond its payload, as a record
 * of its own. */
#define RECORD_COST	(sizeof(struct ring_record) + RING_ALIGN - 1)

static bool
source_allowed(const struct listen_config *listen,
    const struct ring_record *record)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t address[16];
	uint32_t i;

	if (LIKELY(listen->sources == 0))
		return true;
	if (record->family == 4) {
		memcpy(address, mapped, sizeof(mapped));
		memcpy(address + 12, record->address, 4);
	} else
		memcpy(address, record->address, 16);
	for (i = 0; i < listen->sources && i < SOURCES_MAX; i++)
		if (prefix_matches(&listen->source[i], address))
			return true;
	return false;
}

/* Whether it is kept; if not, counts why. */
static bool
is_kept(const struct ingest *ingest, struct ingest_state *state,
    const struct arrival *arrival)
{
	const struct ring_record *record = &arrival->record;
	uint32_t datagrams = ring_record_datagrams(record);

	/* A socket would not have taken it, and counted it as dropped. */
	if (UNLIKELY(arrival->broken)) {
		state->counts.kernel_dropped++;
		return false;
	}
	if (UNLIKELY(arrival->truncated || record->length > SLOT_SIZE ||
	    datagrams > RING_DATAGRAMS_MAX)) {
		state->counts.truncated++;
		return false;
	}
	if (UNLIKELY(!source_allowed(
	    &ingest->segment->input[ingest->input], record))) {
		state->counts.refused_source += datagrams;
		return false;
	}
	return true;
}

/* Fills landing places up to `to', each by itself: a successor may need what
 * lies behind the others' headers. */
static void
pad(const struct ingest *ingest, struct ingest_state *state, uint64_t to)
{
	while (state->head < to)
		state->head = ring_append_pad(&ingest->segment->ring,
		    state->head, ingest->stride);
}

/*
 * Makes message `i' of `n' a record at state->head.  As long as each before it
 * has fitted it can stay where it is.  Else it is copied to beyond the landing
 * places, with all that follow, so that the order holds.
 */
static void
place(const struct ingest *ingest, struct ingest_state *state, unsigned i,
    unsigned n, struct ring_record *record)
{
	uint64_t at = ingest->base + i * ingest->stride;
	uint64_t size = ring_record_size(record->length);
	uint32_t landed = MIN_OF(record->length, ingest_landing_size(ingest));
	uint8_t *to;

	if (LIKELY(size <= ingest->stride && state->head <= at)) {
		pad(ingest, state, at);
		record->slack = (uint16_t)((ingest->stride - size) /
		    RING_ALIGN);
		return;
	}
	pad(ingest, state, ingest->base + n * ingest->stride);
	to = ring_at(&ingest->segment->ring, state->head) + sizeof(*record);
	memcpy(to, ingest_landing(ingest, i), landed);
	arrival_copy_rest(&ingest->arrival[i], to + landed,
	    record->length - landed);
}

static void
append(struct ingest *ingest, struct ingest_state *state,
    struct ring_record *record, const struct ring_record *sender)
{
	const struct ring *ring = &ingest->segment->ring;
	uint32_t datagrams = ring_record_datagrams(record);

	record->flags = (record->flags & RING_KERNEL) |
	    (ingest->paused & (RING_NO_ARCHIVE | RING_NO_RELAY));
	record->sequence = state->sequence;
	sender_sequence_count(&ingest->sender_sequence, state, sender,
	    ring_at(ring, state->head) + sizeof(*record));
	state->head = ring_append(ring, state->head, record);
	state->sequence += datagrams;
	state->counts.received += datagrams;
	state->counts.received_bytes += record->length;
	state->last_received_ns = record->received_ns;
}

/* Of paths of one stream it is what goes on that is counted as one sender's. */
void
ingest_append(struct ingest *ingest, struct ingest_state *state,
    const struct ring_record *record, const uint8_t *payload)
{
	struct ring_record copy = *record, sender;
	struct input_counts *counts = &inputs_of(ingest->segment, state)
	    [record->input].counts;

	memcpy(ring_at(&ingest->segment->ring, state->head) + sizeof(copy),
	    payload, copy.length);
	sender = (struct ring_record){.length = copy.length,
	    .sequence = state->sequence};
	append(ingest, state, &copy, &sender);
	counts->received++;
	counts->received_bytes += copy.length;
}

/*
 * Appends message `i' of `n' to the ring at state->head, or counts why not.
 * One that holds a coalesced run becomes one record.
 */
static void
commit_message(struct ingest *ingest, struct ingest_state *state, unsigned i,
    unsigned n, uint64_t now)
{
	struct ring_record record = ingest->arrival[i].record;

	if (!is_kept(ingest, state, &ingest->arrival[i]))
		return;
	record.input = (uint8_t)ingest->input;
	if (record.received_ns == 0)
		record.received_ns = now;
	if (ingest->merge.area != NULL)
		merge_message(ingest, state, &record,
		    ingest->arrival[i].rest);
	else {
		place(ingest, state, i, n, &record);
		record.sequence = state->sequence;
		append(ingest, state, &record, &record);
	}
	ingest->batch_bytes += record.length;
	ingest->batch_largest = MAX_OF(ingest->batch_largest, record.length);
	ingest->batch_datagrams += ring_record_datagrams(&record);
}

/* The most that `n' messages can take in the ring. */
static uint64_t
batch_size(const struct ingest *ingest, unsigned n)
{
	uint64_t size = n * ingest->stride, one;
	bool copied = ingest->merge.area != NULL;
	unsigned i;

	size += merge_held_bytes(ingest);
	for (i = 0; i < n; i++) {
		if (ingest->merge.area != NULL)
			size += RECORD_COST * MIN_OF(ring_record_datagrams(
			    &ingest->arrival[i].record), RING_DATAGRAMS_MAX);
		one = ring_record_size(MIN_OF(
		    ingest->arrival[i].record.length, SLOT_SIZE));
		copied = copied || one > ingest->stride;
		if (copied)
			size += one;
	}
	return size;
}

static void
mark_ring(const struct segment *segment, struct ingest_state *state)
{
	uint64_t used = state->head - atomic_load_explicit(
	    &segment->state->archive_position, memory_order_relaxed);

	/* An archive that was lapped has not read all that it is behind. */
	if (segment->config->archive.enabled &&
	    UNLIKELY(used > state->counts.ring_high_water_bytes))
		state->counts.ring_high_water_bytes = MIN_OF(used,
		    segment->ring.size);
}

/*
 * Before anything is written beyond the head.  What was announced stays so:
 * the kernel may have written there, even if it brought no message in the end.
 */
static void
make_room(struct ingest *ingest, uint64_t end)
{
	const struct ring *ring = &ingest->segment->ring;

	relay_make_room(ingest->relay, end);
	ring_reserve(ring, MAX_OF(end, atomic_load_explicit(
	    &ring->shared->reserve, memory_order_relaxed)));
}

/*
 * Commits the first `n' messages.  Everything before ingest_commit() has no
 * effect that a successor would not overwrite with the same bytes; everything
 * after it is repaired by ingest_init().
 */
static void
commit_batch(struct ingest *ingest, unsigned n)
{
	const struct segment *segment = ingest->segment;
	struct ingest_domain *domain = &segment->state->ingest;
	struct ingest_state *state = inputs_begin(segment);
	const struct ingest_counts before = state->counts;
	uint64_t now = clock_realtime_ns();
	unsigned i;

	make_room(ingest, ingest->base + batch_size(ingest, n));
	/* What comes after a command was answered is received after that. */
	ingest->paused = (uint8_t)(atomic_load_explicit(&segment->state->paused,
	    memory_order_relaxed) & (RING_NO_ARCHIVE | RING_NO_RELAY));
	ingest->batch_bytes = 0;
	ingest->batch_largest = 0;
	ingest->batch_datagrams = 0;
	sender_sequence_begin(&ingest->sender_sequence, state);
	if (ingest->merge.area != NULL)
		merge_begin(ingest, state);
	for (i = 0; i < n; i++)
		commit_message(ingest, state, i, n, now);
	if (ingest->merge.area != NULL)
		merge_end(ingest, state, ingest->release);
	ingest_count_input(ingest, state, &before, n);
	if (UNLIKELY(state->counts.truncated != before.truncated))
		log_limited(&ingest->limit_truncated, "a datagram was cut "
		    "off by the kernel and is not kept: counted as truncated");
	mark_ring(segment, state);
	state->batch++;
	ingest_commit(domain);
	if (ingest->ops->committed != NULL)
		ingest->ops->committed(ingest);
	ring_publish(&segment->ring, ingest_current(domain)->head);
}

/* What a predecessor had in hand, by whatever way. */
static void
recover(struct ingest *ingest)
{
	static const struct ingest_ops *const ways[] = {
	    &ingest_socket, &ingest_uring};
	unsigned n;
	size_t i;

	for (i = 0; i < NITEMS(ways); i++) {
		ingest->ops = ways[i];
		ingest->base = ingest_current(&ingest->segment->state->ingest)->
		    head;
		while (ingest->ops->recover(ingest, &n)) {
			commit_batch(ingest, n);
			ingest->base = ingest_current(
			    &ingest->segment->state->ingest)->head;
		}
	}
}

static void
begin(struct ingest *ingest)
{
	enum io_way way = ingest->ops == &ingest_uring ? IO_URING :
	    ingest->ops == &ingest_xdp ? IO_XDP : IO_SOCKET;
	unsigned i;

	for (i = 0; i < ingest->segment->inputs; i++)
		ingest->each[i].readable = ingest->each[i].socket;
	if (way != IO_URING)
		ingest_ring_forget(ingest->segment);
	ingest->ops->open(ingest);
	atomic_store_explicit(&ingest->segment->state->receives_by, way,
	    memory_order_relaxed);
}

/* Nothing that came by io_uring is left, and the ring is not used any more: it
 * has failed, or the channel has left it. */
static enum ingest_status
give_up_ring(struct ingest *ingest, int error)
{
	if (error != 0 &&
	    ingest->segment->config->uring.fallback_on_error == 0) {
		if (!ingest->failed)
			last_words("io_uring does not receive any more: %s",
			    strerror(error));
		ingest->failed = true;
		return INGEST_DRAINED;
	}
	if (error != 0)
		log_warnx("io_uring does not receive any more (%s): goes on "
		    "with sockets", strerror(error));
	ingest->ops = &ingest_socket;
	begin(ingest);
	return INGEST_MORE;
}

void
ingest_use_ring(struct ingest *ingest, struct ingest_ring *ring)
{
	ingest->ring = ring;
	ingest->ops = &ingest_uring;
	begin(ingest);
}

uint64_t
ingest_init(struct ingest *ingest, const struct segment *segment,
    const struct datum_program *program, struct relay *relay,
    const int *sockets, struct ingest_ring *ring,
    struct ingest_frames *frames)
{
	struct ingest_domain *domain = &segment->state->ingest;
	uint64_t before = ingest_current(domain)->sequence;
	unsigned n;

	memset(ingest, 0, sizeof(*ingest));
	ingest->segment = segment;
	ingest->relay = relay;
	ingest->ring = ring;
	ingest->frames = frames;
	for (n = 0; n < segment->inputs; n++)
		ingest->each[n].socket = sockets[n];
	sender_sequence_init(&ingest->sender_sequence, segment, program);
	merge_init(ingest);
	recover(ingest);
	ring_publish(&segment->ring, ingest_current(domain)->head);
	ingest->ops = frames != NULL ? &ingest_xdp :
	    ring != NULL ? &ingest_uring : &ingest_socket;
	begin(ingest);
	return ingest_current(domain)->sequence - before;
}

/* What may be written beyond the head before the archive's position. */
static uint64_t
gate(const struct ingest *ingest)
{
	const struct segment *segment = ingest->segment;
	/* Partner: the release in the archive's commit. */
	uint64_t position = atomic_load_explicit(
	    &segment->state->archive_position, memory_order_acquire);
	uint64_t used = ingest_current(&segment->state->ingest)->head -
	    position;

	return used < segment->ring.size ? segment->ring.size - used : 0;
}

static bool
gated_channel(const struct ingest *ingest)
{
	const struct channel_config *config = ingest->segment->config;

	return config->archive.enabled &&
	    config->archive.on_overrun == OVERRUN_BLOCK;
}

/* The most that a message can take in the ring without a landing place. */
static uint64_t
message_most(const struct ingest *ingest)
{
	return ingest->merge.area == NULL ? RX_STRIDE_MAX :
	    SLOT_SIZE + RECORD_COST * RING_DATAGRAMS_MAX;
}

bool
ingest_has_room(const struct ingest *ingest)
{
	return !gated_channel(ingest) || gate(ingest) >=
	    merge_held_bytes(ingest) + message_most(ingest);
}

bool
ingest_release(struct ingest *ingest, enum merge_release release)
{
	if (merge_due_ns(ingest) == 0)
		return true;
	if (gated_channel(ingest) &&
	    gate(ingest) < merge_held_bytes(ingest))
		return false;
	ingest->base = ingest_current(&ingest->segment->state->ingest)->head;
	ingest->release = release;
	commit_batch(ingest, 0);
	ingest->release = MERGE_WAIT;
	return true;
}

/*
 * What the last batch says about the next one: messages as large as its
 * largest, or, if most were less than half of that and would leave over too
 * much of the ring, nothing.
 */
static uint32_t
expect(const struct ingest *ingest, unsigned n)
{
	uint64_t largest = ring_record_size(ingest->batch_largest);

	/* In order they are somewhere else. */
	if (ingest->merge.area != NULL)
		return 0;
	if (ingest->batch_bytes * 2 < (uint64_t)n * ingest->batch_largest)
		return 0;
	/* Larger ones are runs that came coalesced, now longer, now shorter. */
	return (uint32_t)(largest > RX_STRIDE_MAX / 2 ? RX_STRIDE_MAX :
	    largest);
}

/* How many messages to ask for; 0: there is no room for one. */
static unsigned
plan(struct ingest *ingest)
{
	unsigned slots = ingest->segment->rx_slots;
	uint64_t room, most;

	if (gated_channel(ingest)) {
		room = gate(ingest);
		room -= MIN_OF(room, merge_held_bytes(ingest));
		if (room < ingest->stride + RX_STRIDE_MAX)
			ingest->stride = 0;
		/* One that is larger than expected takes its place, and
		 * another. */
		most = ingest->stride < RX_STRIDE_MAX ?
		    ingest->stride + message_most(ingest) :
		    message_most(ingest);
		slots = (unsigned)MIN_OF(slots, room / most);
	}
	if (ingest->stride == 0)
		return slots;
	return MIN_OF(slots, BATCH_BYTES / ingest->stride);
}

enum ingest_status
ingest_batch(struct ingest *ingest, unsigned input)
{
	unsigned offered;
	int n;

	ingest->input = input;
	ingest->stride = ingest->ops->beside ? 0 : ingest->each[input].stride;
	offered = plan(ingest);
	if (offered == 0)
		return INGEST_GATED;
	ingest->base = ingest_current(&ingest->segment->state->ingest)->head;
	make_room(ingest, ingest->base + offered * ingest->stride);
	ingest->full = false;
	n = ingest->ops->receive(ingest, offered);
	if (n == INGEST_GIVEN_UP) {
		ingest->batch_datagrams = 0;
		return give_up_ring(ingest, errno);
	}
	if (n <= 0) {
		ingest->batch_datagrams = 0;
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			log_limited(&ingest->limit_error, "receive: %s",
			    strerror(errno));
		return INGEST_DRAINED;
	}
	commit_batch(ingest, (unsigned)n);
	ingest->unwaited += ingest->batch_datagrams;
	ingest->each[input].stride = expect(ingest, (unsigned)n);
	return (unsigned)n == offered || ingest->full ||
	    ingest_has_left(ingest) ?
	    INGEST_MORE : INGEST_DRAINED;
}
