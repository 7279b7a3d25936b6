/* SPDX-License-Identifier: ISC */
/*
 * A channel's archive, block by block, from any record of any file on.
 * mcrelay-forwarder, a lane.
 *
 * Where one is is said by a file's name and a number of records in it, which a
 * worker that is killed does not change (tools/common/followed.h).  What comes
 * behind a file is said by the catalogue, in the order in which files were
 * finished; those that it does not have yet come last.
 */
#ifndef MCRELAY_FORWARDER_SOURCE_H
#define MCRELAY_FORWARDER_SOURCE_H

#include "tools/common/followed.h"
#include "tools/common/listing.h"

struct source {
	int			 directory;
	const char		*path;		/* for messages */
	void			*seen;		/* tsearch(): stems */
	uint64_t		 changed_ns;	/* the directory, last */
	struct listing		 listing;	/* the last */
	size_t			 at;		/* of it, files that are left */
	bool			 open;
	char			 stem[ARCHIVE_NAME_SIZE];
	struct followed		 file;
	uint64_t		 unresolved_ns;	/* since when; 0: not so */
};

void	source_init(struct source *source, int directory, const char *path)
	    ATTR_NONNULL;
/*
 * Goes on behind the first `records' of that file; with stem "" at the very
 * beginning.  False: cannot be told yet, ask again later.
 */
bool	source_seek(struct source *source, const char *stem, uint64_t records)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;

enum source_status {
	SOURCE_BLOCK,
	SOURCE_NOTHING,		/* just now */
};

/* The next block, as followed_next() gives it, of source->file. */
enum source_status	source_next(struct source *source,
			    struct reader_block *block, uint64_t *skip)
			    ATTR_NONNULL;

/* Of finished files, for source_left(): its size, and how old it is. */
typedef void	source_each(void *argument, uint64_t left, uint64_t age_ns);

/* Bytes that were not given yet; `each' is told how many that are, up to the
 * end of each file but the last. */
uint64_t	source_left(struct source *source, source_each *each,
		    void *argument) __attribute__((__nonnull__(1)));

#endif /* MCRELAY_FORWARDER_SOURCE_H */
