/* SPDX-License-Identifier: ISC */
/*
 * What a channel leaves when its worker has ended, in its socket and in its
 * ring: each datagram is counted somewhere.  Supervisor only.
 */
#include <inttypes.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/channel_priv.h"
#include "supervisor/fdstore.h"
#include "supervisor/sockets.h"
#include "supervisor/supervisor.h"

/*
 * What the kernel dropped since the worker last looked, and what waits in the
 * socket still, would be forgotten with the socket.  The next one counts from
 * zero.
 *
 * Two sockets of one group have each got every datagram: what waits in the
 * old one waits in the new one as well, and what the new one has dropped, too,
 * was dropped once.
 */
static void
settle_drops(struct channel *channel, int twin)
{
	struct ingest_state *state;
	uint64_t waiting;
	uint32_t drops;

	if (channel->segment.base == NULL || channel->parts.input == -1)
		return;
	drops = sockets_drops(channel->parts.input);
	waiting = sockets_close_door(channel->parts.input);
	if (twin != -1)
		waiting = 0;
	state = ingest_begin(&channel->segment.state->ingest);
	drops -= state->drops_seen;	/* mod 2^32 */
	state->counts.kernel_dropped += drops + waiting;
	state->drops_seen = twin == -1 ? 0 :
	    MIN_OF(drops, sockets_drops(twin));
	ingest_commit(&channel->segment.state->ingest);
	if (waiting > 0)
		log_info("channel %s: its socket is closed with %" PRIu64
		    " datagrams in it: counted as kernel_dropped",
		    channel->name, waiting);
}

static void
close_input(struct channel *channel)
{
	settle_drops(channel, -1);
	parts_close(&channel->parts, PART_INPUT);
	silence_end(&channel->silence);
	fdstore_channel(channel);
}

/* The next input takes the place of this one. */
static void
replace_input(struct channel *channel, int next)
{
	bool twin = channel->parts.input != -1 &&
	    sockets_same_group(channel->parts.input, next);

	/* Copies of what the worker, which has ended, has received. */
	if (twin && channel->segment.base != NULL)
		(void)sockets_discard(next, ingest_current(
		    &channel->segment.state->ingest)->last_received_ns);
	settle_drops(channel, twin ? next : -1);
	parts_close(&channel->parts, PART_INPUT);
	silence_end(&channel->silence);
	fdstore_channel(channel);
}

void
channel_take_next(struct channel *channel)
{
	struct parts *next = &channel->next;

	if ((next->have & PART_INPUT) != 0)
		replace_input(channel, next->input);
	parts_move(&channel->parts, next);
}

uint64_t
channel_pending(const struct channel *channel)
{
	struct ledger ledger;

	return channel->segment.base != NULL &&
	    segment_ledger(&channel->segment, &ledger) ? ledger.pending : 0;
}

/* What workers could not store they have counted themselves. */
static void
settle_archive(struct channel *channel)
{
	uint64_t pending = channel_pending(channel);
	bool ending = channel->supervisor->phase == PHASE_STOPPING;

	if (pending > 0)
		log_warnx("channel %s: ends with %" PRIu64 " datagrams that "
		    "were received and are in no archive: its worker did not "
		    "get to store them", channel->name, pending);
	if (ending && (pending > 0 || (channel->segment.base != NULL &&
	    atomic_load_explicit(&channel->segment.state->drained,
	    memory_order_acquire) == DRAINED_WITH_LOSS)))
		channel->supervisor->incomplete = true;
}

void
channel_settle(struct channel *channel)
{
	settle_archive(channel);
	close_input(channel);
}
