/* SPDX-License-Identifier: ISC */
/*
 * The ways to write to a file, beside a plain buffer: what was appended and
 * flushed is in the file, whatever the sizes, whatever was taken back.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/uring_here.h"
#include "worker/archive/disk_ring.h"
#include "worker/archive/writer.h"
#include "worker/last_words.h"

#ifdef HAVE_URING
#include "worker/archive/disk_ring_priv.h"
#endif

#define FILE_MAX	((size_t)24 << 20)
#define SECTOR		4096U
/* Several windows in a file, and no power of two. */
#define LIMIT		UINT64_C(3000000)
/* So much a reader sees come: more than a window. */
#define LOOKED_AT	(300 * 300000)

static char		 path[] = "/tmp/mcrelay-writer.XXXXXX";
static int		 fd, reading;
static uint8_t		*model, *found;
static size_t		 length, flushed;
static uint64_t		 seed = 1;
static off_t		 cut_to = -1;
static struct disk_ring	*ring;

static size_t
below(size_t limit)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(seed >> 33) % limit;
}

/* Small and large, on the borders of sectors and beside them. */
static size_t
some_size(void)
{
	size_t most = below(3) == 0 ? (size_t)6 << 20 : below(2) == 0 ?
	    300000 : 5000;
	size_t size = 1 + below(most);

	return below(3) == 0 ? (size + SECTOR - 1) / SECTOR * SECTOR : size;
}

static int
open_file(void **state ATTR_UNUSED)
{
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	reading = open(path, O_RDONLY | O_CLOEXEC);
	model = malloc(FILE_MAX);
	found = malloc(FILE_MAX);
	length = flushed = 0;
	return fd == -1 || reading == -1 || model == NULL || found == NULL;
}

static int
close_file(void **state ATTR_UNUSED)
{
	close(fd);
	close(reading);
	unlink(path);
	free(model);
	free(found);
	return 0;
}

static enum archive_write
way_of(void **state)
{
	return *(const enum archive_write *)*state;
}

/* What is asked for: a ring takes its place. */
static enum archive_write
asked(enum archive_write way)
{
	return way == WRITE_BUFFERED_URING ? WRITE_BUFFERED :
	    way == WRITE_DIRECT_URING ? WRITE_DIRECT : way;
}

/* Written so, or it would be another way's test. */
static void
open_way(struct writer *writer, void **state, uint64_t end, uint64_t limit)
{
	enum archive_write way = way_of(state);

	if (asked(way) == WRITE_DIRECT && !uring_here_direct(fd))
		skip();
	writer_open(writer, asked(way), fd, end, limit);
	assert_int_equal(writer->way, way);
}

/* The first time. */
static void
begin(struct writer *writer, void **state, uint64_t limit)
{
	bool by_ring = way_of(state) != asked(way_of(state));

	if (by_ring && ring == NULL)
		skip();
	*writer = (struct writer){.lane = ARCHIVE_MAIN,
	    .ring = by_ring ? ring : NULL};
	open_way(writer, state, 0, limit);
}

static void
append(struct writer *writer, size_t size)
{
	size_t half = size / 3, i;
	struct iovec iov[3];

	for (i = 0; i < size; i++)
		model[length + i] = (uint8_t)(below(1 << 20) >> 3);
	/* The middle one may be empty. */
	iov[0] = (struct iovec){model + length, half};
	iov[1] = (struct iovec){model + length + half, half / 2};
	iov[2] = (struct iovec){model + length + half + half / 2,
	    size - half - half / 2};
	assert_int_equal(writer_append(writer, iov, 3, size), 0);
	length += size;
	assert_int_equal(writer->end, length);
}

static void
flush(struct writer *writer)
{
	off_t size;

	assert_int_equal(writer_flush(writer), 0);
	flushed = length;
	size = lseek(reading, 0, SEEK_END);
	assert_true(size >= (off_t)length);
	assert_int_equal(pread(reading, found, length, 0), length);
	assert_memory_equal(found, model, length);
}

/* As a store does when a transaction comes to nothing. */
static void
take_back(struct writer *writer)
{
	length = flushed;
	if (below(2) == 0)
		assert_int_equal(ftruncate(fd, (off_t)length), 0);
	assert_int_equal(writer_back(writer, length), 0);
}

/* Of what was appended since the last flush, the last part. */
static void
take_some_back(struct writer *writer)
{
	length -= below(length - flushed + 1);
	assert_int_equal(writer_back(writer, length), 0);
}

