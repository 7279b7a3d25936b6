/* SPDX-License-Identifier: ISC */
/*
 * Room on file systems.  Supervisor only.  Reads what workers write: a hostile
 * one can only have files of others removed that their own `min_free' would
 * cost them on a full disk, and which that channel's worker finds too little
 * free for itself.
 */
#include <string.h>

#include "common/message.h"
#include "common/util.h"
#include "supervisor/room.h"
#include "supervisor/supervisor.h"

/* 0: the channel has no part in it. */
static uint64_t
device_of(const struct channel *channel)
{
	return channel->child.state != CHILD_RUNNING ||
	    channel->conf->archive.min_free == 0 ? 0 :
	    atomic_load_explicit(&channel->segment.state->room.device,
	    memory_order_acquire);
}

static uint64_t
oldest_of(const struct channel *channel)
{
	return atomic_load_explicit(
	    &channel->segment.state->room.oldest_ns, memory_order_relaxed);
}

/* The last that any of them has seen is the least: room only grows when
 * somebody removes something, and then all look again. */
static uint64_t
free_on(const struct supervisor *supervisor, uint64_t device)
{
	const struct channel *channel;
	uint64_t least = UINT64_MAX;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (device_of(channel) == device)
			least = MIN_OF(least, atomic_load_explicit(
			    &channel->segment.state->room.free,
			    memory_order_relaxed));
	return least;
}

static void
make_room(struct supervisor *supervisor, uint64_t device)
{
	struct message message = {.type = MESSAGE_MAKE_ROOM};
	uint64_t free = free_on(supervisor, device), next = UINT64_MAX;
	struct channel *channel, *first = NULL;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		if (device_of(channel) != device ||
		    free >= channel->conf->archive.min_free ||
		    oldest_of(channel) == UINT64_MAX)
			continue;
		if (first == NULL || oldest_of(channel) < oldest_of(first)) {
			if (first != NULL)
				next = MIN_OF(next, oldest_of(first));
			first = channel;
		} else
			next = MIN_OF(next, oldest_of(channel));
	}
	if (first == NULL)
		return;
	/* Partner: the acquire in the keeper's retain_run(). */
	atomic_store_explicit(&first->segment.state->room.until_ns, next,
	    memory_order_release);
	child_send(&first->child, &message);
}

void
room_check(struct supervisor *supervisor)
{
	struct channel *channel, *before;
	uint64_t device;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		device = device_of(channel);
		if (device == 0)
			continue;
		/* Each file system once. */
		TAILQ_FOREACH(before, &supervisor->channels, link)
			if (before == channel || device_of(before) == device)
				break;
		if (before == channel)
			make_room(supervisor, device);
	}
}
