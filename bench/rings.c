/* SPDX-License-Identifier: ISC */
/*
 * What it costs a decimator to follow channels of 40 MB a second: readers on
 * real rings, which are filled in between, with streams that are sent to a
 * socket on loopback that nobody reads.
 *
 * All channels are filled before the first reader steps, as on a machine where
 * other cores fill them: what a reader reads has left the nearer caches.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/decimate.h"
#include "common/log.h"
#include "common/message.h"
#include "common/ring.h"
#include "common/segment.h"
#include "common/util.h"
#include "common/wake.h"
#include "decimator/reader.h"

#define CHANNELS	64U
#define RING_SIZE	(1024U * 1024)
#define TURN		(RATE / 200)	/* a decimator's pace is 5 ms */
#define TURNS		400U
#define ROUNDS		5U

struct channel {
	struct segment	 segment;
	struct reader	*reader;
	uint64_t	 head;
	uint64_t	 sequence;
};

static int
open_socket(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	static int receiver = -1;
	int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (receiver == -1)
		receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (getsockname(receiver, (struct sockaddr *)&address, &size) == -1)
		fatal("a socket");
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((address.sin_port == 0 && (bind(receiver,
	    (struct sockaddr *)&address, size) == -1 || getsockname(receiver,
	    (struct sockaddr *)&address, &size) == -1)) ||
	    connect(sender, (struct sockaddr *)&address, size) == -1)
		fatal("a socket on loopback");
	return sender;
}

static void
channel_open(struct channel *c, const struct subject *s,
    enum decimate_method method)
{
	static struct message message;
	struct segment_spec spec = {
		.config = {.name = "bench", .payload = PAYLOAD_AVRO},
		.schema = s->text,
		.program = s->schema.program,
		.program_size = s->schema.program_size,
		.ring_size = RING_SIZE,
	};
	struct stream_config *stream = &message.stream[0];
	int fds[READER_FD_STREAM + 1];
	bool locked;

	if (segment_create(&c->segment, &spec, &locked) != 0)
		fatal("a segment");
	c->head = ring_head(&c->segment.ring);
	c->sequence = ingest_current(&c->segment.state->ingest)->sequence;
	memset(&message, 0, sizeof(message));
	message.type = MESSAGE_SERVE;
	message.log_level = LOG_INFO;
	strcpy(message.name, "bench");
	message.streams = 1;
	strcpy(stream->name, "view");
	strcpy(stream->destination, "127.0.0.1");
	stream->method = method;
	stream->every = EVERY;
	stream->id = 1;
	fds[READER_FD_SEGMENT] = fcntl(c->segment.fd, F_DUPFD_CLOEXEC, 3);
	fds[READER_FD_EVENT] = wake_open();
	fds[READER_FD_STREAM] = open_socket();
	if ((c->reader = reader_open(&message, fds, NITEMS(fds), NULL)) == NULL)
		fatalx("a reader");
}

static void
channel_close(struct channel *c)
{
	reader_close(c->reader);
	segment_close(&c->segment);
}

/* One datum into the ring, as a worker does it. */
static void
put(struct channel *c, const struct subject *s)
{
	unsigned k = (unsigned)(c->sequence % DATUMS);
	size_t begin = k == 0 ? 0 : s->end[k - 1], size = s->end[k] - begin;
	struct ring_record record = {.length = (uint32_t)size,
	    .sequence = c->sequence,
	    .received_ns = UINT64_C(1795212345678901234) +
		c->sequence * (NS_PER_S / RATE)};
	const struct ring *ring = &c->segment.ring;
	struct ingest_state *ingest;

	ring_reserve(ring, c->head + ring_record_size(record.length));
	memcpy(ring_at(ring, c->head) + sizeof(record), s->data + begin, size);
	c->head = ring_append(ring, c->head, &record);
	ingest = ingest_begin(&c->segment.state->ingest);
	ingest->head = c->head;
	ingest->sequence = ++c->sequence;
	ingest->counts.received++;
	ingest_commit(&c->segment.state->ingest);
	ring_publish(ring, c->head);
}

/* CPU time that the readers took for `turns' turns. */
static double
run_turns(struct channel *channels, const struct subject *s, unsigned turns)
{
	double begin, took = 0;
	unsigned turn, i, k;
	enum reader_status status;

	for (turn = 0; turn < turns; turn++) {
		for (i = 0; i < CHANNELS; i++)
			for (k = 0; k < TURN; k++)
				put(&channels[i], s);
		begin = cpu_ns();
		for (i = 0; i < CHANNELS; i++)
			do {
				status = reader_step(channels[i].reader);
				if (status == READER_BROKEN)
					fatalx("a ring is broken");
			} while (status != READER_IDLE);
		took += cpu_ns() - begin;
	}
	return took;
}

double
rings_measure(const struct subject *s, enum decimate_method method)
{
	static struct channel channels[CHANNELS];
	double took, best = 0;
	unsigned i;

	for (i = 0; i < CHANNELS; i++)
		channel_open(&channels[i], s, method);
	/* The first turn touches all memory. */
	(void)run_turns(channels, s, RING_SIZE / TURN / 8000 + 1);
	for (i = 0; i < ROUNDS; i++) {
		took = run_turns(channels, s, TURNS / ROUNDS);
		best = i == 0 || took < best ? took : best;
	}
	for (i = 0; i < CHANNELS; i++)
		channel_close(&channels[i]);
	return best / ((double)(TURNS / ROUNDS) * TURN * CHANNELS);
}
