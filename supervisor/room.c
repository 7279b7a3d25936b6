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

#define PATIENCE_S	3U

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

/* Has a worker remove what was finished by then, if it finds too little free
 * itself. */
static void
tell(struct channel *channel, uint64_t until_ns)
{
	struct message message = {.type = MESSAGE_MAKE_ROOM};

	/* Partner: the acquire in the keeper's retain_run(). */
	atomic_store_explicit(&channel->segment.state->room.until_ns,
	    until_ns, memory_order_release);
	child_send(&channel->child, &message);
}

/* Counts how long it has been asked and has removed nothing. */
static void
ask(struct channel *channel, uint64_t until_ns, bool second)
{
	uint64_t oldest = oldest_of(channel);

	if (oldest != channel->room_oldest_ns)
		channel->room_asked_s = 0;
	channel->room_oldest_ns = oldest;
	channel->room_asked_s += second;
	tell(channel, until_ns);
}

/* Whether it could give room: finds less free than it wants, and has a file. */
static bool
may_give(const struct channel *channel, uint64_t device, uint64_t free)
{
	return device_of(channel) == device &&
	    free < channel->conf->archive.min_free &&
	    oldest_of(channel) != UINT64_MAX;
}

/*
 * One whose disk, or whose will, lets it remove nothing must not keep the
 * others from it: who was asked for so many seconds and has not done so is
 * passed over, until there is room or nobody else is left.  (A hostile worker
 * can say that it does; it can as well fill the disk.)
 */
static void
make_room(struct supervisor *supervisor, uint64_t device, bool second)
{
	uint64_t free = free_on(supervisor, device), next = UINT64_MAX;
	struct channel *channel, *first = NULL;
	bool passed = false;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		if (!may_give(channel, device, free)) {
			if (device_of(channel) == device)
				channel->room_asked_s = 0;
		} else if (channel->room_asked_s >= PATIENCE_S)
			passed = true;
		else if (first == NULL || oldest_of(channel) <
		    oldest_of(first)) {
			if (first != NULL)
				next = MIN_OF(next, oldest_of(first));
			first = channel;
		} else
			next = MIN_OF(next, oldest_of(channel));
	}
	if (first != NULL) {
		ask(first, next, second);
	} else if (passed)
		TAILQ_FOREACH(channel, &supervisor->channels, link)
			if (device_of(channel) == device)
				channel->room_asked_s = 0;
}

void
room_check(struct supervisor *supervisor, bool second)
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
			make_room(supervisor, device, second);
	}
}
