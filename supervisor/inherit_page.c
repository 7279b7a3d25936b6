/* SPDX-License-Identifier: ISC */
/*
 * What the decimator's page of a channel's new segment takes over from the old
 * one.  Supervisor only.
 */
#include <stdatomic.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/supervisor.h"

static bool
is_archived(const struct channel_conf *conf, const char *stream)
{
	size_t i;

	for (i = 0; i < conf->decimates; i++)
		if (strcmp(conf->decimate[i].name, stream) == 0)
			return conf->decimate[i].archive != 0;
	return false;
}

/*
 * A decimator that was killed has counted more than it had committed with
 * `progress', of that generation.  One that is alive goes on with what it has
 * counted itself.
 */
static void
inherit_sent(const struct channel *channel, uint64_t generation,
    struct decimated_state *progress)
{
	const struct decimator_page *page = channel->segment.page;
	struct stream_counts counts;
	struct sent_state sent;
	uint64_t id;
	unsigned i;

	for (i = 0; i < STREAMS_MAX; i++) {
		id = channel->slot_id[i];
		if (id == 0 || !sent_read(&page->sent[i], &sent) ||
		    !sent_latest_counts(&progress->stream[i], generation,
		    &sent, id, &counts))
			continue;
		sent_count_due(generation, &sent, id,
		    is_archived(channel->conf, channel->slot[i]), &counts);
		progress->stream[i].id = id;
		progress->stream[i].counts = counts;
	}
}

/* The decimator's page goes on where it was, or begins anew with the other
 * counters.  Who has the channel may write to the old one still. */
void
channel_inherit_decimator(const struct channel *channel,
    const struct segment *fresh)
{
	const struct segment *before = &channel->segment;
	struct decimated_state *to = decimated_begin(&fresh->page->progress);
	uint64_t from_sequence = fresh->config->counted_from;
	uint64_t generation = atomic_load_explicit(
	    &before->page->progress.generation, memory_order_acquire);
	struct decimated_state from;

	if (!decimated_read(&before->page->progress, &from)) {
		log_warnx("channel %s: its decimator's page changes too fast "
		    "to be read: a decimator that has yet to start begins "
		    "anew", channel->name);
		return;
	}
	inherit_sent(channel, generation, &from);
	if (from_sequence == before->config->counted_from)
		memcpy(to->stream, from.stream, sizeof(to->stream));
	if (from.position != 0) {
		to->sequence = MAX_OF(from.sequence, from_sequence);
		to->position = ring_start(fresh->ring.size);
	}
	decimated_commit(&fresh->page->progress);
}
