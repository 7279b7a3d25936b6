/* SPDX-License-Identifier: ISC */
/*
 * Of a channel's status, what is no counter.  Supervisor only.  Asks no disk,
 * which may keep one waiting: the worker's keeper thread has asked it.
 */
#include <stdint.h>
#include <stdio.h>

#include "common/archive_names.h"
#include "common/udp.h"
#include "common/uring.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/json_text.h"
#include "supervisor/levels.h"
#include "supervisor/supervisor.h"

static void
print_ring(struct growing *out, const struct channel *channel)
{
	json_text_open(out, "ring", '{');
	json_text_number(out, "size_bytes", channel->segment.ring.size);
	json_text_number(out, "used_bytes", MIN_OF(channel->counts.ring_used,
	    channel->segment.ring.size));
	json_text_close(out, '}');
}

/* Of several sockets the one that is fullest.  Nothing, if there is none. */
static void
print_socket(struct growing *out, const struct parts *parts)
{
	struct udp_memory memory = {0}, each;
	bool any = false;
	size_t i;

	for (i = 0; i < parts->inputs; i++) {
		if (parts->input[i].fd == -1 ||
		    !udp_read_memory(parts->input[i].fd, &each))
			continue;
		if (!any || (uint64_t)each.queued_bytes * memory.buffer_bytes >
		    (uint64_t)memory.queued_bytes * each.buffer_bytes)
			memory = each;
		any = true;
	}
	if (!any)
		return;
	json_text_open(out, "socket", '{');
	json_text_number(out, "buffer_bytes", memory.buffer_bytes);
	json_text_number(out, "queued_bytes", memory.queued_bytes);
	json_text_close(out, '}');
}

/* What the worker has found; it can only lie about its own channel. */
static void
print_room(struct growing *out, const struct room *room)
{
	uint64_t oldest_ns, free;

	/* Partner: the release in the keeper's tell_room(). */
	if (atomic_load_explicit(&room->device, memory_order_acquire) == 0)
		return;
	free = atomic_load_explicit(&room->free, memory_order_relaxed);
	oldest_ns = atomic_load_explicit(&room->oldest_ns,
	    memory_order_relaxed);
	if (free != UINT64_MAX)
		json_text_number(out, "free_bytes", free);
	json_text_number(out, "oldest_ns",
	    oldest_ns == UINT64_MAX ? 0 : oldest_ns);
}

/* With the limits of the configuration, 0 for none. */
static void
print_storage(struct growing *out, const struct channel *channel)
{
	const struct archive_config *conf = &channel->conf->archive;

	json_text_open(out, "storage", '{');
	json_text_number(out, "retain_age_ms",
	    conf->retain_age_ns / NS_PER_MS);
	json_text_number(out, "retain_bytes", conf->retain_size);
	json_text_number(out, "retain_files", conf->retain_files);
	json_text_number(out, "min_free_bytes", conf->min_free);
	print_room(out, &channel->segment.state->room);
	json_text_close(out, '}');
}

static void
print_file(struct growing *out, const char *name,
    const struct archive_file *file)
{
	json_text_open(out, NULL, '{');
	json_text_string(out, "name", name);
	json_text_number(out, "records", file->records);
	json_text_number(out, "bytes", file->size);
	json_text_close(out, '}');
}

/* Those that are being written: what of them is committed. */
static void
print_files(struct growing *out, const struct channel *channel)
{
	char name[ARCHIVE_NAME_SIZE], part[ARCHIVE_NAME_SIZE +
	    sizeof(ARCHIVE_PART)];
	const struct archive_file *file;
	unsigned kind;

	json_text_open(out, "files", '[');
	for (kind = 0; kind < ARCHIVE_KINDS; kind++) {
		file = &channel->counts.file[kind];
		if (file->phase != FILE_OPEN)
			continue;
		archive_name_write(name, channel->name, kind,
		    file->started_ns, file->first_sequence);
		(void)snprintf(part, sizeof(part), "%s" ARCHIVE_PART, name);
		print_file(out, part, file);
	}
	json_text_close(out, ']');
}

static const char *
way_name(uint32_t way)
{
	return way == IO_URING ? "io_uring" : way == IO_XDP ? "xdp" : "socket";
}

/* How it is had, or why not. */
static void
print_xdp(struct growing *out, const struct channel *channel)
{
	const struct xdp_link *at = xdp_path_link(channel);
	const struct xdp_input *xdp = &channel->xdp;

	json_text_open(out, "xdp", '{');
	if (at != NULL) {
		json_text_number(out, "program",
		    xdp_program_id(channel->supervisor->xdp.program));
		json_text_string(out, "attached",
		    at->in_driver ? "native" : "generic");
		json_text_string(out, "mode",
		    xdp->socket.zero_copy ? "zero-copy" : "copy");
		if (xdp->key.vlan != 0)
			json_text_number(out, "vlan", xdp->key.vlan);
		json_text_number(out, "queue", xdp->socket.queue);
		json_text_number(out, "frames", xdp->socket.frames);
	} else
		json_text_string(out, "not", xdp->why[0] != '\0' ?
		    xdp->why : "a socket or a worker is not ready");
	json_text_close(out, '}');
}

/* How it is done: what the file being written says, which may be less than what
 * is wanted. */
static void
print_io(struct growing *out, const struct channel *channel)
{
	const struct archive_file *file = &channel->counts.file[ARCHIVE_MAIN];
	bool uring = channel->conf->uring.enabled != 0;
	uint32_t wanted = archive_back_end(channel->conf->archive.write,
	    uring);
	uint32_t write = wanted;

	if (file->phase == FILE_OPEN)
		write = file->write;
	else if (channel->segment.base != NULL)
		write = archive_back_end(channel->conf->archive.write, uring &&
		    (atomic_load_explicit(&channel->segment.state->
		    uring_missed, memory_order_relaxed) & URING_WRITE) == 0);

	json_text_open(out, "io", '{');
	if (channel->segment.base != NULL) {
		json_text_string(out, "receive", way_name(
		    atomic_load_explicit(&channel->segment.state->receives_by,
		    memory_order_relaxed)));
		json_text_string(out, "send", "socket");
	}
	if (channel->conf->listen[0].xdp)
		print_xdp(out, channel);
	if (channel->conf->archive.enabled) {
		json_text_string(out, "write", archive_write_name(write));
		json_text_truth(out, "write_fallback", write != wanted);
	}
	json_text_close(out, '}');
}

void
levels_print(struct growing *out, const struct channel *channel)
{
	print_io(out, channel);
	json_text_number(out, "last_datagram_ns",
	    channel->counts.last_received_ns);
	json_text_number(out, "away_ms", channel->child.away_ns / NS_PER_MS);
	if (channel->segment.base != NULL)
		print_ring(out, channel);
	print_socket(out, &channel->parts);
	if (channel->segment.base != NULL && channel->conf->archive.enabled) {
		print_storage(out, channel);
		print_files(out, channel);
	}
}