static void
check_way(void **state)
{
	struct writer writer;
	unsigned i;

	begin(&writer, state, LIMIT);
	for (i = 0; i < 400; i++) {
		if (length + ((size_t)7 << 20) > FILE_MAX) {
			/* The next file, with the same writer. */
			writer_close(&writer);
			assert_int_equal(ftruncate(fd, 0), 0);
			length = flushed = 0;
			open_way(&writer, state, 0, LIMIT);
		}
		switch (below(8)) {
		case 0:
			take_back(&writer);
			break;
		case 1:
			take_some_back(&writer);
			break;
		case 2:	/* a successor goes on with what was flushed */
			writer_close(&writer);
			assert_int_equal(fcntl(fd, F_GETFL) & O_DIRECT, 0);
			length = flushed;
			assert_int_equal(ftruncate(fd, (off_t)length), 0);
			open_way(&writer, state, length, LIMIT);
			break;
		case 3:
		case 4:
			flush(&writer);
			break;
		default:
			append(&writer, some_size());
		}
	}
	flush(&writer);
	assert_int_equal(writer.way, way_of(state));
	writer_close(&writer);
	writer_free(&writer);
}

static void
test_direct(void **state)
{
	struct writer writer;

	begin(&writer, state, 0);
	append(&writer, 200000);
	flush(&writer);
	assert_int_equal(fcntl(fd, F_GETFL) & O_DIRECT, O_DIRECT);
	/* Small ones go the other way. */
	append(&writer, 100);
	flush(&writer);
	assert_int_equal(fcntl(fd, F_GETFL) & O_DIRECT, 0);
	writer_close(&writer);
	writer_free(&writer);
}

/* Exactly what the buffer holds, so that nothing is left to be flushed. */
static void
test_full_buffer(void **state)
{
	struct writer writer;
	unsigned i;

	begin(&writer, state, 0);
	for (i = 0; i < 4; i++)
		append(&writer, (size_t)1 << 20);
	flush(&writer);
	flush(&writer);
	append(&writer, 1);
	flush(&writer);
	writer_close(&writer);
	writer_free(&writer);
}

/* Whoever makes the file shorter meanwhile ends nobody: what cannot be written
 * is an error, what was there before is not touched, and the file can be
 * written again. */
static void
test_cut(void **state)
{
	struct writer writer;
	static uint8_t data[1 << 20] = {1};
	struct iovec iov = {data, sizeof(data)};
	unsigned i;

	begin(&writer, state, 0);
	append(&writer, 100000);
	flush(&writer);
	assert_int_equal(ftruncate(fd, 70000), 0);
	/* What has room already: it may be told, or not. */
	iov.iov_len = 20000;
	(void)writer_append(&writer, &iov, 1, 20000);
	for (i = 0; i < 2; i++) {
		assert_int_equal(ftruncate(fd, 70000), 0);
		assert_int_equal(writer_back(&writer, 70000), 0);
		length = flushed = 70000;
		iov = (struct iovec){data, sizeof(data)};
		assert_int_equal(writer_append(&writer, &iov, 1,
		    sizeof(data)), 0);
		assert_int_equal(writer_back(&writer, 70000), 0);
		append(&writer, 300000);
		flush(&writer);
	}
	writer_close(&writer);
	writer_free(&writer);
}

/* As soon as there is room for it somebody makes the file shorter: what is
 * being written then ends nobody. */
int
madvise(void *address, size_t size, int advice)
{
	long result = syscall(SYS_madvise, address, size, advice);

	if (cut_to >= 0 && advice == MADV_POPULATE_WRITE)
		assert_int_equal(ftruncate(fd, cut_to), 0);
	return (int)result;
}

static void
test_cut_meanwhile(void **state ATTR_UNUSED)
{
	static uint8_t data[1 << 20] = {1};
	struct writer writer = {0};
	struct iovec iov;
	unsigned i;

	last_words_init();	/* in the place of cmocka's */
	writer_open(&writer, WRITE_MMAP, fd, 0, 0);
	assert_int_equal(writer.way, WRITE_MMAP);
	append(&writer, 100000);
	flush(&writer);
	for (i = 0; i < 3; i++) {
		cut_to = (off_t)flushed + 5000;
		iov = (struct iovec){data, sizeof(data)};
		assert_int_equal(writer_append(&writer, &iov, 1,
		    sizeof(data)), -1);
		assert_int_equal(errno, EIO);
		cut_to = -1;
		assert_int_equal(writer_back(&writer, flushed), 0);
		append(&writer, 300000);
		flush(&writer);
	}
	/* Within the last page nothing is heard of it, until it is flushed. */
	append(&writer, 100);
	assert_int_equal(ftruncate(fd, (off_t)flushed), 0);
	assert_int_equal(writer_flush(&writer), -1);
	writer_close(&writer);
	writer_free(&writer);
}

