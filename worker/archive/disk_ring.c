/* SPDX-License-Identifier: ISC */
/*
 * The io_uring by which a worker writes its files.  Worker, archive thread.
 */
#include <sys/mman.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/disk_ring.h"
#include "worker/last_words.h"

#ifdef HAVE_URING

#include <liburing.h>

#define MEMORY_SIZE	(ARCHIVE_KINDS * DISK_CHUNKS * DISK_CHUNK)
/* In the user data: what allocates for the write, what syncs behind it. */
#define RESERVES	((uintptr_t)1)
#define SYNCS		((uintptr_t)2)
/* So much of the queue takes a write with both. */
#define WRITE_ENTRIES	3U
/* No fewer than there can be: a write and what allocates for it for each chunk,
 * a sync for each file.  The other queue is twice as long. */
#define ENTRIES_MIN	16U
_Static_assert(2 * ENTRIES_MIN >= ARCHIVE_KINDS * (2 * DISK_CHUNKS + 1),
    "no completion is too many");

struct disk_ring {
	struct io_uring	 uring;
	uint8_t		*memory;
	unsigned	 depth;
	unsigned	 in_flight;	/* writes */
	unsigned	 expected;	/* completions, of these and others */
	bool		 prepared;	/* something is to be submitted */
	bool		 registered;	/* the memory is known to the kernel */
	bool		 must;		/* nothing else will do */
	bool		 given_up;
};

/* Where there is none, pages that are never written to do not exist. */
static bool
register_memory(struct disk_ring *ring, char why[static URING_WHY_SIZE])
{
	const struct iovec all = {ring->memory, MEMORY_SIZE};
	int error = -io_uring_register_buffers(&ring->uring, &all, 1);

	if (error != 0)
		snprintf(why, URING_WHY_SIZE, "registering %zu KiB with "
		    "io_uring: %s", MEMORY_SIZE >> 10, error == ENOMEM ?
		    "more than RLIMIT_MEMLOCK" : strerror(error));
	ring->registered = error == 0;
	return error == 0;
}

static bool
set_up(struct disk_ring *ring, const struct uring_config *config,
    char why[static URING_WHY_SIZE])
{
	static const uint8_t ops[] = {IORING_OP_WRITE, IORING_OP_WRITE_FIXED,
	    IORING_OP_FALLOCATE, IORING_OP_FSYNC};
	const struct uring_limits limits = {.ops = ops, .count = NITEMS(ops),
	    .flags = IOSQE_IO_HARDLINK | IOSQE_IO_LINK};

	ring->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring->memory == MAP_FAILED) {
		ring->memory = NULL;
		snprintf(why, URING_WHY_SIZE, "mmap: %s", strerror(errno));
		return false;
	}
	if (config->use_registered_buffers && !register_memory(ring, why)) {
		if (ring->must)
			return false;
		log_warnx("%s: writes without", why);
	}
	return uring_restrict(&ring->uring, &limits, why) &&
	    uring_enable(&ring->uring, why);
}

struct disk_ring *
disk_ring_open(const struct uring_config *config,
    char why[static URING_WHY_SIZE])
{
	struct disk_ring *ring = xcalloc(1, sizeof(*ring));
	const struct uring_options options = {
	    .entries = MAX_OF(config->queue_depth, ENTRIES_MIN),
	    .poll = config->use_sqpoll != 0, .cpu = config->sq_thread_cpu};

	ring->depth = config->queue_depth;
	ring->must = config->fallback_on_error == 0;
	if (!uring_open(&ring->uring, &options, why)) {
		free(ring);
		return NULL;
	}
	if (set_up(ring, config, why))
		return ring;
	disk_ring_close(ring);
	return NULL;
}

void
disk_ring_close(struct disk_ring *ring)
{
	if (ring == NULL)
		return;
	assert(ring->expected == 0);
	io_uring_queue_exit(&ring->uring);
	if (ring->memory != NULL)
		munmap(ring->memory, MEMORY_SIZE);
	free(ring);
}

uint8_t *
disk_ring_chunk(const struct disk_ring *ring, enum archive_kind lane,
    unsigned chunk)
{
	return ring->memory + ((unsigned)lane * DISK_CHUNKS + chunk) *
	    DISK_CHUNK;
}

