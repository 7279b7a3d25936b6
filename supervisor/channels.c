/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's channels, all together.
 */
#include <signal.h>
#include <string.h>

#include "supervisor/channels.h"
#include "supervisor/report.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

struct channel *
channels_find(const struct supervisor *supervisor, const char *name)
{
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (strcmp(channel->name, name) == 0)
			break;
	return channel;
}

void
channels_rotate(struct supervisor *supervisor, struct channel *only)
{
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if ((only == NULL || channel == only) &&
		    channel->child.state == CHILD_RUNNING)
			child_signal(&channel->child, SIGHUP);
}

void
channels_retry(struct supervisor *supervisor)
{
	struct channel *channel;

	if (supervisor->phase == PHASE_STOPPING)
		return;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		channel_retry(channel);
}

static bool
namesake_leaves(const struct supervisor *supervisor, const char *name)
{
	const struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->leaving, link)
		if (strcmp(channel->name, name) == 0)
			return true;
	return false;
}

void
channels_start_new(struct supervisor *supervisor)
{
	struct conf_problems problems = {NULL, 0, 0};
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (channel->fresh &&
		    !namesake_leaves(supervisor, channel->name))
			channel_start(channel, &problems);
	report_log(&problems, 0);
	conf_problems_free(&problems);
}

void
channels_free_leaving(struct supervisor *supervisor)
{
	struct channel *channel, *next;
	bool freed = false;

	for (channel = TAILQ_FIRST(&supervisor->leaving); channel != NULL;
	    channel = next) {
		next = TAILQ_NEXT(channel, link);
		if (channel->child.stuck &&
		    supervisor->phase == PHASE_STOPPING)
			child_abandon(&channel->child);
		if (channel->child.pid != 0)
			continue;
		TAILQ_REMOVE(&supervisor->leaving, channel, link);
		if (supervisor->phase != PHASE_STOPPING)
			tell_removed(channel);
		else
			tell_end(channel);
		channel_free(channel);
		freed = true;
	}
	if (freed && supervisor->phase != PHASE_STOPPING)
		channels_start_new(supervisor);
}

bool
channels_stop(struct supervisor *supervisor, bool stream_archives)
{
	struct channel *channel;
	bool gone = true;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		if (channel->conf->archives_stream != stream_archives)
			continue;
		if (channel->child.wanted || channel->fresh)
			channel_stop(channel);
		if (channel->child.stuck)
			child_abandon(&channel->child);
		gone = gone && channel->child.pid == 0;
	}
	return gone;
}
