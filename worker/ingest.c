/* SPDX-License-Identifier: ISC */
/*
 * From the input socket into the ring.  Worker, relay thread only.  Must not
 * allocate, lock or ask the clock per datagram.
 */
#include <sys/socket.h>
#include <linux/sock_diag.h>
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/util.h"
#include "worker/ingest.h"
#include "worker/relay.h"

/*
 * Slots offered to one recvmmsg.  A coalesced message brings up to 64 KiB, so
 * a few of them are batch enough and stay in the cache; a single datagram
 * brings little, so the call wants many.
 */
#define OFFER_COALESCED	8U
/* A mean message of this size is worth being received into the ring: what is
 * left over there, at most as much again, costs less than the copy. */
#define DIRECT_BYTES	(SLOT_SIZE / 2)

/*
 * With coalesce: auto, the wait after a small batch.  A wake-up for one or two
 * datagrams costs about 4 us of CPU for the epoll_wait, recvmmsg and sendmmsg
 * around them, so the wait is made long enough for WAIT_DATAGRAMS; but no
 * longer than WAIT_MAX_NS, the latency that it adds at the most.  A shorter
 * sleep than WAIT_MIN_NS is not worth its timer.  If fewer than
 * WAIT_DATAGRAMS_MIN are to be expected there is no wait: a slow stream has
 * the lowest latency.
 */
#define WAIT_DATAGRAMS		16U
#define WAIT_DATAGRAMS_MIN	4U
#define WAIT_MIN_NS		(20 * NS_PER_US)
#define WAIT_MAX_NS		(100 * NS_PER_US)
/* A longer pause says nothing about the stream's pace. */
#define GAP_MAX_NS		NS_PER_MS

/* What the control messages of one received message say. */
struct control_info {
	uint32_t	segment_size;	/* 0: not coalesced */
	uint64_t	received_ns;	/* 0: not stamped */
};

static unsigned
min_unsigned(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* What the kernel overwrites in a message must be set again for each call. */
static void
reset_slot(struct ingest *ingest, unsigned i)
{
	struct rx_area *rx = ingest->segment->rx;
	struct msghdr *hdr = &rx->msg[i].msg_hdr;

	rx->iov[i].iov_len = SLOT_SIZE;
	hdr->msg_name = &rx->name[i];
	hdr->msg_namelen = sizeof(rx->name[i]);
	hdr->msg_iov = &rx->iov[i];
	hdr->msg_iovlen = 1;
	hdr->msg_control = rx->control[i];
	hdr->msg_controllen = RX_CONTROL_SIZE;
	hdr->msg_flags = 0;
	rx->msg[i].msg_len = RX_SENTINEL;
}

/* Where message `i' of the batch in flight lands. */
static uint8_t *
landing(const struct segment *segment, unsigned i)
{
	if (segment->rx->direct != 0)
		return ring_at(&segment->ring, segment->rx->direct +
		    i * RX_STRIDE + sizeof(struct ring_record));
	return segment->slots + (size_t)i * SLOT_SIZE;
}

static void
parse_cmsg(const struct cmsghdr *cmsg, struct control_info *info)
{
	struct timespec ts;
	int size;

	if (cmsg->cmsg_level == SOL_UDP && cmsg->cmsg_type == UDP_GRO &&
	    cmsg->cmsg_len >= CMSG_LEN(sizeof(size))) {
		memcpy(&size, CMSG_DATA(cmsg), sizeof(size));
		if (size > 0 && size <= UINT16_MAX)
			info->segment_size = (uint32_t)size;
	} else if (cmsg->cmsg_level == SOL_SOCKET &&
	    cmsg->cmsg_type == SCM_TIMESTAMPNS &&
	    cmsg->cmsg_len >= CMSG_LEN(sizeof(ts))) {
		memcpy(&ts, CMSG_DATA(cmsg), sizeof(ts));
		info->received_ns = (uint64_t)ts.tv_sec * NS_PER_S +
		    (uint64_t)ts.tv_nsec;
	}
}

/* The pointers in the slot's msghdr may be a dead process's: not used. */
static struct control_info
read_control(struct rx_area *rx, unsigned i)
{
	struct control_info info = {0, 0};
	struct msghdr hdr = {.msg_control = rx->control[i]};
	struct cmsghdr *cmsg;

	hdr.msg_controllen = rx->msg[i].msg_hdr.msg_controllen;
	if (hdr.msg_controllen > RX_CONTROL_SIZE)
		hdr.msg_controllen = RX_CONTROL_SIZE;
	for (cmsg = CMSG_FIRSTHDR(&hdr); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(&hdr, cmsg))
		parse_cmsg(cmsg, &info);
	return info;
}

static void
set_source(struct ring_record *record, const struct sockaddr_in6 *name)
{
	const struct sockaddr_in *in = (const void *)name;

	record->port = 0;
	if (name->sin6_family == AF_INET) {
		record->family = 4;
		memcpy(record->address, &in->sin_addr, 4);
		record->port = ntohs(in->sin_port);
	} else if (name->sin6_family == AF_INET6) {
		record->family = 6;
		memcpy(record->address, &name->sin6_addr, 16);
		record->port = ntohs(name->sin6_port);
		record->scope = name->sin6_scope_id;
	}
}

static bool
prefix_matches(const struct source_prefix *prefix, const uint8_t *address)
{
	uint32_t bits = MIN_OF(prefix->bits, 128U);
	uint32_t bytes = bits / 8, rest = bits % 8;

	if (memcmp(prefix->address, address, bytes) != 0)
		return false;
	return rest == 0 || ((prefix->address[bytes] ^ address[bytes]) >>
	    (8 - rest)) == 0;
}

static bool
source_allowed(const struct channel_config *config,
    const struct ring_record *record)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t address[16];
	uint32_t i;

	if (LIKELY(config->sources == 0))
		return true;
	if (record->family == 4) {
		memcpy(address, mapped, sizeof(mapped));
		memcpy(address + 12, record->address, 4);
	} else
		memcpy(address, record->address, 16);
	for (i = 0; i < config->sources && i < SOURCES_MAX; i++)
		if (prefix_matches(&config->source[i], address))
			return true;
	return false;
}

