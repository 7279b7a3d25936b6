/* SPDX-License-Identifier: ISC */
/*
 * Reads an Avro container file that may be damaged: block by block, each
 * uncompressed and its records checked against the schema; behind damage it
 * goes on at the next sync marker.  Tools.
 *
 * In memory is one block, of at most READER_BLOCK_MAX bytes stored and
 * uncompressed.
 *
 * After damage a sync marker inside a payload can be mistaken for the end of a
 * block.  What follows it is then not a block, unless the payload holds a
 * container file with the same marker.
 */
#ifndef MCRELAY_TOOLS_READER_H
#define MCRELAY_TOOLS_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/avro_walk.h"
#include "tools/common/reading.h"
#include "tools/common/records.h"
#include "tools/common/uncompress.h"

#define READER_BLOCK_MAX	(UINT64_C(64) << 20)

/*
 * A block, or a stretch in which there is none.  Of a damaged one there may
 * be records at the front that are good, when the schema is understood.
 */
struct reader_block {
	uint64_t	 offset;	/* in the file */
	uint64_t	 size;		/* in the file, with head and marker */
	uint64_t	 data_offset;	/* in the file; 0: none were read */
	uint64_t	 records;	/* claimed; 0: unknown */
	uint64_t	 good;		/* of them, from the first */
	const uint8_t	*stored;	/* data as in the file */
	size_t		 stored_size;
	const uint8_t	*data;		/* uncompressed; not with an unknown
					 * codec */
	size_t		 good_size;	/* bytes of the good records */
	const char	*damage;	/* NULL: a whole block */
	bool		 open_end;	/* damage up to the end of a file that
					 * is being written: may be to come */
	/* of the good records, where known */
	bool		 sequence_known;
	int64_t		 first_sequence;
	int64_t		 last_sequence;
	int64_t		 first_ns;	/* or RECORDS_NO_TIME */
	int64_t		 last_ns;
};

struct reader {
	int		 fd;
	struct reading_file file;	/* by which its blocks come */
	struct avro_walk walk;
	bool		 unfinished;	/* by its name: can end in zeros, or
					 * within a block */
	bool		 synced_only;	/* ends where its last sync has come */
	char		*codec_name;	/* malloc'ed */
	bool		 codec_known;
	enum archive_codec codec;
	struct records	 records;	/* program NULL: not understood */
	struct buffer	 stored;
	struct buffer	 plain;
	char		 why[96];
};

enum reader_status {
	READER_OK,
	READER_END,
	READER_UNUSABLE,	/* no container file, or it cannot be read */
};

/*
 * Opens the file and reads its header.  Otherwise *why says why not, and
 * there is nothing to close.  END: empty, and being written.
 */
enum reader_status	reader_open(struct reader *reader, const char *path,
			    const char **why) ATTR_NONNULL;
/* The same of a path relative to a directory; flags of regular_open(). */
enum reader_status	reader_open_at(struct reader *reader, int directory,
			    const char *path, int flags, const char **why)
			    ATTR_NONNULL;
/* The same by a back end; until then all is read by pread. */
enum reader_status	reader_open_by(struct reader *reader,
			    struct reading *reading, int directory,
			    const char *path, int flags, const char **why)
			    ATTR_NONNULL;
/* The same of an open one, which is then the reader's, or closed. */
enum reader_status	reader_open_fd(struct reader *reader, int fd,
			    const char **why) ATTR_NONNULL;
void	reader_close(struct reader *reader) ATTR_NONNULL;
/* What was read of it is needed no more, nor its back end; its header is
 * kept. */
void	reader_forget_block(struct reader *reader) ATTR_NONNULL;
/* The file has this size by now; that some of it was missing is over. */
void	reader_resize(struct reader *reader, uint64_t size) ATTR_NONNULL;
/* It has got other blocks behind the same header, too. */
void	reader_again(struct reader *reader, uint64_t size) ATTR_NONNULL;

/* The next block; what it points to is good until the next call.  *why is
 * set with READER_UNUSABLE only: an error of the system. */
enum reader_status	reader_next(struct reader *reader,
			    struct reader_block *block, const char **why)
			    ATTR_NONNULL;

/* For who sends records on while they come: whether blocks are as they are in
 * the file, with records that can be told apart. */
bool	reader_can_send(const struct reader *reader) ATTR_NONNULL;
/* Of such a file: whether there is a block next that is not too large, of which
 * nothing but its head is looked at: records, data_offset, stored_size. */
bool	reader_head(struct reader *reader, struct reader_block *block)
	    ATTR_NONNULL;
/* Its data: as reading_view(), from byte `at' of them on. */
const uint8_t	*reader_data(struct reader *reader,
		    const struct reader_block *block, size_t at, size_t least,
		    struct buffer *room, size_t *got) ATTR_NONNULL;
/* Whether its sync marker follows; then the next one is next.  Otherwise
 * reader_next() gives the same block once more, with what is wrong. */
bool	reader_tail(struct reader *reader, const struct reader_block *block)
	    ATTR_NONNULL;

/*
 * For who does not keep a block's data in memory, of a file whose records are
 * understood: whether there is a whole block next, as reader_next() finds it.
 * It is looked at in pieces; up to `size' bytes of its data, from the first
 * on, are then in `first'.  False: reader_next() says what there is.
 */
bool	reader_check(struct reader *reader, struct reader_block *block,
	    size_t size, struct buffer *first) ATTR_NONNULL;
/*
 * `size' bytes of a block's data from `at' on, within the good ones, once more
 * into `out'.  `pieces', all zero before the first one, goes on where it was;
 * for another place all before is uncompressed again, and so it is of a codec
 * without pieces.  Uses the reader's own buffers as reader_next() does.  False:
 * the file is not what it was.
 */
bool	reader_piece(struct reader *reader, const struct reader_block *block,
	    struct uncompress *pieces, size_t at, size_t size, uint8_t *out)
	    ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_READER_H */