/* A full disk: an error, and all that was written before is there. */
static void
test_no_room(void **state ATTR_UNUSED)
{
	const struct rlimit old = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit limit = {2 << 20, RLIM_INFINITY};
	struct writer writer = {0};
	struct iovec iov;

	signal(SIGXFSZ, SIG_IGN);
	writer_open(&writer, WRITE_MMAP, fd, 0, 0);
	assert_int_equal(writer.way, WRITE_MMAP);
	append(&writer, 1 << 20);
	flush(&writer);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	iov = (struct iovec){model, (size_t)2 << 20};
	assert_int_equal(writer_append(&writer, &iov, 1, iov.iov_len), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(writer_back(&writer, flushed), 0);
	append(&writer, 1 << 19);
	flush(&writer);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	writer_close(&writer);
	writer_free(&writer);
}

/* Who reads the file while it is written never sees half of what is appended:
 * as long as its first byte is zero, it is not there. */
static void *
look(void *argument)
{
	uint8_t *copy = malloc(300001);
	off_t at = 0;
	ssize_t got;

	while (at < LOOKED_AT) {
		got = pread(reading, copy, 300001, at);
		if (got <= 0 || copy[0] == 0)
			continue;
		assert_true(got >= 300000);
		assert_int_equal(copy[0], 1);
		assert_memory_equal(copy, copy + 1, 299999);
		at += 300000;
	}
	free(copy);
	return argument;
}

static void
test_looked_at(void **state ATTR_UNUSED)
{
	struct writer writer = {0};
	uint8_t *data = malloc(300000);
	struct iovec iov[2];
	pthread_t thread;

	memset(data, 1, 300000);
	writer_open(&writer, WRITE_MMAP, fd, 0, 0);
	assert_int_equal(writer.way, WRITE_MMAP);
	assert_int_equal(pthread_create(&thread, NULL, look, NULL), 0);
	while (writer.end < LOOKED_AT) {
		iov[0] = (struct iovec){data, 10};
		iov[1] = (struct iovec){data, 299990};
		assert_int_equal(writer_append(&writer, iov, 2, 300000), 0);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	writer_close(&writer);
	writer_free(&writer);
	free(data);
}

/* While it is open, it is hardly longer than what is in it; so much readers
 * understand. */
static void
test_length(void **state)
{
	struct writer writer;
	unsigned i;
	off_t size;

	begin(&writer, state, 0);
	for (i = 0; i < 50; i++) {
		append(&writer, some_size() % 400000 + 1);
		flush(&writer);
		size = lseek(reading, 0, SEEK_END);
		assert_in_range(size, length, length + 65535);
	}
	writer_close(&writer);
	writer_free(&writer);
}

/* A file system that cannot: written all the same, which is said once. */
static void
test_not_possible(void **state)
{
	struct writer writer = {0};
	int proc = open("/proc/self/comm", O_RDWR | O_CLOEXEC);

	assert_int_not_equal(proc, -1);
	writer_open(&writer, asked(way_of(state)), proc, 0, 0);
	assert_int_equal(writer.way, WRITE_BUFFERED);
	assert_int_equal(writer.ops->worth, 0);
	assert_int_equal(writer.end, 0);
	writer_close(&writer);
	writer_free(&writer);
	close(proc);
}

#ifdef HAVE_URING
/* With registered buffers, if as many may be: test_writer_uring is without. */
static int
open_ring(void **state ATTR_UNUSED)
{
	bool locks = uring_here_locks();
	const struct uring_config config = {.enabled = 1, .queue_depth = 128,
	    .sq_thread_cpu = -1, .use_registered_buffers = 1,
	    .fallback_on_error = !locks};
	char why[URING_WHY_SIZE];

	if (!uring_here_writes())
		return 0;
	ring = disk_ring_open(&config, why);
	return ring == NULL || (locks && !ring->registered);
}

static int
close_ring(void **state ATTR_UNUSED)
{
	disk_ring_close(ring);
	return 0;
}

#define EACH_RING(test)							\
	WAY(test, WRITE_BUFFERED_URING), WAY(test, WRITE_DIRECT_URING)
#else
#define open_ring	NULL
#define close_ring	NULL
#endif

#define EACH_WAY(test)							\
	WAY(test, WRITE_BUFFERED), WAY(test, WRITE_DIRECT),		\
	WAY(test, WRITE_MMAP)
#define WAY(test, how)							\
	{#test ", " #how, test, open_file, close_file,			\
	    &(enum archive_write){how}}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_WAY(check_way),
		EACH_WAY(test_cut),
		EACH_WAY(test_length),
		EACH_WAY(test_not_possible),
#ifdef HAVE_URING
		EACH_RING(check_way),
		EACH_RING(test_cut),
		EACH_RING(test_length),
#endif
		WAY(test_direct, WRITE_DIRECT),
		WAY(test_full_buffer, WRITE_DIRECT),
		cmocka_unit_test_setup_teardown(test_cut_meanwhile, open_file,
		    close_file),
		cmocka_unit_test_setup_teardown(test_no_room, open_file,
		    close_file),
		cmocka_unit_test_setup_teardown(test_looked_at, open_file,
		    close_file),
	};
	return cmocka_run_group_tests(tests, open_ring, close_ring);
}
