/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing those who read a segment that somebody has damaged: the supervisor
 * and the decimator.  The input is a list of changes to a good segment, with a
 * few records in its ring: see struct change.
 *
 * What is mapped lies within the object and its second mapping of the ring;
 * counters are read whole or not at all; the status is JSON; a reader takes
 * what it is given and comes to an end, or says that it makes no sense.
 */
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/message.h"
#include "common/util.h"
#include "decimator/reader.h"
#include "schema/schema.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"
#include "tests/fuzz/scratch.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Steps of which each takes one record at least, or time. */
#define STEPS		64
#define RECORDS		6

/* The data follow. */
struct change {
	uint8_t	area;		/* modulo AREAS + 1: the header */
	uint8_t	offset[2];	/* in it, low byte first */
	uint8_t	size;
};

static const char schema[] = "{\"type\":\"record\",\"name\":\"S\",\"fields\":["
    "{\"name\":\"t\",\"type\":{\"type\":\"long\",\"logicalType\":"
    "\"timestamp-micros\"}},{\"name\":\"x\",\"type\":\"double\"},"
    "{\"name\":\"n\",\"type\":\"int\"}]}";

static void
put_record(struct segment *segment, uint8_t number)
{
	uint8_t data[10] = {(uint8_t)(2 * number)};
	struct ring_record record = {.length = sizeof(data),
	    .received_ns = clock_realtime_ns()};
	struct ingest_state *ingest = ingest_begin(&segment->state->ingest);

	data[9] = number;
	record.sequence = ingest->sequence++;
	ring_reserve(&segment->ring, ingest->head +
	    ring_record_size(sizeof(data)));
	memcpy(ring_at(&segment->ring, ingest->head) + sizeof(record), data,
	    sizeof(data));
	ingest->head = ring_append(&segment->ring, ingest->head, &record);
	ingest->counts.received++;
	ingest_commit(&segment->state->ingest);
	ring_publish(&segment->ring, ingest->head);
}

static void
make_segment(struct segment *segment)
{
	static struct schema_result result;
	struct segment_spec spec = {
		.config = {.name = "test", .payload = PAYLOAD_AVRO,
		    .outputs = 1, .archive.enabled = 1},
		.schema = schema,
		.ring_size = RING_SIZE_MIN,
	};
	bool locked;

	if (result.program == NULL)
		assert(schema_compile(schema, sizeof(schema) - 1, NULL,
		    &result));
	spec.program = result.program;
	spec.program_size = result.program_size;
	assert(segment_create(segment, &spec, &locked) == 0);
	for (uint8_t i = 0; i < RECORDS; i++)
		put_record(segment, i);
}

static void
damage(const struct segment *segment, const uint8_t *data, size_t size)
{
	struct segment_header header;
	struct change change;
	uint64_t at;

	assert(pread(segment->fd, &header, sizeof(header), 0) ==
	    sizeof(header));
	while (size >= sizeof(change)) {
		memcpy(&change, data, sizeof(change));
		data += sizeof(change);
		size -= sizeof(change);
		change.size = (uint8_t)MIN_OF(size, (size_t)change.size);
		change.area %= AREAS + 1;
		at = change.area == AREAS ? 0 :
		    header.area[change.area].offset;
		at += change.offset[0] | (uint64_t)change.offset[1] << 8;
		if (at + change.size <= header.size)
			assert(pwrite(segment->fd, data, change.size,
			    (off_t)at) == change.size);
		data += change.size;
		size -= change.size;
	}
}

static void
check_within(const struct segment *segment, const void *area, size_t size)
{
	const uint8_t *at = area;

	assert(at >= segment->base && size <= segment->mapped &&
	    (size_t)(at - segment->base) <= segment->mapped - size);
}

static bool
attach(struct segment *segment, int fd, enum segment_access access)
{
	const char *why;

	if (segment_attach(segment, fd, access, &why) == -1) {
		assert(why != NULL && segment->base == NULL &&
		    segment->page == NULL);
		return false;
	}
	check_within(segment, segment->config, sizeof(*segment->config));
	check_within(segment, segment->state, sizeof(*segment->state));
	check_within(segment, segment->page, sizeof(*segment->page));
	check_within(segment, segment->rx, sizeof(*segment->rx));
	check_within(segment, segment->tx, sizeof(*segment->tx));
	check_within(segment, segment->slots,
	    (size_t)segment->rx_slots * SLOT_SIZE);
	/* Twice, one after the other. */
	check_within(segment, segment->ring.data, 2 * segment->ring.size);
	if (segment->schema != NULL)
		assert(strlen(segment->schema) <= segment->schema_size);
	if (segment->program != NULL)
		check_within(segment, segment->program,
		    segment->program_size);
	return true;
}

