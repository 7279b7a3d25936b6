/* SPDX-License-Identifier: ISC */
/*
 * A build without io_uring: nobody writes files by it.  Worker.
 */
#include "worker/archive/disk_ring.h"

#ifndef HAVE_URING

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

struct disk_ring *
disk_ring_open_shared(char why[static URING_WHY_SIZE])
{
	(void)uring_probe(URING_WRITE, why);
	return NULL;
}

void
disk_ring_start(struct disk_ring *ring ATTR_UNUSED,
    void (*enter)(void) ATTR_UNUSED)
{
}

uint8_t *
disk_ring_lane(const struct disk_ring *ring ATTR_UNUSED,
    enum archive_kind kind ATTR_UNUSED)
{
	return NULL;
}

void
disk_ring_lane_end(const struct disk_ring *ring ATTR_UNUSED,
    uint8_t *lane ATTR_UNUSED)
{
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

#endif /* !HAVE_URING */
