/* SPDX-License-Identifier: ISC */
/*
 * A ring by which several channels write: what goes together, what writes of
 * others that do not end hold up, and threads that use it at the same time.
 */
#include <dlfcn.h>
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

#ifdef HAVE_URING

#include <liburing.h>

#define FILE_MAX	((size_t)8 << 20)

static uint8_t		 model[FILE_MAX], found[FILE_MAX];
static unsigned		 submissions;

/* In the C library's place. */
int
io_uring_submit(struct io_uring *uring)
{
	int (*real)(struct io_uring *) =
	    (int (*)(struct io_uring *))dlsym(RTLD_NEXT, "io_uring_submit");

	submissions++;
	return real(uring);
}

static void
fill_model(void)
{
	size_t i;

	for (i = 0; i < FILE_MAX; i++)
		model[i] = (uint8_t)(i * 31 + i / 253);
}

static int
new_file(void)
{
	char path[] = "/tmp/mcrelay-writer.XXXXXX";
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	unlink(path);
	return fd;
}

static struct disk_ring *
open_shared(void)
{
	char why[URING_WHY_SIZE];
	struct disk_ring *ring;

	if (!uring_here_writes())
		return NULL;
	ring = disk_ring_open_shared(why);
	if (ring == NULL)
		fail_msg("no ring: %s", why);
	return ring;
}

/* By the ring, or it would be another test. */
static void
open_writer(struct writer *writer, enum archive_write how)
{
	int fd = new_file();

	if (how == WRITE_DIRECT && !uring_here_direct(fd))
		skip();
	writer_open(writer, how, fd, 0, 0);
	assert_int_equal(writer->way, archive_back_end(how, true));
}

static void
append(struct writer *writer, size_t size)
{
	struct iovec iov = {model + writer->end, size};

	assert_true(writer->end + size <= FILE_MAX);
	assert_int_equal(writer_append(writer, &iov, 1, size), 0);
}

static void
add(struct writer *writer, size_t size)
{
	append(writer, size);
	assert_int_equal(writer_flush(writer), 0);
}

/* And then the file has all. */
static void
end(struct writer *writer)
{
	int fd = writer->fd;

	writer_close(writer);
	assert_true(pread(fd, found, FILE_MAX, 0) >= (ssize_t)writer->end);
	assert_memory_equal(found, model, writer->end);
	writer_free(writer);
	close(fd);
}

/* Of two channels: who is first to wait submits for both. */
static void
test_together(void **state)
{
	enum archive_write how = *(const enum archive_write *)*state;
	struct disk_ring *ring = open_shared();
	struct writer one = {.ring = ring}, two = {.ring = ring};

	if (ring == NULL)
		skip();
	open_writer(&one, how);
	open_writer(&two, how);
	append(&one, 1000);
	append(&two, 70000);
	submissions = 0;
	assert_false(writer_push(&one, false));
	assert_false(writer_push(&two, false));
	assert_int_equal(submissions, 0);
	assert_int_equal(writer_flush(&two), 0);
	assert_int_equal(writer_flush(&one), 0);
	assert_int_equal(submissions, 1);
	end(&one);
	end(&two);
	disk_ring_close(ring);
}

/* A pipe that nobody reads from: what is written to it stays in flight. */
static void
open_full(int pipes[static 2])
{
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_not_equal(fcntl(pipes[1], F_SETPIPE_SZ, 4096), -1);
	assert_int_equal(write(pipes[1], model, 4096), 4096);
}

/* Others' writes do not end, as many as may be in flight: nobody waits for
 * them. */
static void
test_full(void **state)
{
	enum archive_write how = *(const enum archive_write *)*state;
	struct writer writer = {.ring = open_shared()};
	struct disk_write stuck[1000];
	unsigned i, n = 0;
	int pipes[2];

	if (writer.ring == NULL)
		skip();
	open_full(pipes);
	do {
		assert_true(n < NITEMS(stuck));
		stuck[n] = (struct disk_write){.fd = pipes[1], .data = model,
		    .size = 1};
	} while (disk_ring_write(writer.ring, &stuck[n++]));
	disk_ring_submit(writer.ring);
	open_writer(&writer, how);
	add(&writer, 300000);
	add(&writer, 3 << 20);
	assert_int_equal(writer.way, archive_back_end(how, true));
	assert_true(disk_ring_works(writer.ring));
	assert_int_equal(read(pipes[0], found, 4096), 4096);
	for (i = 0; i < n - 1; i++) {
		disk_ring_wait(writer.ring, &stuck[i]);
		assert_int_equal(stuck[i].result, 1);
	}
	add(&writer, 300000);
	end(&writer);
	disk_ring_close(writer.ring);
	close(pipes[0]);
	close(pipes[1]);
}

#define THREADS		4
#define ROUNDS		200

struct channel {
	struct writer	 writer;
	unsigned	 seed;
	bool		 good;
};

static void *
write_at_random(void *argument)
{
	struct channel *channel = argument;
	struct writer *writer = &channel->writer;
	struct iovec iov;
	unsigned i;

	for (i = 0; i < ROUNDS && channel->good; i++) {
		iov.iov_base = model + writer->end;
		iov.iov_len = (size_t)rand_r(&channel->seed) % 20000 *
		    (rand_r(&channel->seed) % 50 == 0 ? 40 : 1);
		if (writer->end + iov.iov_len > FILE_MAX)
			break;
		channel->good = writer_append(writer, &iov, 1, iov.iov_len) ==
		    0;
		if (rand_r(&channel->seed) % 2 == 0)
			continue;
		(void)writer_push(writer, false);
		channel->good = channel->good && writer_flush(writer) == 0;
	}
	channel->good = channel->good && writer_flush(writer) == 0;
	return NULL;
}

static void
test_threads(void **state)
{
	enum archive_write how = *(const enum archive_write *)*state;
	struct disk_ring *ring = open_shared();
	struct channel channel[THREADS];
	pthread_t thread[THREADS];
	unsigned i;

	if (ring == NULL)
		skip();
	for (i = 0; i < THREADS; i++) {
		channel[i] = (struct channel){.writer.ring = ring, .seed = i,
		    .good = true};
		open_writer(&channel[i].writer, how);
		assert_int_equal(pthread_create(&thread[i], NULL,
		    write_at_random, &channel[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_true(channel[i].good);
		assert_true(channel[i].writer.end > 500000);
		end(&channel[i].writer);
	}
	assert_true(disk_ring_works(ring));
	disk_ring_close(ring);
}

#endif /* HAVE_URING */

#define WAY(test, how)							\
	{#test ", " #how, test, NULL, NULL, &(enum archive_write){how}}

int
main(void)
{
#ifdef HAVE_URING
	const struct CMUnitTest tests[] = {
		WAY(test_together, WRITE_BUFFERED),
		WAY(test_together, WRITE_DIRECT),
		WAY(test_full, WRITE_BUFFERED),
		WAY(test_full, WRITE_DIRECT),
		WAY(test_threads, WRITE_BUFFERED),
		WAY(test_threads, WRITE_DIRECT),
	};

	fill_model();
	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 77;
#endif
}
