/* SPDX-License-Identifier: ISC */
/*
 * A stand-in for the supervisor in tests of the worker.
 */
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <avro.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/message.h"
#include "common/udp.h"
#include "common/util.h"
#include "tests/unit/rig.h"
#include "tests/unit/uring_here.h"
#include "worker/worker.h"

#define WAIT_NS		(30 * NS_PER_S)
#define BUFFER		(8 << 20)

char	rig_destination[INPUT_TEXT_SIZE];

static int
make_socket(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = BUFFER;
	socklen_t length = sizeof(*address);

	assert_int_not_equal(fd, -1);
	*address = (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (void *)address, sizeof(*address)), 0);
	getsockname(fd, (void *)address, &length);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size,
	    sizeof(size)) == -1)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

static int
make_sender(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const void *)to, sizeof(*to)), 0);
	return fd;
}

static int
make_input(struct sockaddr_in *address)
{
	int fd = make_socket(address);

	assert_int_equal(udp_coalesce(fd, true), 0);
	assert_int_equal(udp_ask_times(fd), 0);
	fd_set_nonblock(fd);
	return fd;
}

static void
open_second(struct rig *rig, struct segment_spec *spec)
{
	rig->second = make_input(&rig->second_address);
	rig->second_source = make_sender(&rig->second_address);
	memcpy(&rig->listen[0].address, &rig->input_address,
	    sizeof(rig->input_address));
	memcpy(&rig->listen[1].address, &rig->second_address,
	    sizeof(rig->second_address));
	snprintf(rig->listen[1].interface, sizeof(rig->listen[1].interface),
	    "lo");
	rig->listen[0].coalesce_ns = rig->listen[1].coalesce_ns =
	    COALESCE_AUTO;
	spec->input = rig->listen;
}

void
rig_open(struct rig *rig, struct segment_spec *spec)
{
	struct channel_config *config = &spec->config;
	struct sockaddr_in sink_address;
	bool locked;

	memset(rig, 0, sizeof(*rig));
	rig->control = -1;
	snprintf(rig->directory, sizeof(rig->directory),
	    "/tmp/mcrelay-rig.XXXXXX");
	assert_non_null(mkdtemp(rig->directory));
	rig->directory_fd = open(rig->directory, O_DIRECTORY | O_CLOEXEC);
	rig->input = make_input(&rig->input_address);
	rig->second = rig->second_source = -1;
	if (spec->inputs == 2)
		open_second(rig, spec);
	rig->sink = make_socket(&sink_address);
	rig->output = make_sender(&sink_address);
	rig->source = make_sender(&rig->input_address);
	rig->decimator_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	snprintf(config->name, sizeof(config->name), "test");
	config->log_level = LOG_NOTICE;
	config->outputs = 1;
	config->archive.enabled = 1;
	if (config->archive.block_size == 0)
		config->archive.block_size = 16384;
	if (config->archive.flush_interval_ns == 0)
		config->archive.flush_interval_ns = 20 * NS_PER_MS;
	if (spec->ring_size == 0)
		spec->ring_size = 1 << 20;
	assert_int_equal(segment_create(&rig->segment, spec, &locked), 0);
}

static void
remove_directory(const char *directory)
{
	char path[512];
	struct dirent *entry;
	DIR *dir = opendir(directory);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", directory,
		    entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(directory);
}

void
rig_close(struct rig *rig)
{
	if (rig->control != -1)
		rig_kill(rig);
	close(rig->input);
	close(rig->output);
	close(rig->sink);
	close(rig->source);
	if (rig->second != -1) {
		close(rig->second);
		close(rig->second_source);
	}
	close(rig->directory_fd);
	close(rig->decimator_wake);
	segment_close(&rig->segment);
	remove_directory(rig->directory);
}

int
rig_fork(struct rig *rig)
{
	int pair[2], gate[2];
	char byte;

	assert_int_equal(rig->control, -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    pair), 0);
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	rig->pid = fork();
	assert_int_not_equal(rig->pid, -1);
	if (rig->pid == 0) {
		if (read(gate[0], &byte, 1) != 1)
			_exit(1);
		rig_run_worker(rig, pair[1]);
	}
	close(pair[1]);
	close(gate[0]);
	rig->control = pair[0];
	return gate[1];
}

void
rig_start(struct rig *rig)
{
	struct message message;
	struct pollfd pollfd = {.events = POLLIN};
	int gate = rig_fork(rig);

	assert_int_equal(write(gate, "", 1), 1);
	close(gate);
	pollfd.fd = rig->control;
	assert_int_equal(poll(&pollfd, 1, 20000), 1);
	assert_int_equal(recv(rig->control, &message, sizeof(message), 0),
	    sizeof(message));
	assert_int_equal(message.type, MESSAGE_READY);
}

