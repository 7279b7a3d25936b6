/* SPDX-License-Identifier: ISC */
/*
 * What a channel leaves when its worker has ended, in its socket and in its
 * ring: each datagram is counted somewhere.  And its own end.  Supervisor only.
 */
#include <sys/socket.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/inputs.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/channel_priv.h"
#include "supervisor/fdstore.h"
#include "supervisor/sockets.h"
#include "supervisor/supervisor.h"

/* Which of the segment's inputs it is, -1: none.  The segment may still be that
 * of an earlier configuration. */
static int
number_of(const struct segment *segment, const struct parts *parts,
    const struct input *input)
{
	uint32_t i;

	if (segment->inputs == 1 && parts->inputs == 1)
		return 0;
	for (i = 0; i < segment->inputs; i++)
		if (memcmp(&segment->input[i].address, &input->listen.address,
		    sizeof(input->listen.address)) == 0 &&
		    strncmp(segment->input[i].interface,
		    input->listen.interface, IF_NAMESIZE) == 0)
			return (int)i;
	return -1;
}

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
settle_drops(struct channel *channel, const struct input *of, int twin)
{
	const struct segment *segment = &channel->segment;
	char text[INPUT_TEXT_SIZE];
	struct ingest_state *state;
	struct input_state none = {.drops_seen = 0}, *input = &none;
	uint64_t waiting;
	uint32_t drops;
	int i;

	if (segment->base == NULL || of->fd == -1)
		return;
	i = number_of(segment, &channel->parts, of);
	/* Who feeds a stream's archive counts what is refused from now on; what
	 * the door keeps out nobody would. */
	if (channel->parts.feed != -1)
		(void)shutdown(channel->parts.feed, SHUT_WR);
	drops = sockets_drops(of->fd);
	waiting = sockets_close_door(of->fd);
	if (twin != -1)
		waiting = 0;
	state = inputs_begin(segment);
	if (i != -1)
		input = &inputs_of(segment, state)[i];
	drops -= input->drops_seen;	/* mod 2^32 */
	state->counts.kernel_dropped += drops + waiting;
	input->counts.kernel_dropped += drops + waiting;
	input->drops_seen = twin == -1 ? 0 :
	    MIN_OF(drops, sockets_drops(twin));
	ingest_commit(&segment->state->ingest);
	if (waiting == 0)
		return;
	(void)inputs_text(&of->listen, text);
	log_info("channel %s: its socket for %s is closed with %" PRIu64
	    " datagrams in it: counted as kernel_dropped", channel->name, text,
	    waiting);
}

static void
close_inputs(struct channel *channel)
{
	size_t i;

	for (i = 0; i < channel->parts.inputs; i++)
		settle_drops(channel, &channel->parts.input[i], -1);
	parts_close(&channel->parts, PART_INPUT);
	silence_end(&channel->silence);
	fdstore_channel(channel);
}

/* The one of `next' that hears what the other hears, too; NULL: none. */
static const struct input *
twin_of(const struct input *input, const struct parts *next)
{
	const char *on = input->listen.interface, *other_on;
	const struct input *other;
	size_t i;

	for (i = 0; i < next->inputs && input->fd != -1; i++) {
		other = &next->input[i];
		other_on = other->listen.interface;
		if (other->fd != -1 && sockets_same_group(input->fd,
		    other->fd) && (on[0] == '\0' || other_on[0] == '\0' ||
		    strcmp(on, other_on) == 0))
			return other;
	}
	return NULL;
}

static void
discard_copies(const struct segment *segment, int number, int twin)
{
	const struct ingest_state *state =
	    ingest_current(&segment->state->ingest);

	if (number != -1)
		(void)sockets_discard(twin, inputs_of(segment, state)[number].
		    last_received_ns);
}

/* The next inputs take the place of these; some are the same. */
static void
replace_inputs(struct channel *channel, const struct parts *next)
{
	const struct segment *segment = &channel->segment;
	const struct input *input, *twin;
	size_t i;

	for (i = 0; i < channel->parts.inputs; i++) {
		input = &channel->parts.input[i];
		if (parts_keep(next, input))
			continue;
		twin = twin_of(input, next);
		/* Copies of what the worker, which has ended, has received. */
		if (twin != NULL && segment->base != NULL)
			discard_copies(segment, number_of(segment,
			    &channel->parts, input), twin->fd);
		settle_drops(channel, input, twin != NULL ? twin->fd : -1);
	}
	parts_close(&channel->parts, PART_INPUT);
	silence_end(&channel->silence);
}

void
channel_take_next(struct channel *channel)
{
	struct parts *next = &channel->next;
	bool inputs = (next->have & PART_INPUT) != 0;

	if (inputs)
		replace_inputs(channel, next);
	parts_move(&channel->parts, next);
	if (inputs)
		fdstore_channel(channel);
}

uint64_t
channel_pending(const struct channel *channel)
{
	struct ledger ledger;

	return channel->segment.base != NULL &&
	    segment_ledger(&channel->segment, &ledger) ? ledger.pending : 0;
}

void
channel_tell_left(const struct channel *channel, const struct ledger *before)
{
	struct ledger now;

	if (before->pending > 0)
		log_warnx("channel %s: goes on without %" PRIu64 " datagrams "
		    "that were received and are in no archive: its worker did "
		    "not get to store them", channel->name, before->pending);
	if (segment_ledger(&channel->segment, &now) &&
	    now.relay_errors > before->relay_errors)
		log_warnx("channel %s: goes on without having relayed all: "
		    "%" PRIu64 " counted as relay_errors, which its worker "
		    "did not get to send", channel->name,
		    now.relay_errors - before->relay_errors);
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
	xdp_path_close(channel);
	close_inputs(channel);
}

void
channel_last_words(void *owner, char *text, size_t size)
{
	struct channel *channel = owner;
	size_t length = MIN_OF(size, (size_t)LAST_WORDS_SIZE) - 1;

	if (channel->segment.base == NULL || channel->foreign.worker)
		return;
	memcpy(text, channel->segment.state->last_words, length);
	text[length] = '\0';
	/* Killed, it leaves none. */
	if (text[0] == '\0' && channel->child.hosted && atomic_load_explicit(
	    &channel->segment.state->working, memory_order_relaxed) != 0)
		snprintf(text, size, "none: it was at work for this channel");
}

void
channel_free(struct channel *channel)
{
	child_done(&channel->child);
	foreign_drop(channel);
	xdp_path_close(channel);
	fdstore_remove(channel);
	parts_close(&channel->parts, PART_ALL);
	parts_close(&channel->next, PART_ALL);
	segment_close(&channel->segment);
	if (channel->decimator_event != -1)
		close(channel->decimator_event);
	free(channel);
}
