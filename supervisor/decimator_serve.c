/* SPDX-License-Identifier: ISC */
/*
 * Telling a decimator of a channel: its segment, its streams, their sockets.
 * Supervisor only.
 */
#include <string.h>
#include <unistd.h>

#include "common/message.h"
#include "common/util.h"
#include "supervisor/channels.h"
#include "supervisor/decimator_priv.h"
#include "supervisor/memory_file.h"
#include "supervisor/supervisor.h"

/* The segment and the eventfd come before the streams' sockets, plans and
 * feeds. */
#define SERVE_FDS		(2 + 3 * STREAMS_MAX)
_Static_assert(SERVE_FDS <= FD_PASS_MAX, "fit in one message");

static void
fill_stream(struct stream_config *config, const struct channel *channel,
    const struct stream_conf *conf)
{
	memcpy(config->name, conf->name, sizeof(config->name));
	format_address((const void *)&conf->to.address, config->destination);
	config->method = conf->method;
	config->range = conf->range;
	config->slot = channel_slot(channel, conf->name);
	config->id = channel->slot_id[config->slot];
	config->every = conf->every;
	config->interval_ns = conf->interval_ns;
	config->clock = conf->clock;
	config->planned = conf->plan != NULL;
	config->pack = conf->pack;
	config->derived = conf->schema_text != NULL;
	config->archived = conf->archive;
}

/* Appends the files of those streams that have a plan; false: no memory. */
static bool
add_plans(const struct channel_conf *conf, size_t streams, int *fds,
    size_t *count)
{
	size_t i;

	for (i = 0; i < streams; i++) {
		if (conf->decimate[i].plan == NULL)
			continue;
		fds[*count] = memory_file("mcrelay-plan",
		    conf->decimate[i].plan, conf->decimate[i].plan_size);
		if (fds[*count] == -1)
			return false;
		(*count)++;
	}
	return true;
}

/* The socket that feeds the stream's archive, or -1. */
static int
feed_of(const struct channel *channel, const struct stream_conf *conf)
{
	char name[CHANNEL_NAME_MAX + 1];
	const struct channel *archiver;

	if (!conf->archive || !conf_stream_archive_name(name, channel->name,
	    conf->name))
		return -1;
	archiver = channels_find(channel->supervisor, name);
	if (archiver == NULL || (!archiver->child.wanted && !archiver->fresh))
		return -1;
	/* A socket for another schema waits for the end of the worker. */
	return (archiver->next.have & PART_INPUT) != 0 ? archiver->next.feed :
	    archiver->parts.feed;
}

/* Appends the sockets of those streams that have an archive. */
static void
add_feeds(const struct channel *channel, struct message *message,
    int *fds, size_t *count)
{
	size_t i;
	int feed;

	for (i = 0; i < message->streams; i++) {
		feed = feed_of(channel, &channel->conf->decimate[i]);
		message->stream[i].feeds = feed != -1;
		if (feed != -1)
			fds[(*count)++] = feed;
	}
}

bool
decimator_serve(struct decimator *decimator, const struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;
	const struct parts *parts = &channel->parts;
	struct message message;
	int fds[SERVE_FDS];
	size_t i, n = 0, plans, end;
	bool sent = false;

	memset(&message, 0, sizeof(message));
	message.type = MESSAGE_SERVE;
	message.channel = channel->number;
	memcpy(message.name, channel->name, sizeof(message.name));
	message.log_level = decimator->supervisor->conf->log_level;
	message.streams = (uint32_t)parts->streams;
	message.samples = conf->samples;
	fds[n++] = channel->segment.fd;
	fds[n++] = channel->decimator_event;
	for (i = 0; i < parts->streams; i++) {
		fill_stream(&message.stream[i], channel, &conf->decimate[i]);
		fds[n++] = parts->stream[i];
	}
	plans = n;
	if (add_plans(conf, parts->streams, fds, &n)) {
		end = n;
		add_feeds(channel, &message, fds, &n);
		sent = decimator_send(decimator, &message, fds, n);
		n = end;
	}
	while (n > plans)
		close(fds[--n]);
	return sent;
}