/* What is in slot `i', or why it is not kept. */
static bool
read_slot(struct ingest *ingest, struct ingest_state *state, unsigned i,
    uint64_t now, struct ring_record *record)
{
	const struct segment *segment = ingest->segment;
	struct rx_area *rx = segment->rx;
	struct control_info info = read_control(rx, i);
	uint32_t datagrams;

	*record = (struct ring_record){.length = rx->msg[i].msg_len};
	set_source(record, &rx->name[i]);
	if (info.segment_size != 0 && info.segment_size < record->length)
		record->segment = (uint16_t)info.segment_size;
	datagrams = ring_record_datagrams(record);
	if (UNLIKELY((rx->msg[i].msg_hdr.msg_flags & MSG_TRUNC) != 0 ||
	    record->length > SLOT_SIZE || datagrams > RING_DATAGRAMS_MAX)) {
		state->truncated++;
		return false;
	}
	if (UNLIKELY(!source_allowed(segment->config, record))) {
		state->refused_source += datagrams;
		return false;
	}
	record->sequence = state->sequence;
	record->received_ns = info.received_ns != 0 ? info.received_ns : now;
	return true;
}

/* Fills the ring up to `to', where the next record begins. */
static void
pad(const struct ring *ring, struct ingest_state *state, uint64_t to)
{
	const uint64_t most = sizeof(struct ring_record) + RING_PAYLOAD_MAX;

	/* What is left after a first pad has room for another's header. */
	while (to - state->head > most)
		state->head = ring_append_pad(ring, state->head,
		    most - sizeof(struct ring_record));
	if (to != state->head)
		state->head = ring_append_pad(ring, state->head,
		    to - state->head);
}

/*
 * Appends slot `i' to the ring at state->head, or counts why not.  A slot
 * that holds a coalesced run becomes one record.  Received directly, the
 * payload is where it belongs already, and a pad leads up to its record.
 */
static void
commit_slot(struct ingest *ingest, struct ingest_state *state, unsigned i,
    uint64_t now)
{
	const struct ring *ring = &ingest->segment->ring;
	uint64_t direct = ingest->segment->rx->direct;
	struct ring_record record;

	if (!read_slot(ingest, state, i, now, &record))
		return;
	if (direct != 0)
		pad(ring, state, direct + i * RX_STRIDE);
	else
		memcpy(ring_at(ring, state->head) + sizeof(record),
		    landing(ingest->segment, i), record.length);
	sequence_count(&ingest->sequence, state, &record,
	    ring_at(ring, state->head) + sizeof(record));
	state->head = ring_append(ring, state->head, &record);
	state->sequence += ring_record_datagrams(&record);
	state->received += ring_record_datagrams(&record);
	state->received_bytes += record.length;
	state->last_received_ns = record.received_ns;
	ingest->batch_bytes += record.length;
	ingest->batch_datagrams += ring_record_datagrams(&record);
}

