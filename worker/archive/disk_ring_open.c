/* SPDX-License-Identifier: ISC */
/*
 * Making the io_uring by which a worker writes its files, and the memory from
 * which it does.  Worker: before its sandbox, but for lanes of a shared one.
 */
#include <sys/mman.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/disk_ring.h"

#ifdef HAVE_URING

#include "worker/archive/disk_ring_priv.h"

#define LANE_SIZE	(DISK_CHUNKS * DISK_CHUNK)
#define MEMORY_SIZE	(ARCHIVE_KINDS * LANE_SIZE)
/* No fewer than there can be: a write and what allocates for it for each chunk,
 * a sync for each file.  The other queue is twice as long. */
#define ENTRIES_MIN	16U
_Static_assert(2 * ENTRIES_MIN >= ARCHIVE_KINDS * (2 * DISK_CHUNKS + 1),
    "no completion is too many");

/* Of a shared one: writes in flight, syncs behind others, and a queue that has
 * them all before any is submitted. */
#define SHARED_DEPTH	128U
#define SHARED_SYNCS	128U
#define SHARED_ENTRIES	512U
_Static_assert(SHARED_ENTRIES >= WRITE_ENTRIES * SHARED_DEPTH,
    "a prepared write has room");
_Static_assert(2 * SHARED_ENTRIES >= 2 * SHARED_DEPTH + SHARED_SYNCS,
    "no completion is too many");

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
restrict_ring(struct disk_ring *ring, char why[static URING_WHY_SIZE])
{
	static const uint8_t ops[] = {IORING_OP_WRITE, IORING_OP_WRITE_FIXED,
	    IORING_OP_FALLOCATE, IORING_OP_FSYNC};
	const struct uring_limits limits = {.ops = ops, .count = NITEMS(ops),
	    .flags = IOSQE_IO_HARDLINK | IOSQE_IO_LINK |
	    (ring->shared ? IOSQE_ASYNC : 0)};

	return uring_restrict(&ring->uring, &limits, why) &&
	    uring_enable(&ring->uring, why);
}

static uint8_t *
map_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
	    MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static bool
set_up(struct disk_ring *ring, const struct uring_config *config,
    char why[static URING_WHY_SIZE])
{
	ring->memory = map_memory(MEMORY_SIZE);
	if (ring->memory == NULL) {
		snprintf(why, URING_WHY_SIZE, "mmap: %s", strerror(errno));
		return false;
	}
	if (config->use_registered_buffers && !register_memory(ring, why)) {
		if (ring->must)
			return false;
		log_warnx("%s: writes without", why);
	}
	return restrict_ring(ring, why);
}

/* As many of the kernel's threads as there may be writes and syncs: files of a
 * disk that does not answer must not have all of them. */
static bool
set_up_shared(struct disk_ring *ring, char why[static URING_WHY_SIZE])
{
	unsigned threads[] = {SHARED_DEPTH + SHARED_SYNCS, 0};
	int error = -io_uring_register_iowq_max_workers(&ring->uring, threads);

	if (error == 0)
		return restrict_ring(ring, why);
	snprintf(why, URING_WHY_SIZE, "the number of io_uring's threads: %s",
	    strerror(error));
	return false;
}

static struct disk_ring *
open_ring(const struct uring_options *options,
    char why[static URING_WHY_SIZE])
{
	struct disk_ring *ring = xcalloc(1, sizeof(*ring));

	if (!uring_open(&ring->uring, options, why)) {
		free(ring);
		return NULL;
	}
	pthread_mutex_init(&ring->mutex, NULL);
	pthread_cond_init(&ring->came, NULL);
	ring->wake = -1;
	return ring;
}

struct disk_ring *
disk_ring_open(const struct uring_config *config,
    char why[static URING_WHY_SIZE])
{
	const struct uring_options options = {
	    .entries = MAX_OF(config->queue_depth, ENTRIES_MIN),
	    .poll = config->use_sqpoll != 0, .cpu = config->sq_thread_cpu};
	struct disk_ring *ring = open_ring(&options, why);

	if (ring == NULL)
		return NULL;
	ring->depth = config->queue_depth;
	ring->syncs_max = UINT_MAX;
	ring->must = config->fallback_on_error == 0;
	if (set_up(ring, config, why))
		return ring;
	disk_ring_close(ring);
	return NULL;
}

struct disk_ring *
disk_ring_open_shared(char why[static URING_WHY_SIZE])
{
	const struct uring_options options = {.entries = SHARED_ENTRIES,
	    .cpu = -1};
	struct disk_ring *ring = open_ring(&options, why);

	if (ring == NULL)
		return NULL;
	ring->depth = SHARED_DEPTH;
	ring->syncs_max = SHARED_SYNCS;
	ring->shared = true;
	if (set_up_shared(ring, why))
		return ring;
	disk_ring_close(ring);
	return NULL;
}

void
disk_ring_close(struct disk_ring *ring)
{
	if (ring == NULL)
		return;
	disk_ring_end_thread(ring);
	assert(ring->expected == 0);
	io_uring_queue_exit(&ring->uring);
	if (ring->memory != NULL)
		munmap(ring->memory, MEMORY_SIZE);
	pthread_cond_destroy(&ring->came);
	pthread_mutex_destroy(&ring->mutex);
	free(ring);
}

uint8_t *
disk_ring_lane(const struct disk_ring *ring, enum archive_kind kind)
{
	return ring->shared ? map_memory(LANE_SIZE) :
	    ring->memory + (unsigned)kind * LANE_SIZE;
}

void
disk_ring_lane_end(const struct disk_ring *ring, uint8_t *lane)
{
	if (ring->shared && lane != NULL)
		munmap(lane, LANE_SIZE);
}

#endif /* HAVE_URING */
