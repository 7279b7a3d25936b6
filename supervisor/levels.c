/* SPDX-License-Identifier: ISC */
/*
 * Of a channel's status, what is no counter.  Supervisor only.  Asks no disk,
 * which may keep one waiting: the worker's keeper thread has asked it.
 */
#include <sys/socket.h>
#include <stdint.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/levels.h"

static void
add(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer(
	    (json_int_t)MIN_OF(value, (uint64_t)INT64_MAX)));
}

static json_t *
ring_json(const struct channel *channel)
{
	json_t *object = json_object();

	add(object, "size_bytes", channel->segment.ring.size);
	add(object, "used_bytes", MIN_OF(channel->counts.ring_used,
	    channel->segment.ring.size));
	return object;
}

/* NULL: there is no socket. */
static json_t *
socket_json(int fd)
{
	socklen_t length = sizeof(int);
	struct udp_memory memory;
	json_t *object;
	int buffer;

	if (fd == -1 || getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer,
	    &length) == -1 || !udp_read_memory(fd, &memory))
		return NULL;
	object = json_object();
	add(object, "buffer_bytes", (uint64_t)buffer);
	add(object, "queued_bytes", memory.queued_bytes);
	return object;
}

/* The limits of the configuration, 0 for none, and what the worker has found;
 * it can only lie about its own channel. */
static json_t *
storage_json(const struct channel *channel)
{
	const struct archive_config *conf = &channel->conf->archive;
	const struct room *room = &channel->segment.state->room;
	json_t *object = json_object();
	uint64_t oldest_ns, free;

	add(object, "retain_age_ms", conf->retain_age_ns / NS_PER_MS);
	add(object, "retain_bytes", conf->retain_size);
	add(object, "retain_files", conf->retain_files);
	add(object, "min_free_bytes", conf->min_free);
	/* Partner: the release in the keeper's tell_room(). */
	if (atomic_load_explicit(&room->device, memory_order_acquire) == 0)
		return object;
	free = atomic_load_explicit(&room->free, memory_order_relaxed);
	oldest_ns = atomic_load_explicit(&room->oldest_ns,
	    memory_order_relaxed);
	if (free != UINT64_MAX)
		add(object, "free_bytes", free);
	add(object, "oldest_ns", oldest_ns == UINT64_MAX ? 0 : oldest_ns);
	return object;
}

void
levels_add(json_t *object, const struct channel *channel)
{
	json_t *socket = socket_json(channel->parts.input);

	add(object, "last_datagram_ns", channel->counts.last_received_ns);
	add(object, "away_ms", channel->child.away_ns / NS_PER_MS);
	if (channel->segment.base != NULL)
		json_object_set_new(object, "ring", ring_json(channel));
	if (socket != NULL)
		json_object_set_new(object, "socket", socket);
	if (channel->segment.base != NULL && channel->conf->archive.enabled)
		json_object_set_new(object, "storage", storage_json(channel));
}
