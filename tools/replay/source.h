/* SPDX-License-Identifier: ISC */
/*
 * The records of a channel, one after the other, out of files, directories,
 * captures and streams.  mcrelay-replay.
 *
 * Thousands of them at once are read in little memory.  Blocks that are not
 * compressed are sent on while they come, by a back end that reads ahead.
 * Others are read and checked to their end, in buffers that all share, before
 * their first record is sent.  A source keeps a piece of one: what is behind
 * the piece is uncompressed once more, going on from piece to piece.  So are
 * those in which something is wrong, from the record on that is; these are in
 * memory as a whole meanwhile.
 */
#ifndef MCRELAY_REPLAY_SOURCE_H
#define MCRELAY_REPLAY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tools/common/capture.h"
#include "tools/common/listing.h"
#include "tools/common/progress.h"
#include "tools/common/reader.h"
#include "tools/common/reading.h"
#include "tools/common/remote.h"
#include "tools/replay/replay.h"

/* What all sources have together. */
struct source_shared {
	const struct replay_options *options;
	struct progress	*progress;	/* a line of which log lines clear */
	struct reading	 reading;
	size_t		 piece;		/* bytes that a source keeps */
	struct buffer	 stored;	/* of the block that is being read */
	struct buffer	 plain;
	size_t		 held;		/* beside pieces, bytes */
};

struct source {
	struct source_shared	*shared;
	const struct replay_channel *channel;
	size_t			 operand;	/* the next one */
	/* Of the operand now, of which at most one is open. */
	struct listing		 listing;	/* a directory */
	size_t			 listed;	/* the next one of it */
	struct reader		 file;
	struct reader		*reader;	/* file's, or the stream's */
	struct remote		*remote;
	struct capture		*capture;
	char			*path;		/* for messages; malloc'ed */

	struct reader_block	 block;		/* without its data */
	bool			 comes;		/* and is not checked before */
	uint64_t		 left;		/* records of it */
	uint64_t		 sent;		/* the same, if it comes */
	size_t			 at;		/* bytes of it */
	const uint8_t		*piece;		/* in the block from... */
	size_t			 piece_at;
	size_t			 piece_size;
	struct buffer		 kept;		/* if it is nowhere else */
	struct uncompress	 pieces;	/* behind the piece */
	size_t			 held;		/* beside the piece */
	uint64_t		 sequence;	/* of a capture */

	/* What source_next() has found; good until the next call. */
	struct record		 record;
	const uint8_t		*data;		/* of the datagram */
	size_t			 size;

	uint64_t		 position;	/* bytes of files */
	uint64_t		 done;		/* those of earlier files */
	uint64_t		 damaged;	/* places, and unusable files */
	bool			 failed;	/* after a log line */
	bool			 first;		/* not begun anew */

	/* Of the queue: when the record is due, in the channel's own time. */
	int64_t			 due_ns;	/* RECORDS_NO_TIME: at once */
	int64_t			 last_ns;	/* as recorded; the same */
	uint64_t		 played;
};

void	source_open(struct source *source, struct source_shared *shared,
	    const struct replay_channel *channel) ATTR_NONNULL;
void	source_close(struct source *source) ATTR_NONNULL;
/* Begins anew; what was counted stays. */
void	source_rewind(struct source *source) ATTR_NONNULL;

/* The next record that was asked for.  False: at the end, or when told to
 * stop, or source->failed. */
bool	source_next(struct source *source) ATTR_NONNULL;
/* Whether what it has found may not be what was in the file. */
bool	source_is_cut(const struct source *source) ATTR_NONNULL;
/* Whether that may take longer than a copy. */
bool	source_has_to_read(const struct source *source) ATTR_NONNULL;

#endif /* MCRELAY_REPLAY_SOURCE_H */
