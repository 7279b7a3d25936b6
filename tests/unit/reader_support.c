/* SPDX-License-Identifier: ISC */
/*
 * A worker's half of a ring, and sockets, for the tests of the decimator.
 */
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ring.h"
#include "common/util.h"
#include "tests/unit/reader_support.h"

#define DEADLINE_MS	10000

void
fake_open(struct fake_worker *w, uint64_t ring_size, const void *program,
    size_t program_size, const struct fake_worker *old)
{
	struct segment_spec spec = {
		.config = {.name = "accel",
		    .payload = program == NULL ? PAYLOAD_RAW : PAYLOAD_AVRO},
		.schema = program == NULL ? NULL : "\"long\"",
		.program = program,
		.program_size = program_size,
		.ring_size = ring_size,
		.predecessor = old == NULL ? NULL : &old->segment,
	};
	bool locked;

	memset(w, 0, sizeof(*w));
	assert_int_equal(segment_create(&w->segment, &spec, &locked), 0);
	w->head = ring_head(&w->segment.ring);
	w->sequence = ingest_current(&w->segment.state->ingest)->sequence;
	w->first_sequence = w->sequence;
	w->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_not_equal(w->eventfd, -1);
}

void
fake_close(struct fake_worker *w)
{
	close(w->eventfd);
	segment_close(&w->segment);
}

void
fake_put_at(struct fake_worker *w, const void *data, uint32_t length,
    uint16_t segment, uint64_t received_ns)
{
	struct ring_record record = {.length = length, .datagram_size = segment,
	    .sequence = w->sequence, .received_ns = received_ns};
	const struct ring *ring = &w->segment.ring;
	struct ingest_state *ingest;
	uint64_t end = w->head + ring_record_size(length), one = 1;

	ring_reserve(ring, end);
	memcpy(ring_at(ring, w->head) + sizeof(record), data, length);
	w->head = ring_append(ring, w->head, &record);
	assert_int_equal(w->head, end);
	w->sequence += ring_record_datagrams(&record);
	ingest = ingest_begin(&w->segment.state->ingest);
	ingest->head = w->head;
	ingest->sequence = w->sequence;
	ingest->counts.received += ring_record_datagrams(&record);
	ingest_commit(&w->segment.state->ingest);
	ring_publish(ring, w->head);
	if (!ring_wake_due(&w->segment.page->wake_at, w->head))
		return;
	w->wakes++;
	assert_int_equal(write(w->eventfd, &one, sizeof(one)), sizeof(one));
}

void
fake_put(struct fake_worker *w, const void *data, uint32_t length,
    uint16_t segment)
{
	fake_put_at(w, data, length, segment, clock_realtime_ns());
}

static void
make_numbered(uint8_t data[static NUMBERED_SIZE], uint64_t number)
{
	unsigned i;

	memcpy(data, &number, sizeof(number));
	for (i = sizeof(number); i < NUMBERED_SIZE; i++)
		data[i] = (uint8_t)(number * 31 + i);
}

void
fake_put_numbers(struct fake_worker *w, uint64_t first, unsigned count)
{
	uint8_t data[NUMBERED_SIZE];
	unsigned i;

	for (i = 0; i < count; i++) {
		make_numbered(data, first + i);
		fake_put(w, data, sizeof(data), 0);
	}
}

struct stream_counts
fake_counts(const struct fake_worker *w, unsigned slot)
{
	struct decimated_state progress;

	assert_true(decimated_read(&w->segment.page->progress, &progress));
	return progress.stream[slot].counts;
}

/*** Sockets. ***/

