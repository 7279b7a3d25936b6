/* SPDX-License-Identifier: ISC */
/*
 * Showing streams to mcrelay-web.  Decimator.  Must not block.
 */
#include <sys/socket.h>
#include <string.h>
#include <unistd.h>

#include "common/live.h"
#include "common/util.h"
#include "decimator/live.h"
#include "decimator/stream.h"

/* As many records as a packet takes, of datums of one byte. */
#define RECORDS_MAX	(LIVE_PACKET_MAX / (sizeof(struct live_record) + 8))

/* A packet in the making. */
static struct {
	int		 socket;
	size_t		 size;		/* bytes of it; 0: nothing in it */
	size_t		 records;
	struct stream	*stream[RECORDS_MAX];
	uint64_t	 missed[RECORDS_MAX];
	uint64_t	 lost[RECORDS_MAX];
	uint8_t		 data[LIVE_PACKET_MAX] ATTR_ALIGNED(CACHE_LINE);
} packet = {.socket = -1};

void
live_socket(int socket)
{
	live_flush();
	if (packet.socket != -1)
		close(packet.socket);
	packet.socket = socket;
}

/* Each record is told with the next one of its stream. */
static void
count_lost(void)
{
	struct stream *stream;
	size_t i;

	for (i = 0; i < packet.records; i++) {
		stream = packet.stream[i];
		stream->live_missed += packet.missed[i];
		stream->live_lost += packet.lost[i] + 1;
	}
}

void
live_flush(void)
{
	if (packet.size == 0)
		return;
	if (send(packet.socket, packet.data, packet.size,
	    MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)packet.size)
		count_lost();
	packet.size = packet.records = 0;
}

static void
append(struct stream *stream, const uint8_t *data, size_t size)
{
	struct live_record record = {
		.key		= stream->live_key,
		.time_ns	= stream->received_ns,
		.missed		= stream->live_missed,
		.lost		= stream->live_lost,
		.size		= (uint32_t)size,
	};
	size_t padding = LIVE_PADDED(size) - size;

	packet.stream[packet.records] = stream;
	packet.missed[packet.records] = record.missed;
	packet.lost[packet.records++] = record.lost;
	stream->live_missed = stream->live_lost = 0;
	memcpy(packet.data + packet.size, &record, sizeof(record));
	packet.size += sizeof(record);
	memcpy(packet.data + packet.size, data, size);
	memset(packet.data + packet.size + size, 0, padding);
	packet.size += size + padding;
}

void
live_datum(struct stream *stream, const uint8_t *data, size_t size)
{
	static const uint64_t magic = LIVE_MAGIC;

	/* Nobody has looked yet: nothing is missed. */
	if (packet.socket == -1) {
		stream->live_missed = stream->live_lost = 0;
		return;
	}
	if (size > LIVE_DATUM_MAX) {
		stream->live_lost++;
		return;
	}
	if (packet.size + sizeof(struct live_record) + LIVE_PADDED(size) >
	    sizeof(packet.data) || packet.records == RECORDS_MAX)
		live_flush();
	if (packet.size == 0) {
		memcpy(packet.data, &magic, sizeof(magic));
		packet.size = sizeof(magic);
	}
	append(stream, data, size);
}
