/* SPDX-License-Identifier: ISC */
/*
 * Left-over .part files: what a power cut, or a run whose segment is gone,
 * left unfinished.  Worker; listed by the archive thread before it opens a
 * file of its own, finished one by one in the keeper thread.
 *
 * A file is never appended to.  What becomes of NAME.avro.part:
 *	with at least one whole block	NAME.avro; what followed the last
 *			whole block is kept as NAME.avro.torn, unless it is
 *			nothing but zeros
 *	empty, or a header and no more	removed, as is a spare that has no
 *			header yet
 *	anything else			NAME.avro.bad, as it is
 * Whole means: its lengths are in bounds, the sync marker follows, and none
 * of its pages is a hole, as a page is that never reached the disk.  In a
 * recycled file such a page has old data, in one written by a map it may be
 * half full: there no block is whole that reaches beyond what the file says is
 * on the disk, unless the kernel is still the one that it was begun under
 * (synced.h).  What follows its blocks is nobody's, and goes.
 *
 * All of it can be interrupted at any time and done again.
 */
#ifndef MCRELAY_RECOVER_H
#define MCRELAY_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/segment.h"
#include "worker/archive/file.h"

/* More than these are left to the next start. */
#define LEFTOVERS_MAX	1024U

struct leftovers {
	unsigned	  count;
	char		(*name)[FILE_NAME_SIZE];	/* without ".part" */
};

/* Lists the .part files in the channel's directory which `state' does not
 * name: those are the archive thread's business.  0, or -1 with errno. */
int	leftovers_list(struct leftovers *leftovers, int directory,
	    const char *channel, const struct archive_state *state)
	    ATTR_NONNULL;
/* Whether the state names the file, as open or being finished. */
bool	recover_named(const struct archive_state *state, const char *channel,
	    const char *name) ATTR_NONNULL;
void	leftovers_add(struct leftovers *leftovers, const char *name)
	    ATTR_NONNULL;
void	leftovers_free(struct leftovers *leftovers) ATTR_NONNULL;

enum recovery {
	RECOVERY_FINISHED,
	RECOVERY_REMOVED,
	RECOVERY_BAD,
	RECOVERY_FAILED,	/* errno; left as it is */
};

struct recovered {
	uint64_t	size;		/* of the finished file */
	uint64_t	blocks;
	uint64_t	records;
	uint64_t	torn;		/* bytes cut off */
	uint64_t	reach;		/* where what is its own ends, if the
					 * file says what is synced; else
					 * UINT64_MAX */
};

/* Whether all of the first `size' bytes can be read back as whole blocks, from
 * the disk as far as that can be had; the file ends there. */
bool	recover_whole(int fd, uint64_t size);

/* With `memory' pages of the file that the kernel has may be believed: no sync
 * of it has failed. */
enum recovery	recover_file(int directory, const char *name, bool memory,
		    struct recovered *recovered) ATTR_NONNULL;

#endif /* MCRELAY_RECOVER_H */