void
sink_open(struct sink *sink)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	const int flags = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

	sink->receiver = socket(AF_INET, flags, 0);
	sink->sender = socket(AF_INET, flags, 0);
	assert_int_equal(bind(sink->receiver, (struct sockaddr *)&address,
	    size), 0);
	assert_int_equal(getsockname(sink->receiver,
	    (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(sink->sender, (struct sockaddr *)&address,
	    size), 0);
}

void
sink_close(struct sink *sink)
{
	close(sink->sender);
	close(sink->receiver);
}

ssize_t
sink_get(struct sink *sink, void *data, size_t size)
{
	return recv(sink->receiver, data, size, MSG_DONTWAIT);
}

ssize_t
sink_wait(struct sink *sink, void *data, size_t size)
{
	struct pollfd ready = {.fd = sink->receiver, .events = POLLIN};

	assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
	return sink_get(sink, data, size);
}

int64_t
sink_number(struct sink *sink)
{
	uint8_t data[2 * NUMBERED_SIZE], expected[NUMBERED_SIZE];
	uint64_t number;
	ssize_t got;

	got = sink_get(sink, data, sizeof(data));
	if (got == -1)
		return -1;
	assert_int_equal(got, NUMBERED_SIZE);
	memcpy(&number, data, sizeof(number));
	make_numbered(expected, number);
	assert_memory_equal(data, expected, NUMBERED_SIZE);
	return (int64_t)number;
}

/*** Messages. ***/

void
message_init(struct message *message, const char *name)
{
	memset(message, 0, sizeof(*message));
	message->type = MESSAGE_SERVE;
	message->channel = 7;
	message->log_level = LOG_INFO;
	strncpy(message->name, name, CHANNEL_NAME_MAX);
}

void
message_add(struct message *message, const char *name,
    enum decimate_method method, uint64_t every, unsigned slot)
{
	struct stream_config *config = &message->stream[message->streams++];

	strncpy(config->name, name, CHANNEL_NAME_MAX);
	strcpy(config->destination, "127.0.0.1:9");
	config->method = method;
	config->every = every;
	config->slot = slot;
	/* Another name, another stream. */
	memcpy(&config->id, config->name, sizeof(config->id));
}

static int
copy_fd(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 10);

	assert_int_not_equal(copy, -1);
	return copy;
}

size_t
message_fds(const struct message *message,
    const struct fake_worker *w, const struct sink *sinks,
    int fds[static FD_SLOTS])
{
	uint32_t i, sockets = message->streams;

	fds[READER_FD_SEGMENT] = copy_fd(w->segment.fd);
	fds[READER_FD_EVENT] = copy_fd(w->eventfd);
	for (i = 0; i < message->streams; i++)
		sockets += message->stream[i].feeds;
	for (i = 0; i < sockets; i++)
		fds[READER_FD_STREAM + i] = copy_fd(sinks[i].sender);
	return READER_FD_STREAM + sockets;
}

struct reader *
open_reader(const struct message *message, const struct fake_worker *w,
    const struct sink *sinks, struct reader *old)
{
	int fds[FD_SLOTS];
	size_t count = message_fds(message, w, sinks, fds);

	return reader_open(message, fds, count, old);
}

void
catch_up(struct reader *reader)
{
	enum reader_status status;

	do {
		status = reader_step(reader);
		assert_int_not_equal(status, READER_BROKEN);
	} while (status != READER_IDLE);
}

unsigned
directory_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

unsigned
open_fds(void)
{
	return directory_entries("/proc/self/fd");
}

/*** The fixture. ***/

int
fixture_setup(void **state)
{
	struct reader_fixture *f = calloc(1, sizeof(*f));
	unsigned i;

	fake_open(&f->w, FIXTURE_RING, NULL, 0, NULL);
	for (i = 0; i < NITEMS(f->sink); i++)
		sink_open(&f->sink[i]);
	message_init(&f->message, "accel");
	message_add(&f->message, "view", METHOD_PICK, 4, 0);
	f->reader = open_reader(&f->message, &f->w, f->sink, NULL);
	assert_non_null(f->reader);
	*state = f;
	return 0;
}

int
fixture_teardown(void **state)
{
	struct reader_fixture *f = *state;
	unsigned i;

	reader_close(f->reader);
	for (i = 0; i < NITEMS(f->sink); i++)
		sink_close(&f->sink[i]);
	fake_close(&f->w);
	free(f);
	return 0;
}

void
assert_accounted(const struct fake_worker *w, unsigned slot)
{
	struct stream_counts counts = fake_counts(w, slot);

	assert_int_equal(counts.in + counts.missed + counts.skipped,
	    w->sequence - w->first_sequence);
}

void
assert_numbers(struct sink *sink, int64_t first, int64_t step, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		assert_int_equal(sink_number(sink), first + step * i);
	assert_int_equal(sink_number(sink), -1);
}

uint64_t
check_page(const struct reader_fixture *f, unsigned streams)
{
	struct decimated_state state = {0};
	unsigned i;

	assert_true(decimated_read(&f->w.segment.page->progress, &state));
	for (i = 0; i < streams; i++)
		if (state.stream[i].counts.in +
		    state.stream[i].counts.missed +
		    state.stream[i].counts.skipped !=
		    state.sequence)
			fail_msg("stream %u: %llu in and %llu missed at %llu",
			    i, (unsigned long long)state.stream[i].counts.in,
			    (unsigned long long)state.stream[i].counts.missed,
			    (unsigned long long)state.sequence);
	return state.sequence;
}
