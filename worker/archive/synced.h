/* SPDX-License-Identifier: ISC */
/*
 * What a file says itself of how much of it is on the disk.  Worker, archive,
 * closer and keeper threads.
 *
 * The pages of a new file that never reached the disk are holes, by which
 * recovery knows them.  Those of a recycled one (recycle.h) hold what an old
 * file had there: a block may have its lengths and its sync marker, and old
 * data in its middle.  In one that is written by a map (write_mmap.c) they may
 * have reached the disk before they were full: then there are zeros.  So such
 * a file's header has three entries more:
 *
 *	mcrelay.synced	20 digits: all before this offset is on the disk.
 *			Written over, in its place, after each sync
 *	mcrelay.boot	/proc/sys/kernel/random/boot_id as it was when the
 *			file was begun, "-" without: as long as the kernel is
 *			the same no power was cut, and what was written is there
 *	mcrelay.write	how it is written: past the page cache the sectors of a
 *			block come in any order, and who follows the file sees
 *			no further than what is on the disk
 *
 * The header's first entry is the former, so that no sector boundary divides
 * its digits.  A finished file has them, too, where they mean nothing.
 */
#ifndef MCRELAY_SYNCED_H
#define MCRELAY_SYNCED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/avro_walk.h"
#include "common/compiler.h"

#define SYNCED_BOOT_KEY	"mcrelay.boot"
#define SYNCED_NOTHING	"00000000000000000000"

/* Before the sandbox, in which it cannot be read any more. */
void	synced_learn_boot(void);
/* For SYNCED_BOOT_KEY. */
const char	*synced_boot(void);

/* Where in a file with this header the digits are; 0: it has none. */
uint64_t	synced_place(const struct avro_walk *walk) ATTR_NONNULL;
/* The same of an open file. */
uint64_t	synced_place_of(int fd);

/* Writes, and syncs, that all before `size' is on the disk.  0, or -1 with
 * errno; *unsynced: it was the sync that failed. */
int	synced_note(int directory, const char *name, uint64_t place,
	    uint64_t size, bool *unsynced) ATTR_NONNULL;

/* Up to where whole blocks are what was written: what has been noted, or, for
 * other files and with `memory' while the kernel is the same, UINT64_MAX. */
uint64_t	synced_trusted(const struct avro_walk *walk, bool memory)
		    ATTR_NONNULL;

#endif /* MCRELAY_SYNCED_H */
