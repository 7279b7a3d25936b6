/* SPDX-License-Identifier: ISC */
/*
 * Which slot of the decimator's page belongs to which of a channel's streams.
 * Supervisor only.
 */
#include <bsd/stdlib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/channel.h"
#include "supervisor/supervisor.h"

void
channel_note_slots(struct channel *channel)
{
	struct channel_config *config;

	if (channel->segment.base == NULL)
		return;
	config = (void *)(uintptr_t)channel->segment.config;
	memcpy(config->slot, channel->slot, sizeof(config->slot));
	memcpy(config->slot_id, channel->slot_id, sizeof(config->slot_id));
}

uint32_t
channel_slot(const struct channel *channel, const char *stream)
{
	uint32_t i;

	for (i = 0; i < STREAMS_MAX; i++)
		if (strcmp(channel->slot[i], stream) == 0)
			break;
	return i;
}

static bool
stream_exists(const struct channel_conf *conf, const char *name)
{
	size_t i;

	for (i = 0; i < conf->decimates; i++)
		if (strcmp(conf->decimate[i].name, name) == 0)
			return true;
	return false;
}

/* No other stream of the channel has or had it: not even one that an earlier
 * supervisor knew. */
static uint64_t
new_id(void)
{
	uint64_t id;

	do
		arc4random_buf(&id, sizeof(id));
	while (id == 0);
	return id;
}

/* A stream keeps its slot as long as it exists; a new one gets a slot with a
 * new id, by which the decimator sees that the numbers in it are not the
 * stream's.  There are as many slots as there can be streams. */
void
channel_assign_slots(struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;
	const char *name;
	uint32_t slot;
	size_t i;

	for (slot = 0; slot < STREAMS_MAX; slot++)
		if (!stream_exists(conf, channel->slot[slot]))
			channel->slot[slot][0] = '\0';
	for (i = 0; i < conf->decimates; i++) {
		name = conf->decimate[i].name;
		if (channel_slot(channel, name) < STREAMS_MAX)
			continue;
		slot = channel_slot(channel, "");
		snprintf(channel->slot[slot], sizeof(channel->slot[slot]),
		    "%s", name);
		channel->slot_id[slot] = new_id();
	}
	channel_note_slots(channel);
	/* It is told within a second: there may be a thousand channels. */
	channel->supervisor->web.streams_told = false;
}
