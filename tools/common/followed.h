/* SPDX-License-Identifier: ISC */
/*
 * A file that mcrelay-worker is writing, or has written: each record once, in
 * order, whatever becomes of the worker.  Tools, and mcrelay-forwarder.
 *
 * A whole block at the end of a file that is being written need not stay: a
 * worker that is killed before it has noted the block is followed by one that
 * cuts it off, and writes its records again, perhaps in blocks of another size.
 * But they are the same records in the same order, so what was taken is known
 * by their number in the file; and that the file was cut is seen by the last
 * blocks, which are compared before one more is read.
 */
#ifndef MCRELAY_TOOLS_FOLLOWED_H
#define MCRELAY_TOOLS_FOLLOWED_H

#include <sys/stat.h>

#include "common/archive_names.h"
#include "tools/common/reader.h"

/* How many blocks are remembered: what a kill can take back is one or two. */
#define FOLLOWED_MARKS	16U

struct followed_mark {
	uint64_t	offset;
	uint64_t	size;
	uint64_t	hash;		/* of all its bytes */
	uint64_t	records;	/* of the file, with this block */
};

struct followed {
	int		 directory;	/* not owned */
	char		 part[ARCHIVE_NAME_SIZE + sizeof(ARCHIVE_PART)];
	struct reader	 reader;
	struct followed_mark mark[FOLLOWED_MARKS];
	unsigned	 marks;
	uint64_t	 passed;	/* records before the next block */
	uint64_t	 taken;		/* records: those are not given again */
	struct stat	 last;		/* when it was read last */
	bool		 reading;	/* what was there then */
	bool		 final;		/* and there will not be more */
};

enum followed_status {
	FOLLOWED_BLOCK,		/* open; or a block */
	FOLLOWED_NOTHING,	/* just now: ask again later */
	FOLLOWED_END,		/* the worker has done with it */
	FOLLOWED_UNUSABLE,	/* the same, and *why says what is wrong */
};

/*
 * Opens the file whose name will be `stem' when it is finished.  NOTHING: it
 * has no whole header yet; END: it has vanished before it had one.
 */
enum followed_status	followed_open(struct followed *file, int directory,
			    const char *stem, const char **why) ATTR_NONNULL;
/*
 * The next block, of whose good records the first *skip have been taken before.
 * After END, and after UNUSABLE, only followed_close() may be called.
 */
enum followed_status	followed_next(struct followed *file,
			    struct reader_block *block, uint64_t *skip,
			    const char **why) ATTR_NONNULL;
void			followed_close(struct followed *file) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_FOLLOWED_H */
