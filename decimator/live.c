/* SPDX-License-Identifier: ISC */
/*
 * Showing streams to mcrelay-web and mcrelay-forwarder.  Decimator.  Must not
 * block.
 */
#include <sys/socket.h>
#include <string.h>
#include <unistd.h>

#include "common/live.h"
#include "common/util.h"
#include "decimator/live.h"
#include "decimator/sending.h"
#include "decimator/stream_priv.h"

/* As many records as a packet takes, of datums of one byte. */
#define RECORDS_MAX	(LIVE_PACKET_MAX / (sizeof(struct live_record) + 8))

/* A packet in the making for each who looks. */
static struct packet {
	int		 socket;	/* -1: it does not */
	size_t		 size;		/* bytes of it; 0: nothing in it */
	size_t		 records;
	struct stream	*stream[RECORDS_MAX];
	struct live_gap	 gap[RECORDS_MAX];
	uint8_t		 data[LIVE_PACKET_MAX] ATTR_ALIGNED(CACHE_LINE);
} packets[LIVE_VIEWERS] = {
	[LIVE_WEB] = {.socket = -1},
	[LIVE_FORWARDER] = {.socket = -1},
};

/* Each record is told with the next one of its stream. */
static void
count_lost(const struct packet *packet, enum live_viewer viewer)
{
	struct live_gap *gap;
	size_t i;

	for (i = 0; i < packet->records; i++) {
		gap = &packet->stream[i]->live_gap[viewer];
		gap->missed += packet->gap[i].missed;
		gap->lost += packet->gap[i].lost + 1;
	}
}

static void
flush(enum live_viewer viewer)
{
	struct packet *packet = &packets[viewer];

	if (packet->size == 0)
		return;
	if (send(packet->socket, packet->data, packet->size,
	    MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)packet->size)
		count_lost(packet, viewer);
	packet->size = packet->records = 0;
}

void
live_flush(void)
{
	enum live_viewer viewer;

	for (viewer = 0; viewer < LIVE_VIEWERS; viewer++)
		flush(viewer);
}

void
live_socket(enum live_viewer viewer, int socket)
{
	flush(viewer);
	if (packets[viewer].socket != -1)
		close(packets[viewer].socket);
	packets[viewer].socket = socket;
}

void
live_missed(struct stream *stream, uint64_t missed)
{
	enum live_viewer viewer;

	for (viewer = 0; viewer < LIVE_VIEWERS; viewer++)
		stream->live_gap[viewer].missed += missed;
}

static void
append(struct packet *packet, struct live_gap *gap, struct stream *stream,
    const uint8_t *data, size_t size)
{
	struct live_record record = {
		.key		= stream->live_key,
		.time_ns	= stream->received_ns,
		.missed		= gap->missed,
		.lost		= gap->lost,
		.size		= (uint32_t)size,
	};
	size_t padding = LIVE_PADDED(size) - size;

	packet->stream[packet->records] = stream;
	packet->gap[packet->records++] = *gap;
	memset(gap, 0, sizeof(*gap));
	memcpy(packet->data + packet->size, &record, sizeof(record));
	packet->size += sizeof(record);
	memcpy(packet->data + packet->size, data, size);
	memset(packet->data + packet->size + size, 0, padding);
	packet->size += size + padding;
}

static void
show(enum live_viewer viewer, struct stream *stream, const uint8_t *data,
    size_t size)
{
	static const uint64_t magic = LIVE_MAGIC;
	struct live_gap *gap = &stream->live_gap[viewer];
	struct packet *packet = &packets[viewer];

	/* Nobody has looked yet, or it is another host's to be passed on:
	 * nothing is missed. */
	if (packet->socket == -1 || (viewer == LIVE_FORWARDER &&
	    stream_is_anothers(stream, stream->done_ns))) {
		memset(gap, 0, sizeof(*gap));
		return;
	}
	if (size > LIVE_DATUM_MAX) {
		gap->lost++;
		return;
	}
	if (packet->size + sizeof(struct live_record) + LIVE_PADDED(size) >
	    sizeof(packet->data) || packet->records == RECORDS_MAX)
		flush(viewer);
	if (packet->size == 0) {
		memcpy(packet->data, &magic, sizeof(magic));
		packet->size = sizeof(magic);
	}
	append(packet, gap, stream, data, size);
}

void
live_datum(struct stream *stream, const uint8_t *data, size_t size)
{
	enum live_viewer viewer;

	for (viewer = 0; viewer < LIVE_VIEWERS; viewer++)
		show(viewer, stream, data, size);
}
