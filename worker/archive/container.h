/* SPDX-License-Identifier: ISC */
/*
 * Avro object container files, the writing half: header, blocks, and the
 * Datagram record of raw channels.  Worker, archive thread only; no I/O here.
 * Format: Apache Avro 1.11 specification, "Object Container Files".
 *
 * A block is gathered, not copied: large payloads stay where they are (in the
 * ring), small pieces go to an arena of the block.  So what is gathered must
 * stay put until the block has been written, or detached: that copies it all,
 * to be compressed without hurry.
 */
#ifndef MCRELAY_CONTAINER_H
#define MCRELAY_CONTAINER_H

#include <sys/types.h>
#include <sys/uio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/codec.h"
#include "common/compiler.h"
#include "common/inputs.h"
#include "common/ring.h"
#include "common/util.h"

#define CONTAINER_SYNC_SIZE	16

/* The schema of raw, envelope and rejected files; relied on by users.  The
 * second one is that of a channel with several inputs. */
extern const char	container_datagram_schema[];
extern const char	container_destination_schema[];

/* What datagrams were sent to, by input. */
struct destinations {
	unsigned	count;
	struct {
		size_t	length;
		char	text[INPUT_TEXT_SIZE];
	}		each[INPUTS_MAX];
};

struct container_meta {
	const char	*key;	/* not "avro." */
	const char	*value;
};

/*
 * A file header, malloc'ed; its size in *size.  `meta' ends with a NULL key,
 * and comes first, in its order.
 */
uint8_t	*container_header(const char *schema, size_t schema_size,
	    const char *codec, const struct container_meta *meta,
	    const uint8_t sync[static CONTAINER_SYNC_SIZE], size_t *size);

/* One iovec before the pieces for the block's head, one after for the sync
 * marker; together within IOV_MAX. */
#define BLOCK_IOVECS		1024
#define BLOCK_PIECES		(BLOCK_IOVECS - 2)
/* Payloads below this are copied: an iovec costs more than they do. */
#define BLOCK_COPY_BELOW	512U
/* With the destination, which is behind the payload. */
#define BLOCK_DATAGRAM_HEAD_MAX	(ADDRESS_TEXT_SIZE + INPUT_TEXT_SIZE + 44U)

struct block {
	uint64_t	 records;	/* Avro records in it */
	uint64_t	 bytes;		/* of its data */
	unsigned	 pieces;
	size_t		 arena_used;
	size_t		 arena_size;
	uint8_t		*arena;
	uint8_t		 head[24];
	struct iovec	*iov;		/* BLOCK_IOVECS */
	/* Of a detached block. */
	uint8_t		*plain;
	size_t		 plain_room;
	uint8_t		*packed;
	size_t		 packed_room;
	/* The text of the last source seen: most channels have one. */
	struct ring_record source;
	char		 source_text[ADDRESS_TEXT_SIZE];
	size_t		 source_length;
	const struct destinations *destinations;	/* NULL: not said */
};

struct block	*block_new(uint64_t block_size,
		    const struct destinations *destinations) ATTR_MALLOC;
void	block_free(struct block *block);
void	block_clear(struct block *block);

/*
 * Whether a record of the ring is sure to fit.  With `datagrams' at
 * RING_DATAGRAMS_MAX this goes for its framed datums, too, however many: fewer
 * than RING_DATAGRAMS_MAX of them are large enough for a piece of their own,
 * and what is copied between two of those is one piece.
 */
bool	block_has_room(const struct block *block, uint32_t datagrams);

/* Adds `records' whole Avro records, verbatim. */
void	block_add(struct block *block, const uint8_t *data, size_t size,
	    uint64_t records) ATTR_NONNULL;

/* Adds datagram number `sequence' of a ring record as a Datagram record. */
void	block_add_datagram(struct block *block,
	    const struct ring_record *record, uint64_t sequence,
	    const uint8_t *payload, size_t size) ATTR_NONNULL;

/* Copies what lies elsewhere: nothing else is referred to any more. */
void	block_detach(struct block *block) ATTR_NONNULL;
/* Compresses a detached block; `bytes' is what it has become. */
void	block_pack(struct block *block, struct codec *codec) ATTR_NONNULL;

/*
 * Completes the block: the iovecs to write, first to last, in *iov; returns
 * how many.  *size is their total.  The block must not be empty.
 */
unsigned	block_finish(struct block *block, const uint8_t *sync,
		    struct iovec **iov, size_t *size) ATTR_NONNULL;

#endif /* MCRELAY_CONTAINER_H */
