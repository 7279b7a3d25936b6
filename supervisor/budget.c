/* SPDX-License-Identifier: ISC */
/*
 * How long a channel may be without a worker.  Supervisor only.
 */
#include <sys/socket.h>
#include <inttypes.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/budget.h"
#include "supervisor/channel.h"

/*
 * What Linux allocates beside the payload, measured on loopback with
 * 6.x: headers and struct skb_shared_info in one allocation with the
 * payload, which is the next power of two, but for small ones; and a struct
 * sk_buff.  Beyond 16 KiB the payload lies in pages of its own.
 */
#define SKB_SMALL	576U
#define SKB_BESIDE	400U
#define SKB_STRUCT	256U
#define SKB_LINEAR_MAX	16384U

uint64_t
budget_truesize(uint64_t size)
{
	uint64_t room = 1024;

	if (size + SKB_BESIDE <= SKB_SMALL)
		return SKB_SMALL + SKB_STRUCT;
	if (size + SKB_BESIDE > SKB_LINEAR_MAX)
		return size + SKB_SMALL + SKB_STRUCT;
	while (room < size + SKB_BESIDE)
		room *= 2;
	return room + SKB_STRUCT;
}

/* All that came to the socket, also what did not get into the ring. */
static uint64_t
arrivals(const struct ingest_state *ingest)
{
	return ingest->counts.received + ingest->counts.kernel_dropped +
	    ingest->counts.truncated + ingest->counts.refused_source +
	    ingest->counts.merged;
}

/* Bytes of all buffers. */
static uint64_t
buffers(const struct parts *parts)
{
	socklen_t length;
	uint64_t sum = 0;
	int buffer;
	size_t i;

	for (i = 0; i < parts->inputs; i++) {
		length = sizeof(buffer);
		if (getsockopt(parts->input[i].fd, SOL_SOCKET, SO_RCVBUF,
		    &buffer, &length) == 0)
			sum += (uint64_t)buffer;
	}
	return sum;
}

/* How many datagrams of the mean size the buffers hold, or as many of any size
 * as an AF_XDP socket has frames; of the size assumed at
 * the start while there is no mean, or it cannot be read. */
static uint64_t
capacity(const struct channel *channel, uint64_t *size)
{
	struct ingest_state ingest;

	*size = channel->segment.base == NULL ||
	    !ingest_read(&channel->segment.state->ingest, &ingest) ||
	    ingest.counts.received == 0 ? BUDGET_SIZE :
	    MIN_OF(ingest.counts.received_bytes / ingest.counts.received,
	    (uint64_t)SLOT_SIZE);
	if (channel->xdp.told)
		return channel->xdp.socket.frames;
	return buffers(&channel->parts) / budget_truesize(*size);
}

static uint64_t
rate(const struct channel *channel)
{
	return channel->budget.peak_rate != 0 ? channel->budget.peak_rate :
	    BUDGET_RATE;
}

uint64_t
budget_ms(const struct channel *channel)
{
	uint64_t size;

	return capacity(channel, &size) * 1000 / rate(channel);
}

void
budget_tell(struct channel *channel)
{
	uint64_t size, count = capacity(channel, &size);

	channel->budget.warned = false;
	log_info("channel %s: its %s holds %" PRIu64 " datagrams of %" PRIu64
	    " bytes: it can be without a worker for %" PRIu64 " ms at %" PRIu64
	    " datagrams/s", channel->name, channel->xdp.told ?
	    "AF_XDP socket" : "receive buffer", count, size,
	    budget_ms(channel), rate(channel));
}

static void
warn_if_small(struct channel *channel)
{
	struct budget *budget = &channel->budget;
	uint64_t ms = budget_ms(channel);

	if (budget->warned || ms >= BUDGET_WARN_MS)
		return;
	budget->warned = true;
	log_warnx("channel %s: at %" PRIu64 " datagrams/s its receive buffer "
	    "lasts for %" PRIu64 " ms only, should its worker have to be "
	    "replaced: give it a larger listen.receive_buffer",
	    channel->name, budget->peak_rate, ms);
}

/*
 * The rate by the datagrams' own times of receipt: what had waited in the
 * socket and is received all at once does not look like a flood.  A clock
 * that steps costs one reading.
 */
void
budget_check(struct channel *channel)
{
	struct budget *budget = &channel->budget;
	uint64_t elapsed_ns, count;
	struct ingest_state ingest;

	if (!parts_has_input(&channel->parts) ||
	    channel->segment.base == NULL ||
	    !ingest_read(&channel->segment.state->ingest, &ingest))
		return;
	elapsed_ns = ingest.last_received_ns - budget->from_ns;
	if (ingest.last_received_ns >= budget->from_ns &&
	    elapsed_ns < NS_PER_S)
		return;
	count = arrivals(&ingest) - budget->from_count;
	if (budget->from_ns != 0 && count <= UINT32_MAX &&
	    elapsed_ns < UINT32_MAX * NS_PER_S)
		budget->peak_rate = MAX_OF(budget->peak_rate,
		    count * NS_PER_S / elapsed_ns);
	budget->from_ns = ingest.last_received_ns;
	budget->from_count = arrivals(&ingest);
	if (budget->peak_rate != 0)
		warn_if_small(channel);
}