/* The most that the first `n' slots can take in the ring. */
static uint64_t
batch_size(const struct rx_area *rx, unsigned n)
{
	uint64_t size = 0;
	unsigned i;

	if (rx->direct != 0)
		return n * RX_STRIDE;
	for (i = 0; i < n; i++)
		size += ring_record_size(MIN_OF(rx->msg[i].msg_len,
		    SLOT_SIZE));
	return size;
}

static void
mark_ring(const struct segment *segment, struct ingest_state *state)
{
	uint64_t used = state->head - atomic_load_explicit(
	    &segment->state->archive_position, memory_order_relaxed);

	/* An archive that was lapped has not read all that it is behind. */
	if (segment->config->archive.enabled &&
	    UNLIKELY(used > state->ring_high_water_bytes))
		state->ring_high_water_bytes = MIN_OF(used,
		    segment->ring.size);
}

/* Before anything is written beyond the head. */
static void
make_room(struct ingest *ingest, uint64_t end)
{
	relay_make_room(ingest->relay, end);
	ring_reserve(&ingest->segment->ring, end);
}

/*
 * Commits the first `n' slots.  Everything before ingest_commit() has no
 * effect that a successor would not overwrite with the same bytes; everything
 * after it is repaired by ingest_init().
 */
static void
commit_batch(struct ingest *ingest, unsigned n)
{
	const struct segment *segment = ingest->segment;
	struct ingest_domain *domain = &segment->state->ingest;
	struct ingest_state *state = ingest_begin(domain);
	uint64_t now = clock_realtime_ns(), truncated = state->truncated;
	unsigned i;

	make_room(ingest, state->head + batch_size(segment->rx, n));
	ingest->batch_bytes = 0;
	ingest->batch_datagrams = 0;
	sequence_begin(&ingest->sequence, state);
	for (i = 0; i < n; i++)
		commit_slot(ingest, state, i, now);
	if (UNLIKELY(state->truncated != truncated))
		log_limited(&ingest->limit_truncated, "a datagram was cut "
		    "off by the kernel and is not kept: counted as truncated");
	mark_ring(segment, state);
	state->batch++;
	ingest_commit(domain);
	ring_publish(&segment->ring, ingest_current(domain)->head);
}

/* How many slots of the batch in flight the kernel has filled. */
static unsigned
filled_slots(const struct rx_area *rx, unsigned offered)
{
	unsigned n = 0;

	while (n < offered && rx->msg[n].msg_len != RX_SENTINEL)
		n++;
	return n;
}

uint64_t
ingest_init(struct ingest *ingest, const struct segment *segment,
    const struct datum_program *program, struct relay *relay, int socket)
{
	struct ingest_domain *domain = &segment->state->ingest;
	struct rx_area *rx = segment->rx;
	uint64_t before = ingest_current(domain)->sequence;
	unsigned i;

	memset(ingest, 0, sizeof(*ingest));
	ingest->segment = segment;
	ingest->relay = relay;
	ingest->socket = socket;
	ingest->offered = segment->rx_slots;
	sequence_init(&ingest->sequence, segment, program);
	if (atomic_load_explicit(&rx->batch, memory_order_acquire) ==
	    ingest_current(domain)->batch + 1)
		commit_batch(ingest, filled_slots(rx,
		    min_unsigned(rx->offered, segment->rx_slots)));
	else
		ring_publish(&segment->ring, ingest_current(domain)->head);
	for (i = 0; i < segment->rx_slots; i++)
		reset_slot(ingest, i);
	return ingest_current(domain)->sequence - before;
}

/* Slots whose full records would fit before the archive's position. */
static unsigned
gate(const struct ingest *ingest)
{
	const struct segment *segment = ingest->segment;
	/* Partner: the release in the archive's commit. */
	uint64_t position = atomic_load_explicit(
	    &segment->state->archive_position, memory_order_acquire);
	uint64_t used = ingest_current(&segment->state->ingest)->head -
	    position;
	uint64_t room = used < segment->ring.size ?
	    segment->ring.size - used : 0;

	return (unsigned)(room / RX_STRIDE);
}

static bool
gated_channel(const struct ingest *ingest)
{
	const struct channel_config *config = ingest->segment->config;

	return config->archive.enabled &&
	    config->archive.on_overrun == OVERRUN_BLOCK;
}

bool
ingest_has_room(const struct ingest *ingest)
{
	return !gated_channel(ingest) || gate(ingest) > 0;
}

