/* SPDX-License-Identifier: ISC */
/*
 * The io_uring by which a worker writes its files, and the memory from which it
 * does.  Worker; made before its sandbox, then the archive thread's.
 *
 * Each kind of file has a lane of chunks, so that none waits for another's.
 * The ring may do nothing but write, and allocate room on the disk.
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

/* Must stay where it is as long as it is in flight. */
struct disk_write {
	int		 fd;
	const uint8_t	*data;		/* of a chunk */
	size_t		 size;
	uint64_t	 at;
	/* Allocated before, size of the file as it is; 0 bytes: nothing. */
	uint64_t	 reserve_at;
	uint64_t	 reserve_size;
	bool		 in_flight;
	bool		 reserved;	/* that has worked, or is on its way */
	int		 result;	/* bytes, or -errno */
};

/* NULL, with a reason in *why, when there cannot be one. */
struct disk_ring	*disk_ring_open(const struct uring_config *config,
			    char why[static URING_WHY_SIZE]) ATTR_NONNULL;
/* Nothing may be in flight.  NULL: nothing happens. */
void		 disk_ring_close(struct disk_ring *ring);

/* DISK_CHUNK bytes, at a page. */
uint8_t		*disk_ring_chunk(const struct disk_ring *ring,
		    enum archive_kind lane, unsigned chunk) ATTR_NONNULL;

/* Whether it still takes writes. */
bool		 disk_ring_works(const struct disk_ring *ring) ATTR_NONNULL;
/* It does not any more, for this reason, which the log says. */
void		 disk_ring_give_up(struct disk_ring *ring, int error)
		    ATTR_NONNULL;

/* Begins a write; waits where more would be in flight than may be.  False: it
 * has not begun, and never will, as the ring does not work any more. */
bool		 disk_ring_write(struct disk_ring *ring,
		    struct disk_write *write) ATTR_NONNULL;
/* Until the write is not in flight any more. */
void		 disk_ring_wait(struct disk_ring *ring,
		    const struct disk_write *write) ATTR_NONNULL;

#endif /* MCRELAY_DISK_RING_H */
