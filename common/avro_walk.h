/* SPDX-License-Identifier: ISC */
/*
 * Walks an Avro object container file block by block, by its lengths, in
 * little memory: of a block only the head and the sync marker are read,
 * whatever its size, unless small ones are wanted as a whole (`ahead').  A sync
 * marker inside a payload means nothing to it.
 * Worker (recovery) and tools.
 *
 * Offsets and sizes are bytes of the file.  The file may be damaged or
 * hostile: nothing in it is believed before it is bounded by the file's size.
 */
#ifndef MCRELAY_AVRO_WALK_H
#define MCRELAY_AVRO_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define AVRO_SYNC_SIZE		16
/* The longest header that is read; a schema can have 4 MiB. */
#define AVRO_HEADER_MAX		(UINT64_C(16) << 20)
/* The longest head of a block. */
#define AVRO_HEAD_MAX		UINT64_C(20)
/* The longest block's data that any Avro library can hold. */
#define AVRO_BLOCK_MAX		(UINT64_C(1) << 31)

enum avro_walk_status {
	AVRO_WALK_OK,		/* a header or a block */
	AVRO_WALK_END,		/* the file ends where a block ends */
	AVRO_WALK_DAMAGED,	/* no whole block here; see avro_walk.why */
	AVRO_WALK_ERROR,	/* cannot be read: errno */
};

struct avro_walk {
	int		 fd;		/* not owned */
	uint64_t	 size;		/* of the file, at the beginning */
	uint64_t	 offset;	/* of the next block; whole up to it */
	uint8_t		 sync[AVRO_SYNC_SIZE];
	uint8_t		*header;	/* the file up to the first block */
	size_t		 header_size;	/* 0: there is no whole header */
	const char	*why;		/* of the last AVRO_WALK_DAMAGED */
	/* what avro_walk_resync() read last, and bytes in all; or was read
	 * ahead */
	uint8_t		*window;
	uint64_t	 window_offset;
	size_t		 window_size;
	uint64_t	 searched;
	bool		 ahead;		/* many small blocks at once */
	bool		 large;		/* the last block was none of these */
};

struct avro_walk_block {
	uint64_t	offset;		/* of its head */
	uint64_t	size;		/* head to sync marker, inclusive */
	uint64_t	records;	/* at least one */
	uint64_t	data_offset;
	uint64_t	data_size;	/* as stored: compressed */
};

/* Reads the header of a regular file.  avro_walk_close() in any case. */
enum avro_walk_status	avro_walk_open(struct avro_walk *walk, int fd)
			    ATTR_NONNULL;
void	avro_walk_close(struct avro_walk *walk) ATTR_NONNULL;

/* The next block.  After anything but AVRO_WALK_OK walk->offset stays. */
enum avro_walk_status	avro_walk_next(struct avro_walk *walk,
			    struct avro_walk_block *block) ATTR_NONNULL;

/* Bytes that were read ahead, good until the next call; NULL: they were not. */
const uint8_t	*avro_walk_seen(const struct avro_walk *walk, uint64_t offset,
		    size_t size) ATTR_NONNULL;
/* Of a file that has changed nothing is known that was read. */
void	avro_walk_resize(struct avro_walk *walk, uint64_t size) ATTR_NONNULL;

/* Count and size of the block at walk->offset, from its first bytes,
 * AVRO_HEAD_MAX of them or what there are; NULL, or what is wrong. */
const char	*avro_walk_head(const struct avro_walk *walk,
		    const uint8_t *head, size_t have,
		    struct avro_walk_block *block) ATTR_NONNULL;

/* Looks for the next sync marker at or after `from', for going on behind
 * damage: true, and walk->offset stands behind it.  Going on from there reads
 * no byte again, however near one marker is to the next. */
bool	avro_walk_resync(struct avro_walk *walk, uint64_t from) ATTR_NONNULL;

/* The value of a key of the header (not NUL terminated), or NULL. */
const uint8_t	*avro_walk_meta(const struct avro_walk *walk,
		    const char *key, size_t *size) ATTR_NONNULL;

/* Reads exactly `size' bytes at `offset'; false: error or end of file. */
bool	avro_walk_read(const struct avro_walk *walk, void *data, size_t size,
	    uint64_t offset) ATTR_NONNULL;

#endif /* MCRELAY_AVRO_WALK_H */