void
rig_forget(struct rig *rig)
{
	close(rig->control);
	rig->control = -1;
}

static int
reap(struct rig *rig)
{
	int status;

	assert_int_equal(waitpid(rig->pid, &status, 0), rig->pid);
	rig_forget(rig);
	return status;
}

void
rig_kill(struct rig *rig)
{
	kill(rig->pid, SIGKILL);
	reap(rig);
}

int
rig_stop(struct rig *rig, int signal_number)
{
	struct message message = {.type = MESSAGE_STOP};

	if (signal_number != 0)
		kill(rig->pid, signal_number);
	else
		assert_int_equal(send(rig->control, &message, sizeof(message),
		    0), sizeof(message));
	return reap(rig);
}

void
rig_send(struct rig *rig, const void *data, size_t size)
{
	assert_int_equal(send(rig->source, data, size, 0), size);
}

void
rig_send_second(struct rig *rig, const void *data, size_t size)
{
	assert_int_equal(send(rig->second_source, data, size, 0), size);
}

void
rig_wait_received(struct rig *rig, uint64_t count)
{
	uint64_t deadline = clock_monotonic_ns() + WAIT_NS;
	struct ledger ledger;

	do {
		assert_true(segment_ledger(&rig->segment, &ledger));
		if (clock_monotonic_ns() > deadline)
			fail_msg("received %llu of %llu",
			    (unsigned long long)ledger.received,
			    (unsigned long long)count);
		sched_yield();
	} while (ledger.received < count);
}

void
rig_wait_settled(struct rig *rig)
{
	uint64_t deadline = clock_monotonic_ns() + WAIT_NS;
	struct ledger ledger;

	do {
		assert_true(segment_ledger(&rig->segment, &ledger));
		if (clock_monotonic_ns() > deadline)
			fail_msg("pending %llu, relayed %llu of %llu",
			    (unsigned long long)ledger.pending,
			    (unsigned long long)ledger.relayed,
			    (unsigned long long)ledger.received);
		sched_yield();
	} while (ledger.pending > 0 ||
	    ledger.relayed + ledger.relay_errors + ledger.relay_paused +
	    ledger.kernel_relayed != ledger.received);
}

void
rig_wait_way(struct rig *rig, enum archive_write how, bool uring)
{
	uint64_t deadline = clock_monotonic_ns() + WAIT_NS;
	struct channel_counts counts;

	if (how == WRITE_DIRECT && !uring_here_direct(rig->directory_fd))
		how = WRITE_BUFFERED;
	how = archive_back_end(how, uring && uring_here_writes());
	/* Some moments after the file has been opened. */
	do {
		assert_true(segment_counts(&rig->segment, &counts));
		if (clock_monotonic_ns() > deadline)
			fail_msg("written by %s, not by %s", archive_write_name(
			    counts.file[ARCHIVE_MAIN].write),
			    archive_write_name(how));
		sched_yield();
	} while (counts.file[ARCHIVE_MAIN].phase != FILE_OPEN ||
	    counts.file[ARCHIVE_MAIN].write != (uint32_t)how);
}

void
rig_check_ledger(struct rig *rig, uint64_t sent)
{
	struct ledger ledger;

	assert_true(segment_ledger(&rig->segment, &ledger));
	assert_int_equal(ledger.received + ledger.kernel_dropped +
	    ledger.truncated + ledger.refused_source, sent);
	assert_int_equal(ledger.archived + ledger.rejected +
	    ledger.archive_shed + ledger.archive_paused + ledger.pending,
	    ledger.received);
	assert_int_equal(ledger.relayed + ledger.relay_errors +
	    ledger.relay_paused + ledger.kernel_relayed, ledger.received);
}

static bool
ends_in(const char *name, const char *suffix)
{
	size_t length = strlen(name), tail = strlen(suffix);

	return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

unsigned
rig_count_files(struct rig *rig, const char *suffix)
{
	DIR *dir = opendir(rig->directory);
	struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(dir)) != NULL)
		count += ends_in(entry->d_name, suffix);
	closedir(dir);
	return count;
}

void
rig_wait_files(struct rig *rig, unsigned count)
{
	uint64_t deadline = clock_monotonic_ns() + WAIT_NS;

	while (rig_count_files(rig, ".avro") != count) {
		if (clock_monotonic_ns() > deadline)
			fail_msg("%u files are finished, not %u",
			    rig_count_files(rig, ".avro"), count);
		sched_yield();
	}
}

