/* SPDX-License-Identifier: ISC */
/*
 * What fails while several chunks of a file are in flight: the file's size has
 * a limit in the middle of one, the ring ends, it takes only the beginning of a
 * chain.  And what goes together: files, and a sync behind what it is of.
 */
#include <sys/resource.h>
#include <dlfcn.h>
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

#ifdef HAVE_URING
#include <liburing.h>
#endif

#include "common/util.h"
#include "tests/unit/uring_here.h"
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
	struct disk_ring *ring;

	if (!uring_here_writes())
		skip();
	ring = disk_ring_open(&config, why);
	if (ring == NULL)
		fail_msg("no ring: %s", why);
	return ring;
}

/* By the ring, or it would be another test. */
static void
open_writer(struct writer *writer, enum archive_write how, int file)
{
	if (how == WRITE_DIRECT && !uring_here_direct(file))
		skip();
	writer_open(writer, how, file, 0, 0);
	assert_int_equal(writer->way, archive_back_end(how, true));
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

static enum archive_write
check_limit(enum archive_write how, size_t most)
{
	const struct rlimit old = {RLIM_INFINITY, RLIM_INFINITY};
	const struct rlimit limit = {most, RLIM_INFINITY};
	struct writer writer = {.ring = open_ring(128)};
	size_t end;
	unsigned i;

	signal(SIGXFSZ, SIG_IGN);
	open_writer(&writer, how, fd);
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
	assert_true(disk_ring_works(writer.ring));
	writer_close(&writer);
	writer_free(&writer);
	disk_ring_close(writer.ring);
	return writer.way;
}

static void
test_limit(void **state)
{
	enum archive_write how = *(const enum archive_write *)*state;

	assert_int_equal(check_limit(how, (2 << 20) + (96 << 10)),
	    archive_back_end(how, true));
}

/* In the middle of a sector, before which direct I/O cannot end. */
static void
test_odd_limit(void **state)
{
	enum archive_write how = *(const enum archive_write *)*state;

	assert_int_equal(check_limit(how, (2 << 20) + 100000),
	    archive_back_end(how, true));
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

	open_writer(&writer, how, fd);
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

#ifdef HAVE_URING

static unsigned	submissions;
/* So much of what comes next the kernel takes, and then no more; -1: all. */
static int	takes = -1;

/* In the C library's place. */
int
io_uring_submit(struct io_uring *uring)
{
	int (*real)(struct io_uring *) =
	    (int (*)(struct io_uring *))dlsym(RTLD_NEXT, "io_uring_submit");
	struct io_uring_cqe *cqe;
	unsigned left;
	int n = takes;

	submissions++;
	if (n == -1)
		return real(uring);
	if (n == 0)
		return -ENOMEM;
	left = uring->sq.sqe_tail - uring->sq.sqe_head - (unsigned)n;
	uring->sq.sqe_tail -= left;
	assert_int_equal(real(uring), n);
	uring->sq.sqe_tail += left;
	/* As many that the ring has not seen yet. */
	assert_int_equal(io_uring_wait_cqe_nr(uring, &cqe, (unsigned)n), 0);
	takes = 0;
	/* As the flush of liburing does: they are the kernel's to take. */
	*uring->sq.ktail = uring->sq.sqe_head = uring->sq.sqe_tail;
	return n;
}

/* A pipe that nobody reads from: what is written to it stays in flight. */
static void
stay_in_flight(struct disk_ring *ring, struct disk_write *begun,
    int pipes[static 2])
{
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_not_equal(fcntl(pipes[1], F_SETPIPE_SZ, 4096), -1);
	assert_int_equal(write(pipes[1], model, 4096), 4096);
	*begun = (struct disk_write){.fd = pipes[1], .data = model, .size = 1};
	assert_true(disk_ring_write(ring, begun));
	disk_ring_submit(ring);
	assert_int_equal(begun->expected, 1);
}

/*
 * What allocates for a write has been begun, the write has not been: it comes
 * when nobody keeps the write any more.
 */
static void
test_beginning(void **state ATTR_UNUSED)
{
	struct disk_ring *ring = open_ring(128);
	struct disk_write other, half, gone;
	struct disk_sync sync = {.result = 1};
	int pipes[2];

	stay_in_flight(ring, &other, pipes);
	half = (struct disk_write){.fd = fd, .size = 4096, .sync = &sync,
	    .data = model, .reserve_size = 65536};
	assert_true(disk_ring_write(ring, &half));
	takes = 1;
	disk_ring_wait(ring, &half);
	takes = -1;
	assert_int_equal(half.result, -ECANCELED);
	assert_true(half.reserved);
	assert_false(sync.expected);
	assert_int_equal(sync.result, -ECANCELED);
	assert_false(disk_ring_works(ring));
	memset(&half, 0xa5, sizeof(half));
	memcpy(&gone, &half, sizeof(half));
	assert_int_equal(read(pipes[0], found, 4096), 4096);
	disk_ring_wait(ring, &other);
	assert_int_equal(other.result, 1);
	assert_memory_equal(&half, &gone, sizeof(half));
	disk_ring_close(ring);
	close(pipes[0]);
	close(pipes[1]);
}

static void
append(struct writer *writer, size_t size)
{
	struct iovec iov = {model + writer->end, size};

	assert_int_equal(writer_append(writer, &iov, 1, size), 0);
}

/* One call for two files; both have all when it has come. */
static void
test_together(void **state)
{
	enum archive_write how = *(const enum archive_write *)*state;
	struct disk_ring *ring = open_ring(128);
	struct writer one = {.ring = ring};
	struct writer two = {.ring = ring, .lane = ARCHIVE_REJECTED};
	char path[] = "/tmp/mcrelay-writer.XXXXXX";
	int other = mkstemp(path), reader = open(path, O_RDONLY | O_CLOEXEC);

	unlink(path);
	open_writer(&one, how, fd);
	open_writer(&two, how, other);
	append(&one, 1000);
	append(&two, 70000);
	submissions = 0;
	assert_true(writer_push(&one, true));
	assert_true(writer_push(&two, true));
	assert_int_equal(writer_flush(&one), 0);
	assert_int_equal(writer_flush(&two), 0);
	assert_int_equal(submissions, 1);
	assert_int_equal(pread(reading, found, FILE_MAX, 0), 1000);
	assert_memory_equal(found, model, 1000);
	assert_true(pread(reader, found, FILE_MAX, 0) >= 70000);
	assert_memory_equal(found, model, 70000);
	assert_int_equal(writer_synced(&one, true), 0);
	assert_int_equal(writer_synced(&two, true), 0);
	writer_close(&one);
	writer_close(&two);
	writer_free(&one);
	writer_free(&two);
	disk_ring_close(ring);
	close(reader);
	close(other);
}

/* A write that is done in part, by a limit in its middle: the sync behind it is
 * not done, and said not to be. */
static void
test_short(void **state)
{
	enum archive_write how = *(const enum archive_write *)*state;
	const struct rlimit old = {RLIM_INFINITY, RLIM_INFINITY};
	const struct rlimit limit = {96 << 10, RLIM_INFINITY};
	struct writer writer = {.ring = open_ring(128)};

	signal(SIGXFSZ, SIG_IGN);
	open_writer(&writer, how, fd);
	append(&writer, 50000);
	assert_true(writer_push(&writer, true));
	assert_int_equal(writer_flush(&writer), 0);
	assert_int_equal(writer_synced(&writer, true), 0);
	append(&writer, 80000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(writer_push(&writer, true));
	assert_int_equal(writer_flush(&writer), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(writer_synced(&writer, true), ECANCELED);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(writer_back(&writer, 50000), 0);
	add(&writer, 80000);
	assert_int_equal(writer.way, archive_back_end(how, true));
	assert_true(disk_ring_works(writer.ring));
	writer_close(&writer);
	writer_free(&writer);
	disk_ring_close(writer.ring);
}

#endif /* HAVE_URING */

#define WAY(test, how)							\
	{#test ", " #how, test, open_file, close_file,			\
	    &(enum archive_write){how}}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WAY(test_limit, WRITE_BUFFERED),
		WAY(test_limit, WRITE_DIRECT),
		WAY(test_odd_limit, WRITE_BUFFERED),
		WAY(test_odd_limit, WRITE_DIRECT),
		WAY(test_ring_fails, WRITE_BUFFERED),
		WAY(test_ring_fails, WRITE_DIRECT),
#ifdef HAVE_URING
		{"test_beginning", test_beginning, open_file, close_file, NULL},
		WAY(test_together, WRITE_BUFFERED),
		WAY(test_together, WRITE_DIRECT),
		WAY(test_short, WRITE_BUFFERED),
		WAY(test_short, WRITE_DIRECT),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