/*
 * Announces the batch, then receives it.  Where it lands is settled before
 * the batch is announced, so a successor looks for it in the right place.
 */
static int
receive(struct ingest *ingest, unsigned offered)
{
	const struct segment *segment = ingest->segment;
	const struct ingest_state *state =
	    ingest_current(&segment->state->ingest);
	struct rx_area *rx = segment->rx;
	unsigned i;

	for (i = 0; i < ingest->dirty; i++)
		reset_slot(ingest, i);
	ingest->dirty = 0;
	rx->direct = ingest->direct ? state->head : 0;
	if (rx->direct != 0)
		make_room(ingest, state->head + offered * RX_STRIDE);
	for (i = 0; i < offered; i++)
		rx->iov[i].iov_base = landing(segment, i);
	rx->offered = offered;
	/* Partner: the acquire in ingest_init() of a successor.  A successor
	 * that sees this batch sees no slot of an earlier one. */
	atomic_store_explicit(&rx->batch, state->batch + 1,
	    memory_order_release);
	return recvmmsg(ingest->socket, rx->msg, offered, MSG_DONTWAIT, NULL);
}

/* What the last batch says about the next one. */
static void
adapt(struct ingest *ingest, unsigned n)
{
	unsigned slots = ingest->segment->rx_slots;
	uint64_t mean = ingest->batch_bytes / n;

	ingest->direct = mean >= DIRECT_BYTES;
	ingest->offered = ingest->direct ?
	    min_unsigned(OFFER_COALESCED, slots) : slots;
}

enum ingest_status
ingest_batch(struct ingest *ingest)
{
	unsigned offered = ingest->offered;
	int n;

	if (gated_channel(ingest)) {
		offered = min_unsigned(offered, gate(ingest));
		if (offered == 0)
			return INGEST_GATED;
	}
	n = receive(ingest, offered);
	if (n <= 0) {
		ingest->batch_datagrams = 0;
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			log_limited(&ingest->limit_error, "receive: %s",
			    strerror(errno));
		return INGEST_DRAINED;
	}
	ingest->dirty = (unsigned)n;
	commit_batch(ingest, (unsigned)n);
	adapt(ingest, (unsigned)n);
	return (unsigned)n == offered ? INGEST_MORE : INGEST_DRAINED;
}

/* Keeps the mean time between datagrams, over the last ten batches or so. */
static void
measure_gap(struct ingest *ingest, uint64_t now_ns)
{
	uint64_t gap = MIN_OF((now_ns - ingest->batch_ns) /
	    ingest->batch_datagrams, GAP_MAX_NS);

	ingest->batch_ns = now_ns;
	ingest->gap_ns = (ingest->gap_ns * 7 + gap) / 8;
}

uint64_t
ingest_wait_ns(struct ingest *ingest, uint64_t now_ns)
{
	uint64_t configured = ingest->segment->config->coalesce_ns, wait;

	if (configured == 0 || ingest->batch_datagrams == 0)
		return 0;
	measure_gap(ingest, now_ns);
	if (ingest->batch_datagrams >= WAIT_DATAGRAMS)
		return 0;
	if (configured != COALESCE_AUTO)
		return configured;
	if (ingest->gap_ns * WAIT_DATAGRAMS_MIN > WAIT_MAX_NS)
		return 0;
	wait = MIN_OF(WAIT_MAX_NS, ingest->gap_ns * WAIT_DATAGRAMS);
	return MAX_OF(WAIT_MIN_NS, wait);
}

void
ingest_look(struct ingest *ingest)
{
	struct ingest_domain *domain = &ingest->segment->state->ingest;
	uint32_t meminfo[SK_MEMINFO_VARS];
	socklen_t size = sizeof(meminfo);
	struct ingest_state *state;
	uint32_t drops, queued;

	if (getsockopt(ingest->socket, SOL_SOCKET, SO_MEMINFO, meminfo,
	    &size) == -1 || size <= SK_MEMINFO_DROPS * sizeof(uint32_t))
		return;
	drops = meminfo[SK_MEMINFO_DROPS];
	queued = meminfo[SK_MEMINFO_RMEM_ALLOC];
	if (drops == ingest_current(domain)->drops_seen &&
	    queued <= ingest_current(domain)->socket_high_water_bytes)
		return;
	state = ingest_begin(domain);
	state->kernel_dropped += drops - state->drops_seen;	/* mod 2^32 */
	state->drops_seen = drops;
	state->socket_high_water_bytes = MAX_OF(
	    state->socket_high_water_bytes, (uint64_t)queued);
	ingest_commit(domain);
}