static unsigned
count_lines(struct rig *rig, const char *name)
{
	char path[512], line[4096], prefix[512];
	unsigned count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/catalog.jsonl", rig->directory);
	snprintf(prefix, sizeof(prefix), "{\"name\":\"%s", name);
	file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		assert_true(ends_in(line, "}\n"));
		count += strncmp(line, prefix, strlen(prefix)) == 0;
	}
	if (file != NULL)
		fclose(file);
	return count;
}

/* Each line is told to the supervisor once, and in its order. */
static void
check_told(struct rig *rig)
{
	const struct finished *finished = &rig->segment.state->finished;
	uint64_t number = 0, count = finished_count(finished);
	char path[512], line[FINISHED_LINE_SIZE], told[FINISHED_LINE_SIZE];
	FILE *file;

	assert_int_equal(count, count_lines(rig, ""));
	snprintf(path, sizeof(path), "%s/catalog.jsonl", rig->directory);
	file = fopen(path, "r");
	for (; number < count; number++) {
		assert_non_null(fgets(line, sizeof(line), file));
		if (count - number >= FINISHED_LINES)
			continue;
		assert_true(finished_copy(finished, number, told));
		assert_string_equal(told, line);
	}
	if (file != NULL)
		fclose(file);
}

void
rig_check_catalog(struct rig *rig)
{
	DIR *dir = opendir(rig->directory);
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL)
		if (ends_in(entry->d_name, ".avro"))
			assert_int_equal(count_lines(rig, entry->d_name), 1);
	closedir(dir);
	assert_int_equal(count_lines(rig, ""), rig_count_files(rig, ".avro"));
	check_told(rig);
}

static void
read_value(avro_value_t *value, void (*visit)(void *, uint64_t, const char *,
    const uint8_t *, size_t), void *argument)
{
	size_t payload_size = 0, source_size = 0;
	const void *payload = NULL;
	const char *source = NULL, *destination = NULL;
	avro_value_t field;
	int64_t sequence = 0;

	avro_value_get_by_name(value, "sequence", &field, NULL);
	avro_value_get_long(&field, &sequence);
	avro_value_get_by_name(value, "source", &field, NULL);
	avro_value_get_string(&field, &source, &source_size);
	avro_value_get_by_name(value, "payload", &field, NULL);
	avro_value_get_bytes(&field, &payload, &payload_size);
	rig_destination[0] = '\0';
	if (avro_value_get_by_name(value, "destination", &field, NULL) == 0) {
		avro_value_get_string(&field, &destination, &source_size);
		snprintf(rig_destination, sizeof(rig_destination), "%s",
		    destination);
	}
	visit(argument, (uint64_t)sequence, source, payload, payload_size);
}

static void
read_file(const char *path, void (*visit)(void *, uint64_t, const char *,
    const uint8_t *, size_t), void *argument)
{
	avro_value_iface_t *iface;
	avro_file_reader_t reader;
	avro_schema_t schema;
	avro_value_t value;
	int result;

	if (avro_file_reader(path, &reader) != 0)
		fail_msg("%s: %s", path, avro_strerror());
	schema = avro_file_reader_get_writer_schema(reader);
	iface = avro_generic_class_from_schema(schema);
	avro_generic_value_new(iface, &value);
	while ((result = avro_file_reader_read_value(reader, &value)) == 0) {
		read_value(&value, visit, argument);
		avro_value_reset(&value);
	}
	if (result != EOF)
		fail_msg("%s: %s", path, avro_strerror());
	avro_value_decref(&value);
	avro_value_iface_decref(iface);
	avro_schema_decref(schema);
	avro_file_reader_close(reader);
}

unsigned
rig_read_archive(struct rig *rig, const char *stream,
    void (*visit)(void *, uint64_t, const char *, const uint8_t *, size_t),
    void *argument)
{
	char path[512], prefix[128];
	struct dirent **names;
	unsigned files = 0;
	int count, i;

	snprintf(prefix, sizeof(prefix), "test%s_", stream);
	count = scandir(rig->directory, &names, NULL, alphasort);
	assert_true(count >= 0);
	for (i = 0; i < count; i++) {
		if (strncmp(names[i]->d_name, prefix, strlen(prefix)) == 0 &&
		    ends_in(names[i]->d_name, ".avro")) {
			snprintf(path, sizeof(path), "%s/%s", rig->directory,
			    names[i]->d_name);
			read_file(path, visit, argument);
			files++;
		}
		free(names[i]);
	}
	free(names);
	return files;
}
