/* SPDX-License-Identifier: ISC */
/*
 * Shares memory out among rings.  See rings.h.  Supervisor only.
 */
#include <inttypes.h>

#include "common/util.h"
#include "supervisor/needs.h"
#include "supervisor/report.h"
#include "supervisor/rings.h"

static const struct channel_conf *
ring_before(const struct conf *before, const struct channel_conf *channel)
{
	const struct channel_conf *old = before == NULL ? NULL :
	    conf_channel(before, channel->name);

	return old != NULL && old->ring_auto ? old : NULL;
}

/* Never to larger ones than before. */
static void
set_all(struct conf *conf, const struct conf *before, uint64_t size)
{
	const struct channel_conf *old;
	struct channel_conf *channel;
	uint64_t most;
	size_t i;

	for (i = 0; i < conf->channels; i++) {
		channel = &conf->channel[i];
		if (!channel->ring_auto)
			continue;
		most = channel->archives_stream ? STREAM_ARCHIVE_RING_SIZE :
		    RING_SIZE_PRESET;
		old = ring_before(before, channel);
		channel->ring_size = old != NULL ? old->ring_size :
		    MIN_OF(size, most);
		channel->archive.block_size = MIN_OF(
		    channel->archive.block_size,
		    channel->ring_size / RING_BLOCKS);
	}
}

static uint64_t
memory_of(const struct conf *conf)
{
	struct needs needs;

	needs_of(&needs, conf);
	return needs.memory;
}

static uint64_t
mebibytes(uint64_t bytes)
{
	return bytes / (1 << 20) + (bytes % (1 << 20) != 0);
}

void
rings_fit(struct conf *conf, const struct conf *before,
    struct conf_problems *problems)
{
	uint64_t size = RING_SIZE_PRESET, need;

	set_all(conf, before, size);
	if (conf->memory == 0)
		return;
	while ((need = memory_of(conf)) > conf->memory &&
	    size > RING_SIZE_MIN) {
		size /= 2;
		set_all(conf, before, size);
	}
	if (need > conf->memory)
		report_error(problems, "%s: all channels together need %"
		    PRIu64 " MiB at the least, but `memory' is %" PRIu64
		    " MiB: %s", conf->file, mebibytes(need),
		    conf->memory >> 20, before != NULL &&
		    memory_of(before) <= conf->memory ? "what a channel has "
		    "it keeps over a reload; a restart shares it out anew" :
		    "give them a smaller ring_size, or `auto', or more "
		    "`memory'");
}
