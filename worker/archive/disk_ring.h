/* SPDX-License-Identifier: ISC */
/*
 * The io_uring by which a worker writes its files, and the memory from which it
 * does.  Worker; made before its sandbox, then the archive thread's, or, if it
 * is shared, that of all threads which have archives in hand, and of one more.
 *
 * Each kind of file has a lane of chunks, so that none waits for another's.
 * The ring may do nothing but write, allocate room on the disk, and sync.
 *
 * Of a shared one a submission has what other channels have prepared as well.
 * It never waits for what is not the caller's: as much as may be in flight can
 * be in files of a disk that does not answer.  What is prepared is submitted by
 * a thread that does nothing else, and what has come is taken by it: the kernel
 * completes a write that goes past the page cache in the thread which has
 * submitted it, and not before that one's last system call has returned, which
 * of a thread with a file in hand may be at such a disk.
 *
 *	archive threads: prepare, ask ------> eventfd --+--> its thread: submit,
 *	                 wait <--- condition -----------+--- take
 *	a duty:          collect its sync <--- post ----+
 *
 * A worker that is killed has no write in flight any more when it has been
 * reaped, but one that goes past the page cache and that the disk has in hand:
 * that ends before its successor has cut the file, which waits for it.
 */
#ifndef MCRELAY_DISK_RING_H
#define MCRELAY_DISK_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/channel_config.h"
#include "common/compiler.h"
#include "common/segment.h"
#include "common/uring.h"

/* All together less than what anybody may lock (RLIMIT_MEMLOCK). */
#define DISK_CHUNK	((size_t)512 << 10)
#define DISK_CHUNKS	7U

struct disk_ring;
struct duty;

/* An fdatasync() behind a write.  Must stay where it is until it has come. */
struct disk_sync {
	bool		 expected;
	int		 result;	/* 0, or -errno: ECANCELED, when the
					 * write before it was not whole */
	/* Is posted when it has come, if the ring is shared; NULL: nobody. */
	struct duty	*client;
};

/* Must stay where it is as long as anything of it is expected. */
struct disk_write {
	int		 fd;
	const uint8_t	*data;		/* of a chunk */
	size_t		 size;
	uint64_t	 at;
	/* Allocated before, size of the file as it is; 0 bytes: nothing. */
	uint64_t	 reserve_at;
	uint64_t	 reserve_size;
	struct disk_sync *sync;		/* comes by itself; NULL: none, or it
					 * has been left out */
	unsigned	 expected;	/* completions, without the sync's */
	bool		 reserved;	/* that has worked, or is on its way */
	int		 result;	/* bytes, or -errno: ECANCELED, when it
					 * was never begun, or its thread has
					 * ended */
};

/* NULL, with a reason in *why, when there cannot be one. */
struct disk_ring	*disk_ring_open(const struct uring_config *config,
			    char why[static URING_WHY_SIZE]) ATTR_NONNULL;
/* The same, for all channels of a worker. */
struct disk_ring	*disk_ring_open_shared(char why[static
			    URING_WHY_SIZE]);
/* The thread of a shared one, unless it has one; it calls `enter' first, if
 * that is not NULL.  Before the first write, after the sandbox.  When there
 * cannot be one, the ring gives up. */
void		 disk_ring_start(struct disk_ring *ring, void (*enter)(void));
/* Nothing may be in flight.  NULL: nothing happens. */
void		 disk_ring_close(struct disk_ring *ring);

/* DISK_CHUNKS chunks of DISK_CHUNK bytes, at a page; NULL, with errno: there is
 * no memory.  Of a ring that is not shared there is one for each kind. */
uint8_t		*disk_ring_lane(const struct disk_ring *ring,
		    enum archive_kind kind) ATTR_NONNULL;
/* Nothing of it may be in flight.  NULL: nothing happens. */
void		 disk_ring_lane_end(const struct disk_ring *ring,
		    uint8_t *lane);

/* Whether it still takes writes. */
bool		 disk_ring_works(const struct disk_ring *ring) ATTR_NONNULL;
/* It does not any more, for this reason, which the log says. */
void		 disk_ring_give_up(struct disk_ring *ring, int error)
		    ATTR_NONNULL;

/* Prepares a write; waits where more would be in flight than may be, or if the
 * ring is shared, returns false: it is not begun.  A ring that does not work
 * any more cancels it, and leaves its sync out; so does a shared one where more
 * syncs would be in flight than may be. */
bool		 disk_ring_write(struct disk_ring *ring,
		    struct disk_write *write) ATTR_NONNULL;
/* Begins all that are prepared, in one system call; of a shared one its thread
 * does, soon.  When that does not work, the ring gives up, and those that are
 * not begun have been cancelled. */
void		 disk_ring_submit(struct disk_ring *ring) ATTR_NONNULL;
/* Begins what is prepared; until the write, and what allocates for it, are not
 * in flight any more. */
void		 disk_ring_wait(struct disk_ring *ring,
		    const struct disk_write *write) ATTR_NONNULL;

/* Whether the sync has come; with `wait' it has. */
bool		 disk_ring_synced(struct disk_ring *ring,
		    const struct disk_sync *sync, bool wait) ATTR_NONNULL;
/* Can be read from when something has come; to be entered by who submits.
 * `ring' NULL: -1. */
int		 disk_ring_fd(const struct disk_ring *ring);

#endif /* MCRELAY_DISK_RING_H */
