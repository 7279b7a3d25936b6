/* SPDX-License-Identifier: ISC */
/*
 * Files that are written over, in each of the ways: their beginning, in which
 * it is noted how much is on the disk (synced.h), while more is appended; and
 * their room, which was there before.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
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

#define HEADER	800
#define PLACE	32
#define DIGITS	20
#define SIZE	((size_t)3 << 20)
#define ROUNDS	30
/* At which it is rotated. */
#define LIMIT	((size_t)2 << 20)

static struct disk_ring	*ring;
static uint8_t		 data[SIZE], found[SIZE];
static char		 path[] = "/tmp/mcrelay-beginning.XXXXXX";
static int		 fd;
static atomic_bool	 over;
static char		 noted[DIGITS + 1];

/* As the closer does, by a descriptor of its own. */
static void
note(unsigned number)
{
	int own = open(path, O_RDWR | O_CLOEXEC);

	assert_int_not_equal(own, -1);
	snprintf(noted, sizeof(noted), "%020u", number);
	assert_int_equal(pwrite(own, noted, DIGITS, PLACE), DIGITS);
	assert_int_equal(fdatasync(own), 0);
	close(own);
}

static void *
note_again_and_again(void *argument ATTR_UNUSED)
{
	unsigned number = 1;

	while (!atomic_load(&over))
		note(number++);
	return NULL;
}

/* The file has these data, but for what was noted last. */
static void
check(size_t size)
{
	int own = open(path, O_RDONLY | O_CLOEXEC);

	memcpy(data + PLACE, noted, DIGITS);
	assert_int_equal(pread(own, found, size, 0), size);
	close(own);
	assert_memory_equal(found, data, size);
}

/* What was appended is in the file. */
static void
append(struct writer *writer, size_t size)
{
	struct iovec iov = {data + writer->end, size};

	assert_int_equal(writer_append(writer, &iov, 1, size), 0);
	assert_int_equal(writer_flush(writer), 0);
}

static void
end(struct writer *writer)
{
	writer_close(writer);
	writer_free(writer);
	close(fd);
	unlink(path);
}

/* Over a file of this size. */
static void
begin(struct writer *writer, enum archive_write way, size_t old)
{
	bool by_ring = way == WRITE_BUFFERED_URING ||
	    way == WRITE_DIRECT_URING;
	size_t i;

	if (by_ring && !uring_here_writes())
		skip();
	for (i = 0; i < SIZE; i++)
		data[i] = (uint8_t)((i * 2654435761u) >> 13);
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	assert_int_not_equal(fd, -1);
	note(0);
	memcpy(data + PLACE, noted, DIGITS);
	assert_int_equal(pwrite(fd, data, old, 0), old);
	assert_int_equal(fsync(fd), 0);
	*writer = (struct writer){.ring = by_ring ? ring : NULL,
	    .recycled = old > HEADER};
	writer_open(writer, way == WRITE_BUFFERED_URING ? WRITE_BUFFERED :
	    way == WRITE_DIRECT_URING ? WRITE_DIRECT : way, fd, HEADER, LIMIT);
	if ((way == WRITE_DIRECT || way == WRITE_DIRECT_URING) &&
	    !uring_here_direct(fd)) {
		end(writer);
		skip();
	}
	assert_int_equal(writer->way, way);
}


/* Noted when little had come: all that follows leaves it alone, and so does who
 * goes on with the file. */
static void
test_noted(void **state)
{
	enum archive_write way = *(const enum archive_write *)*state;
	struct writer writer;

	begin(&writer, way, HEADER);
	append(&writer, 1000);
	note(1800);
	append(&writer, 200);
	append(&writer, 150000);
	check(HEADER + 151200);
	note(151200);
	append(&writer, 1000);
	writer_back(&writer, 2000);
	note(2000);
	append(&writer, 1000000);
	check(1002000);
	end(&writer);
}

/* At any moment, whatever is being written. */
static void
test_noting(void **state)
{
	enum archive_write way = *(const enum archive_write *)*state;
	struct writer writer;
	pthread_t thread;
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		begin(&writer, way, HEADER);
		atomic_store(&over, false);
		assert_int_equal(pthread_create(&thread, NULL,
		    note_again_and_again, NULL), 0);
		append(&writer, 100 + i * 100);
		append(&writer, 70000 + i * 1000);
		append(&writer, 300000);
		atomic_store(&over, true);
		pthread_join(thread, NULL);
		check(writer.end);
		end(&writer);
	}
}

static uint64_t
blocks(void)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks;
}

/* The last block goes beyond the size at which it is rotated, as that of the
 * file before did: nothing more is allocated, and nothing to be given back. */
static void
test_room(void **state)
{
	enum archive_write way = *(const enum archive_write *)*state;
	struct writer writer;
	uint64_t before;

	begin(&writer, way, LIMIT + 150000);
	before = blocks();
	while (writer.end < LIMIT) {
		append(&writer, 100000);
		assert_int_equal(blocks(), before);
	}
	end(&writer);
}

int
main(void)
{
	static enum archive_write ways[] = {WRITE_BUFFERED, WRITE_DIRECT,
	    WRITE_MMAP, WRITE_BUFFERED_URING, WRITE_DIRECT_URING};
	struct CMUnitTest tests[3 * NITEMS(ways)];
	const struct uring_config config = {.queue_depth = 128,
	    .fallback_on_error = 1, .sq_thread_cpu = -1};
	char why[URING_WHY_SIZE];
	size_t i;

	ring = disk_ring_open(&config, why);
	if (ring == NULL)
		print_message("no io_uring: %s\n", why);
	for (i = 0; i < NITEMS(ways); i++) {
		tests[3 * i] = (struct CMUnitTest)
		    cmocka_unit_test_prestate(test_noted, &ways[i]);
		tests[3 * i + 1] = (struct CMUnitTest)
		    cmocka_unit_test_prestate(test_noting, &ways[i]);
		tests[3 * i + 2] = (struct CMUnitTest)
		    cmocka_unit_test_prestate(test_room, &ways[i]);
	}
	i = (size_t)cmocka_run_group_tests(tests, NULL, NULL);
	disk_ring_close(ring);
	return (int)i;
}