bool
disk_ring_works(const struct disk_ring *ring)
{
	return !ring->given_up;
}

void
disk_ring_give_up(struct disk_ring *ring, int error)
{
	if (ring->given_up)
		return;
	if (ring->must) {
		last_words("io_uring does not write any more: %s",
		    strerror(error));
		exit(WORKER_EXIT_CONFIG);
	}
	ring->given_up = true;
	log_warnx("io_uring does not write any more (%s): goes on with system "
	    "calls", strerror(error));
}

static void
take(struct disk_ring *ring, uint64_t data, int result)
{
	void *what = (void *)(uintptr_t)(data & ~(uint64_t)(RESERVES | SYNCS));
	struct disk_write *write = what;
	struct disk_sync *sync = what;

	ring->expected--;
	if ((data & SYNCS) != 0) {
		sync->result = result;
		sync->expected = false;
		return;
	}
	write->expected--;
	if ((data & RESERVES) != 0) {
		/* If there is no room, the write tells. */
		write->reserved = result == 0;
		return;
	}
	write->result = result;
	ring->in_flight--;
}

/* What has come, which may be nothing. */
static void
take_all(struct disk_ring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;

	io_uring_for_each_cqe(&ring->uring, head, cqe) {
		take(ring, cqe->user_data, cqe->res);
		seen++;
	}
	io_uring_cq_advance(&ring->uring, seen);
}

/* One completion, at least. */
static void
take_some(struct disk_ring *ring)
{
	struct io_uring_cqe *cqe;
	int error;

	do
		error = -io_uring_wait_cqe(&ring->uring, &cqe);
	while (error == EINTR || error == EAGAIN);
	/* Nobody knows what of it is in the files: a successor finds out. */
	if (error != 0) {
		errno = error;
		fatal("waiting for what io_uring writes");
	}
	take_all(ring);
}

/* 0, or an errno: then what the kernel has not taken is never begun. */
static int
submit(struct disk_ring *ring)
{
	bool polled = (ring->uring.flags & IORING_SETUP_SQPOLL) != 0;
	int result;

	do {
		result = io_uring_submit(&ring->uring);
		/* What comes back makes room for it. */
		if ((result == -EAGAIN || result == -EBUSY) &&
		    ring->expected > io_uring_sq_ready(&ring->uring))
			take_some(ring);
		else if (result < 0 && result != -EINTR)
			break;
	} while (result < 0 ||
	    (!polled && io_uring_sq_ready(&ring->uring) > 0));
	if (result >= 0)
		return 0;
	if (polled) {
		/* Its thread may have seen it all the same. */
		errno = -result;
		fatal("giving writes to io_uring");
	}
	return -result;
}

/* Of a chain the kernel may have taken the beginning: that is on its way, and
 * comes. */
static void
cancel_rest(struct disk_ring *ring)
{
	const struct io_uring_sq *sq = &ring->uring.sq;
	unsigned left = io_uring_sq_ready(&ring->uring);

	for (; left > 0; left--)
		take(ring, sq->sqes[(sq->sqe_tail - left) &
		    sq->ring_mask].user_data, -ECANCELED);
}

void
disk_ring_submit(struct disk_ring *ring)
{
	int error;

	if (!ring->prepared)
		return;
	ring->prepared = false;
	error = submit(ring);
	if (error == 0)
		return;
	cancel_rest(ring);
	disk_ring_give_up(ring, error);
}

void
disk_ring_wait(struct disk_ring *ring, const struct disk_write *write)
{
	disk_ring_submit(ring);
	while (write->expected > 0)
		take_some(ring);
}

bool
disk_ring_synced(struct disk_ring *ring, const struct disk_sync *sync,
    bool wait)
{
	take_all(ring);
	while (wait && sync->expected)
		take_some(ring);
	return !sync->expected;
}

int
disk_ring_fd(const struct disk_ring *ring)
{
	return ring == NULL ? -1 : ring->uring.ring_fd;
}

