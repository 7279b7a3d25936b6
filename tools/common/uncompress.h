/* SPDX-License-Identifier: ISC */
/*
 * The codecs of Avro container blocks, the reading half.  Tools.
 *
 * Memory is bounded whatever a block claims: nothing grows beyond the limit
 * that the caller sets, and nothing is allocated by what the data says of
 * themselves.
 */
#ifndef MCRELAY_TOOLS_UNCOMPRESS_H
#define MCRELAY_TOOLS_UNCOMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"

/* A buffer that grows; all zero is an empty one, free() the data. */
struct buffer {
	uint8_t	*data;
	size_t	 size;		/* bytes in use */
	size_t	 room;
};

/* Makes room for `size' bytes; what was there is kept. */
void	buffer_reserve(struct buffer *buffer, size_t size) ATTR_NONNULL;

/* False when this build does not have the codec, or nobody knows it. */
bool	uncompress_find(const char *name, enum archive_codec *which)
	    ATTR_NONNULL;

/*
 * A block's data piece by piece.  All zero is none; then it has nothing to
 * free.
 */
struct uncompress {
	enum archive_codec codec;
	void		*state;		/* the library's, with its window */
	uint64_t	 took;		/* bytes of what is stored */
	uint64_t	 gave;		/* uncompressed */
	bool		 ended;
};

/* Whether the codec has pieces.  Snappy's blocks are made as a whole, and
 * refer to any byte of it. */
bool	uncompress_has_pieces(enum archive_codec codec);
/* False: there is no memory. */
bool	uncompress_begin(struct uncompress *pieces, enum archive_codec codec)
	    ATTR_NONNULL;
void	uncompress_end(struct uncompress *pieces) ATTR_NONNULL;
/* What it keeps in memory. */
size_t	uncompress_memory(const struct uncompress *pieces) ATTR_NONNULL;
/*
 * Puts into `out' what can be told from `size' bytes, those from pieces->took
 * on; `last': there are no others.  Less than `room' only when more are needed,
 * or pieces->ended.  Returns NULL, or what is wrong.
 */
const char	*uncompress_piece(struct uncompress *pieces,
		    const uint8_t *data, size_t size, bool last, uint8_t *out,
		    size_t room, size_t *got) ATTR_NONNULL;

/*
 * Replaces what is in `out' with the uncompressed data: at most `limit' bytes.
 * Returns NULL, or what is wrong.  Not for CODEC_NULL.
 */
const char	*uncompress_block(enum archive_codec codec, const uint8_t *data,
		    size_t size, size_t limit, struct buffer *out)
		    ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_UNCOMPRESS_H */
