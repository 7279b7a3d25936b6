/* SPDX-License-Identifier: ISC */
/*
 * What fails while several chunks of a file are in flight: the file's size has
 * a limit in the middle of one, the ring ends.
 */
#include <sys/resource.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "worker/archive/disk_ring.h"
#include "worker/archive/writer.h"

#define FILE_MAX	((size_t)8 << 20)

static int		 fd, reading;
static uint8_t		 model[FILE_MAX], found[FILE_MAX];

static int
open_file(void **state ATTR_UNUSED)
{
	char path[] = "/tmp/mcrelay-writer.XXXXXX";
	size_t i;

	for (i = 0; i < FILE_MAX; i++)
		model[i] = (uint8_t)(i * 31 + i / 253);
	fd = mkstemp(path);
	reading = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	return fd == -1 || reading == -1;
}

static int
close_file(void **state ATTR_UNUSED)
{
	close(reading);
	return close(fd);
}

static struct disk_ring *
open_ring(uint32_t depth)
{
	const struct uring_config config = {.enabled = 1,
	    .queue_depth = depth, .fallback_on_error = 1,
	    .sq_thread_cpu = -1};
	char why[URING_WHY_SIZE];
	struct disk_ring *ring = disk_ring_open(&config, why);

	if (ring == NULL)
		print_message("no io_uring here: %s\n", why);
	return ring;
}

static int
try(struct writer *writer, size_t size)
{
	struct iovec iov = {model + writer->end, size};

	assert_true(writer->end + size <= FILE_MAX);
	return writer_append(writer, &iov, 1, size) == -1 ? -1 :
	    writer_flush(writer);
}

/* And then the file has all. */
static void
add(struct writer *writer, size_t size)
{
	size_t end = writer->end + size;

	assert_int_equal(try(writer, size), 0);
	assert_int_equal(writer->end, end);
	assert_int_equal(pread(reading, found, end, 0), end);
	assert_memory_equal(found, model, end);
}

static void
test_limit(void **state)
{
	enum archive_write how = *(const enum archive_write *)*state;
	const struct rlimit old = {RLIM_INFINITY, RLIM_INFINITY};
	const struct rlimit limit = {(2 << 20) + 100000, RLIM_INFINITY};
	struct writer writer = {.ring = open_ring(128)};
	size_t end;
	unsigned i;

	signal(SIGXFSZ, SIG_IGN);
	writer_open(&writer, how, fd, 0, 0);
	add(&writer, 300000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (i = 0; i < 3; i++) {
		end = writer.end;
		assert_int_equal(try(&writer, 3 << 20), -1);
		assert_int_equal(errno, EFBIG);
		assert_int_equal(ftruncate(fd, (off_t)end), 0);
		assert_int_equal(writer_back(&writer, end), 0);
		add(&writer, 200000);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	add(&writer, 3 << 20);
	writer_close(&writer);
	writer_free(&writer);
	disk_ring_close(writer.ring);
}

/* The ring of this process that was made last. */
static int
find_ring(void)
{
	char name[64], link[64];
	ssize_t size;
	int i, ring_fd = -1;

	for (i = 3; i < 64; i++) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", i);
		size = readlink(name, link, sizeof(link) - 1);
		link[size > 0 ? size : 0] = '\0';
		if (strcmp(link, "anon_inode:[io_uring]") == 0)
			ring_fd = i;
	}
	return ring_fd;
}

/* System calls go on in the middle of the file, and with the next one. */
static void
test_ring_fails(void **state)
{
	enum archive_write how = *(const enum archive_write *)*state;
	struct writer writer = {.ring = open_ring(1)};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct iovec iov = {model + 1700000, 100};

	if (writer.ring == NULL)
		skip();
	writer_open(&writer, how, fd, 0, 0);
	assert_int_equal(writer.way, archive_back_end(how, true));
	add(&writer, 1700000);
	assert_int_equal(writer_append(&writer, &iov, 1, 100), 0);
	assert_int_not_equal(dup3(null, find_ring(), O_CLOEXEC), -1);
	add(&writer, 1700000);
	assert_int_equal(writer.way, how);
	add(&writer, 3000);
	writer_close(&writer);
	assert_false(disk_ring_works(writer.ring));
	writer_open(&writer, how, fd, writer.end, 0);
	assert_int_equal(writer.way, how);
	add(&writer, 3000);
	writer_close(&writer);
	writer_free(&writer);
	disk_ring_close(writer.ring);
	close(null);
}

#define WAY(test, how)							\
	{#test ", " #how, test, open_file, close_file,			\
	    &(enum archive_write){how}}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WAY(test_limit, WRITE_BUFFERED),
		WAY(test_limit, WRITE_DIRECT),
		WAY(test_ring_fails, WRITE_BUFFERED),
		WAY(test_ring_fails, WRITE_DIRECT),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