static void
prepare_reserve(struct io_uring_sqe *sqe, const struct disk_write *write)
{
	io_uring_prep_fallocate(sqe, write->fd, FALLOC_FL_KEEP_SIZE,
	    (off_t)write->reserve_at, (off_t)write->reserve_size);
	sqe->user_data = (uintptr_t)write | RESERVES;
	/* The write follows, whatever has become of it. */
	sqe->flags |= IOSQE_IO_HARDLINK;
}

static void
prepare_write(const struct disk_ring *ring, struct io_uring_sqe *sqe,
    const struct disk_write *write)
{
	if (ring->registered)
		io_uring_prep_write_fixed(sqe, write->fd, write->data,
		    (unsigned)write->size, write->at, 0);
	else
		io_uring_prep_write(sqe, write->fd, write->data,
		    (unsigned)write->size, write->at);
	sqe->user_data = (uintptr_t)write;
	/* The sync follows a write that is whole. */
	if (write->sync != NULL)
		sqe->flags |= IOSQE_IO_LINK;
}

static void
prepare_sync(struct io_uring_sqe *sqe, const struct disk_write *write)
{
	io_uring_prep_fsync(sqe, write->fd, IORING_FSYNC_DATASYNC);
	sqe->user_data = (uintptr_t)write->sync | SYNCS;
	write->sync->expected = true;
}

/* A chain is submitted as one. */
static void
make_way(struct disk_ring *ring)
{
	while (ring->in_flight >= ring->depth) {
		disk_ring_submit(ring);
		if (ring->in_flight >= ring->depth)
			take_some(ring);
	}
	if (io_uring_sq_space_left(&ring->uring) < WRITE_ENTRIES)
		disk_ring_submit(ring);
	while (!ring->given_up &&
	    io_uring_sq_space_left(&ring->uring) < WRITE_ENTRIES)
		(void)io_uring_sqring_wait(&ring->uring);
}

void
disk_ring_write(struct disk_ring *ring, struct disk_write *write)
{
	struct io_uring *uring = &ring->uring;

	make_way(ring);
	if (ring->given_up) {
		write->result = -ECANCELED;
		if (write->sync != NULL)
			write->sync->result = -ECANCELED;
		return;
	}
	write->reserved = true;
	write->expected = 1U + (write->reserve_size > 0);
	ring->in_flight++;
	ring->expected += write->expected + (write->sync != NULL);
	ring->prepared = true;
	if (write->reserve_size > 0)
		prepare_reserve(io_uring_get_sqe(uring), write);
	prepare_write(ring, io_uring_get_sqe(uring), write);
	if (write->sync != NULL)
		prepare_sync(io_uring_get_sqe(uring), write);
}

#else

struct disk_ring *
disk_ring_open(const struct uring_config *config ATTR_UNUSED,
    char why[static URING_WHY_SIZE])
{
	(void)uring_probe(URING_WRITE, why);
	return NULL;
}

void
disk_ring_close(struct disk_ring *ring ATTR_UNUSED)
{
}

uint8_t *
disk_ring_chunk(const struct disk_ring *ring ATTR_UNUSED,
    enum archive_kind lane ATTR_UNUSED, unsigned chunk ATTR_UNUSED)
{
	return NULL;
}

bool
disk_ring_works(const struct disk_ring *ring ATTR_UNUSED)
{
	return false;
}

void
disk_ring_give_up(struct disk_ring *ring ATTR_UNUSED, int error ATTR_UNUSED)
{
}

void
disk_ring_write(struct disk_ring *ring ATTR_UNUSED,
    struct disk_write *write ATTR_UNUSED)
{
}

void
disk_ring_submit(struct disk_ring *ring ATTR_UNUSED)
{
}

void
disk_ring_wait(struct disk_ring *ring ATTR_UNUSED,
    const struct disk_write *write ATTR_UNUSED)
{
}

bool
disk_ring_synced(struct disk_ring *ring ATTR_UNUSED,
    const struct disk_sync *sync ATTR_UNUSED, bool wait ATTR_UNUSED)
{
	return true;
}

int
disk_ring_fd(const struct disk_ring *ring ATTR_UNUSED)
{
	return -1;
}

#endif /* HAVE_URING */
