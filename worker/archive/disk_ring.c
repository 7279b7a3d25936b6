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
/* In the user data of what allocates for a write. */
#define RESERVES	((uintptr_t)1)

struct disk_ring {
	struct io_uring	 uring;
	uint8_t		*memory;
	unsigned	 depth;
	unsigned	 in_flight;
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
	    IORING_OP_FALLOCATE};
	const struct uring_limits limits = {.ops = ops, .count = NITEMS(ops),
	    .flags = IOSQE_IO_HARDLINK};

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
	/* A write, and what allocates for it, go together. */
	const struct uring_options options = {
	    .entries = MAX_OF(config->queue_depth, 2U),
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
	assert(ring->in_flight == 0);
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
take(struct disk_ring *ring, const struct io_uring_cqe *cqe)
{
	struct disk_write *write =
	    (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)RESERVES);

	if ((cqe->user_data & RESERVES) != 0) {
		/* If there is no room, the write tells. */
		write->reserved = cqe->res == 0;
		return;
	}
	write->result = cqe->res;
	write->in_flight = false;
	ring->in_flight--;
}

/* One completion, at least. */
static void
take_some(struct disk_ring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;
	int error;

	do
		error = -io_uring_wait_cqe(&ring->uring, &cqe);
	while (error == EINTR || error == EAGAIN);
	/* Nobody knows what of it is in the files: a successor finds out. */
	if (error != 0) {
		errno = error;
		fatal("waiting for what io_uring writes");
	}
	io_uring_for_each_cqe(&ring->uring, head, cqe) {
		take(ring, cqe);
		seen++;
	}
	io_uring_cq_advance(&ring->uring, seen);
}

void
disk_ring_wait(struct disk_ring *ring, const struct disk_write *write)
{
	while (write->in_flight)
		take_some(ring);
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
}

/* 0, or an errno: then what was prepared is never begun. */
static int
submit(struct disk_ring *ring)
{
	int result;

	do {
		result = io_uring_submit(&ring->uring);
		/* What comes back makes room for it. */
		if ((result == -EAGAIN || result == -EBUSY) &&
		    ring->in_flight > 1)
			take_some(ring);
		else if (result < 0 && result != -EINTR)
			break;
	} while (result < 0 || ((ring->uring.flags & IORING_SETUP_SQPOLL) == 0
	    && io_uring_sq_ready(&ring->uring) > 0));
	if (result >= 0)
		return 0;
	if ((ring->uring.flags & IORING_SETUP_SQPOLL) != 0) {
		/* Its thread may have seen it all the same. */
		errno = -result;
		fatal("giving writes to io_uring");
	}
	return -result;
}

bool
disk_ring_write(struct disk_ring *ring, struct disk_write *write)
{
	int error;

	while (ring->in_flight >= ring->depth)
		take_some(ring);
	while (io_uring_sq_space_left(&ring->uring) < 2)
		(void)io_uring_sqring_wait(&ring->uring);
	write->in_flight = true;
	write->reserved = true;
	ring->in_flight++;
	if (write->reserve_size > 0)
		prepare_reserve(io_uring_get_sqe(&ring->uring), write);
	prepare_write(ring, io_uring_get_sqe(&ring->uring), write);
	error = submit(ring);
	if (error == 0)
		return true;
	write->in_flight = false;
	ring->in_flight--;
	disk_ring_give_up(ring, error);
	return false;
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

bool
disk_ring_write(struct disk_ring *ring ATTR_UNUSED,
    struct disk_write *write ATTR_UNUSED)
{
	return false;
}

void
disk_ring_wait(struct disk_ring *ring ATTR_UNUSED,
    const struct disk_write *write ATTR_UNUSED)
{
}

#endif /* HAVE_URING */
