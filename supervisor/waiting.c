/* SPDX-License-Identifier: ISC */
/*
 * What a channel lacks, and waits for.  Supervisor only.
 */
#include <string.h>

#include "common/log.h"
#include "supervisor/directory.h"
#include "supervisor/runnable.h"
#include "supervisor/supervisor.h"
#include "supervisor/waiting.h"

/* Those of a part that the next worker gets. */
static const struct parts *
next_parts(const struct channel *channel, unsigned part)
{
	return (channel->next.have & part) != 0 ? &channel->next :
	    &channel->parts;
}

void
waiting_hold(struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;

	channel->child.held = !runnable_worker(channel) ||
	    !kernel_path_ready(channel) || !xdp_path_ready(channel) ||
	    channel->segment.base == NULL || channel->parts.lack.memory ||
	    !parts_complete(next_parts(channel, PART_INPUT), conf,
	    PART_INPUT) ||
	    !parts_complete(next_parts(channel, PART_WORKER), conf,
	    PART_WORKER);
}

void
waiting_say(struct channel *channel)
{
	const struct lack *lack = channel_lack(channel);

	if (lack == NULL || strcmp(lack->detail, channel->lacked) == 0)
		return;
	memcpy(channel->lacked, lack->detail, sizeof(channel->lacked));
	/* Of all channels the same, and said at the start. */
	if (lack->program && strcmp(lack->detail,
	    channel->supervisor->not_runnable) == 0)
		return;
	log_warnx("channel %s waits: %s", channel->name, lack->detail);
}

static void
fill_parts(struct channel *channel, struct parts *parts, unsigned which,
    struct conf_problems *problems)
{
	parts_fill(parts, channel->conf, which, problems);
	if ((which & PART_INPUT) != 0)
		parts_leave_inputs(parts, channel->conf);
}

/* Those of a change that waits, too. */
static void
fill(struct channel *channel, unsigned which, struct conf_problems *problems)
{
	unsigned next = which & channel->next.have;

	fill_parts(channel, &channel->parts, which & ~next, problems);
	if ((next & PART_WORKER) != 0)
		directory_keep(&channel->next, &channel->parts,
		    channel->conf);
	fill_parts(channel, &channel->next, next, problems);
}

const struct lack *
channel_lack(const struct channel *channel)
{
	if (channel->child.state != CHILD_WAITING)
		return NULL;
	if (channel->program.error != 0)
		return &channel->program;
	if (channel->next.lack.error != 0)
		return &channel->next.lack;
	if (channel->parts.lack.error != 0)
		return &channel->parts.lack;
	if (channel->kernel.error != 0)
		return &channel->kernel;
	return channel->xdp.lack.error != 0 ? &channel->xdp.lack : NULL;
}

/* All of it. */
static void
fill_all(struct channel *channel, struct conf_problems *problems)
{
	fill(channel, PART_ALL, problems);
	if (!channel_make_segment(channel, channel->supervisor->conf))
		return;
	if (channel->parts.streams > 0)
		decimator_tell(channel);
}

/* Streams do not keep the worker: the decimator waits for theirs. */
static void
retry_streams(struct channel *channel, struct conf_problems *problems)
{
	if (parts_complete(&channel->parts, channel->conf, PART_STREAMS))
		return;
	fill(channel, PART_STREAMS, problems);
	if (parts_complete(&channel->parts, channel->conf, PART_STREAMS))
		decimator_tell(channel);
}

void
channel_retry(struct channel *channel)
{
	struct conf_problems problems = {NULL, 0, 0};

	if (channel->fresh)
		return;
	if (channel->child.state != CHILD_WAITING)
		retry_streams(channel, &problems);
	else {
		fill_all(channel, &problems);
		waiting_hold(channel);
		if (!channel->child.held) {
			log_info("channel %s: what it waited for is there",
			    channel->name);
			channel_start(channel, &problems);
		}
		waiting_say(channel);
	}
	conf_problems_free(&problems);
}

bool
waiting_open(struct channel *channel, struct conf_problems *problems)
{
	/* While the old worker is ending it has the socket still. */
	if (channel->child.pid == 0)
		fill_all(channel, problems);
	waiting_hold(channel);
	return !channel->child.held;
}
