/* SPDX-License-Identifier: ISC */
/*
 * A ring by which several channels write: what goes together, what is held up
 * by writes of others that do not end, or by a thread that does not come back,
 * who hears of a sync, and threads that use it at the same time.
 */
#include <sys/wait.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
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
#include "common/wake.h"
#include "tests/unit/uring_here.h"
#include "worker/archive/disk_ring.h"
#include "worker/archive/duty.h"
#include "worker/archive/unbuffered.h"
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
	else
		disk_ring_start(ring, NULL);
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

/* Whoever is not heard of for so long never comes. */
#define PATIENCE_MS	20000
/* Of one channel, past the page cache: they last longer than a fork. */
#define WRITES		48U

/* The archive thread of a channel whose disk does not answer. */
struct hanging {
	struct disk_ring *ring;
	struct disk_write *own;
	int		 gate[2];	/* a byte of it is the answer */
	sem_t		 submitted;
	_Atomic bool	 back;
};

/* Until there is an answer, or nobody waits for it. */
static void
await_answer(int gate)
{
	struct pollfd pollfd = {.fd = gate, .events = POLLIN};

	(void)poll(&pollfd, 1, PATIENCE_MS);
}

/*
 * Submits what all have prepared, and is at its disk then: as there, no signal
 * and no work of the kernel's wakes who waits for a vfork.
 */
static void *
submit_and_hang(void *argument)
{
	struct hanging *hanging = argument;
	pid_t child;

	disk_ring_submit(hanging->ring);
	sem_post(&hanging->submitted);
	child = vfork();
	if (child == 0) {
		await_answer(hanging->gate[0]);
		_exit(0);
	}
	atomic_store(&hanging->back, true);
	disk_ring_wait(hanging->ring, hanging->own);
	return (void *)(intptr_t)(waitpid(child, NULL, 0) == child);
}

/* A file past the page cache, which has all of its blocks, so that the thread
 * which submits writes begins them itself; -1: not here. */
static int
new_unbuffered(void)
{
	int fd = new_file();
	unsigned i;

	for (i = 0; i < WRITES; i++)
		assert_int_equal(write(fd, model, DISK_CHUNK), DISK_CHUNK);
	assert_int_equal(fsync(fd), 0);
	if (unbuffered_alignment(fd) != 0 && unbuffered_set(fd, true) == 0)
		return fd;
	print_message("no O_DIRECT in /tmp: %s\n", strerror(errno));
	close(fd);
	return -1;
}

static void
prepare_all(struct disk_ring *ring, struct disk_write write[static WRITES],
    int fd, uint8_t *lane)
{
	unsigned i;

	for (i = 0; i < WRITES; i++) {
		write[i] = (struct disk_write){.fd = fd, .data = lane +
		    i % DISK_CHUNKS * DISK_CHUNK, .size = DISK_CHUNK,
		    .at = i * DISK_CHUNK};
		assert_true(disk_ring_write(ring, &write[i]));
	}
}

static void
wait_all(struct disk_ring *ring, struct disk_write write[static WRITES])
{
	unsigned i;

	for (i = 0; i < WRITES; i++) {
		disk_ring_wait(ring, &write[i]);
		assert_int_equal(write[i].result, DISK_CHUNK);
	}
}

/* Writes of a channel on a good disk complete while the thread does not come
 * back that has submitted them, or has had them submitted. */
static void
test_submitter_hangs(void **state ATTR_UNUSED)
{
	struct disk_write own, good[WRITES];
	struct hanging hanging = {.ring = open_shared(), .own = &own};
	struct disk_ring *ring = hanging.ring;
	int fd = new_unbuffered(), own_fd = new_file();
	pthread_t thread;
	uint8_t *lane;
	void *ended;

	if (ring == NULL || fd == -1)
		skip();
	lane = disk_ring_lane(ring, ARCHIVE_MAIN);
	assert_non_null(lane);
	assert_int_equal(pipe2(hanging.gate, O_CLOEXEC), 0);
	assert_int_equal(sem_init(&hanging.submitted, 0, 0), 0);
	prepare_all(ring, good, fd, lane);
	own = (struct disk_write){.fd = own_fd, .data = model, .size = 1000};
	assert_true(disk_ring_write(ring, &own));
	assert_int_equal(pthread_create(&thread, NULL, submit_and_hang,
	    &hanging), 0);
	assert_int_equal(sem_wait(&hanging.submitted), 0);
	wait_all(ring, good);
	assert_false(atomic_load(&hanging.back));
	assert_int_equal(write(hanging.gate[1], "", 1), 1);
	assert_int_equal(pthread_join(thread, &ended), 0);
	assert_non_null(ended);
	assert_int_equal(own.result, 1000);
	close(hanging.gate[0]);
	close(hanging.gate[1]);
	disk_ring_lane_end(ring, lane);
	disk_ring_close(ring);
	close(fd);
	close(own_fd);
}

/* A sync that comes when nobody waits: its archive is told. */
static void
test_sync_is_told(void **state)
{
	enum archive_write how = *(const enum archive_write *)*state;
	struct duty duty = {.wake = wake_open(), .also = -1};
	struct pollfd told = {.fd = duty.wake, .events = POLLIN};
	struct writer writer = {.ring = open_shared(), .client = &duty};
	unsigned i;

	if (writer.ring == NULL)
		skip();
	writer_open(&writer, how, new_file(), 0, 0);
	for (i = 0; i < 3; i++) {
		append(&writer, 200000);
		assert_true(writer_push(&writer, true));
		assert_int_equal(writer_flush(&writer), 0);
		assert_int_equal(poll(&told, 1, PATIENCE_MS), 1);
		wake_take(duty.wake);
		assert_int_equal(writer_synced(&writer, false), 0);
	}
	end(&writer);
	disk_ring_close(writer.ring);
	close(duty.wake);
}

/* As many as may be in flight are prepared, each with what allocates for it and
 * a sync: the queue has them all before any is submitted. */
static void
test_queue(void **state ATTR_UNUSED)
{
	static struct disk_write stuck[1000];
	static struct disk_sync sync[NITEMS(stuck)];
	struct disk_ring *ring = open_shared();
	unsigned i, n;
	int pipes[2];

	if (ring == NULL)
		skip();
	open_full(pipes);
	for (n = 0; n < NITEMS(stuck); n++) {
		stuck[n] = (struct disk_write){.fd = pipes[1], .data = model,
		    .size = 1, .reserve_size = 4096, .sync = &sync[n]};
		if (!disk_ring_write(ring, &stuck[n]))
			break;
	}
	assert_in_range(n, 2, NITEMS(stuck) - 1);
	assert_int_equal(read(pipes[0], found, 4096), 4096);
	for (i = 0; i < n; i++) {
		disk_ring_wait(ring, &stuck[i]);
		assert_int_equal(stuck[i].result, 1);
		assert_true(disk_ring_synced(ring, &sync[i], true));
		/* A pipe can be neither, but each has been tried. */
		assert_false(stuck[i].reserved);
		assert_int_equal(sync[i].result, -EINVAL);
	}
	disk_ring_close(ring);
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
		cmocka_unit_test(test_submitter_hangs),
		WAY(test_sync_is_told, WRITE_BUFFERED),
		WAY(test_sync_is_told, WRITE_DIRECT),
		cmocka_unit_test(test_queue),
		WAY(test_threads, WRITE_BUFFERED),
		WAY(test_threads, WRITE_DIRECT),
	};

	fill_model();
	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 77;
#endif
}