/* What the supervisor makes of it. */
static void
look(const struct segment *segment)
{
	static struct stream_conf stream = {.name = "s"};
	static struct destination_conf relay;
	static struct listen_config listens[2];
	static struct channel_conf conf = {.name = "test",
	    .listen = listens, .inputs = NITEMS(listens), .relay = &relay,
	    .relays = 1, .decimate = &stream, .decimates = 1};
	static struct supervisor supervisor;
	static struct channel channel;
	struct channel_counts counts, same;
	json_t *status;
	char *text;

	memset(&counts, 0x5a, sizeof(counts));
	memcpy(&same, &counts, sizeof(same));
	if (!segment_counts(segment, &counts))
		assert(memcmp(&counts, &same, sizeof(counts)) == 0);
	memset(&channel, 0, sizeof(channel));
	channel.conf = &conf;
	channel.segment = *segment;
	memcpy(channel.name, conf.name, sizeof(channel.name));
	parts_init(&channel.parts);
	TAILQ_INIT(&supervisor.channels);
	TAILQ_INSERT_TAIL(&supervisor.channels, &channel, link);
	status = status_json(&supervisor);
	text = json_dumps(status, JSON_COMPACT);
	assert(text != NULL);
	free(text);
	json_decref(status);
}

static void
add_stream(struct message *message, const char *name,
    enum decimate_method method)
{
	struct stream_config *stream = &message->stream[message->streams];

	memcpy(stream->name, name, strlen(name));
	memcpy(stream->destination, "127.0.0.1:9", 11);
	stream->method = method;
	stream->slot = message->streams++;
	stream->id = message->streams;
	stream->every = 2;
}

/* What the decimator makes of it. */
static void
follow(int segment)
{
	struct message message = {.type = MESSAGE_SERVE, .channel = 7,
	    .name = "test", .log_level = -1};
	enum reader_status status = READER_MORE;
	struct reader *reader;
	int fds[READER_FD_STREAM + 2], pair[2];
	bool asleep = false;

	assert(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, pair) == 0);
	add_stream(&message, "pick", METHOD_PICK);
	add_stream(&message, "mean", METHOD_MEAN);
	fds[READER_FD_SEGMENT] = fcntl(segment, F_DUPFD_CLOEXEC, 3);
	fds[READER_FD_EVENT] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fds[READER_FD_STREAM] = pair[0];
	fds[READER_FD_STREAM + 1] = fcntl(pair[0], F_DUPFD_CLOEXEC, 3);
	reader = reader_open(&message, fds, NITEMS(fds), NULL);
	if (reader != NULL) {
		for (unsigned i = 0; i < STEPS && status != READER_BROKEN &&
		    status != READER_IDLE; i++)
			status = reader_step(reader);
		assert(status != READER_MORE);
		if (status != READER_BROKEN)
			asleep = reader_sleep(reader, READER_WAKE_NEXT);
		/* Whoever is broken is closed, not asked to wait. */
		assert(!asleep || status == READER_IDLE ||
		    status == READER_CAUGHT_UP);
		reader_close(reader);
	}
	close(pair[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum segment_access access[] = { SEGMENT_WORKER,
	    SEGMENT_SUPERVISOR, SEGMENT_DECIMATOR };
	struct segment segment, other;
	bool good, first = false;

	(void)scratch();
	make_segment(&segment);
	damage(&segment, data, size);
	for (size_t i = 0; i < NITEMS(access); i++) {
		good = attach(&other, segment.fd, access[i]);
		assert(i == 0 || good == first);
		first = good;
		if (good && access[i] != SEGMENT_WORKER)
			look(&other);
		if (good)
			segment_close(&other);
	}
	follow(segment.fd);
	segment_close(&segment);
	return 0;
}
