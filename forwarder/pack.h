/* SPDX-License-Identifier: ISC */
/*
 * Blocks of an archive as messages: each a whole Avro container file of one
 * block, at most as large as the server takes.  mcrelay-forwarder, a lane.
 *
 * A block that fits is passed on as it lies in its file, behind that file's
 * header.  One that does not, and what is left of one of which some was
 * forwarded before, is made of records that are not compressed.
 */
#ifndef MCRELAY_FORWARDER_PACK_H
#define MCRELAY_FORWARDER_PACK_H

#include "common/growing.h"
#include "forwarder/source.h"

/* A message's payload, good until the call after the next: there is time to
 * find out whether another one follows. */
struct piece {
	char		 stem[ARCHIVE_NAME_SIZE];	/* of the file */
	uint64_t	 first_record;	/* of the file; the first is 0 */
	uint64_t	 records;
	bool		 sequence_known;
	int64_t		 first_sequence;
	int64_t		 last_sequence;
	uint64_t	 fingerprint;	/* CRC-64-AVRO of the schema; 0: not
					 * known */
	const char	*data;
	size_t		 size;
	/* Bytes of files that have been given with this one, in all. */
	uint64_t	 given;
};

struct packer {
	struct source		 source;
	struct growing		 made[2];	/* messages: by turns */
	struct growing		*out;
	/* The block at hand: its records that are left. */
	struct reader_block	 block;
	uint64_t		 left;
	const uint8_t		*at;
	const uint8_t		*end;
	uint64_t		 record;	/* the next one's number */
	uint64_t		 given;
	char			 known[ARCHIVE_NAME_SIZE];	/* its schema */
	uint64_t		 fingerprint;
};

void	packer_init(struct packer *packer, int directory, const char *path)
	    ATTR_NONNULL;
/* As source_seek(). */
bool	packer_seek(struct packer *packer, const char *stem, uint64_t records)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;

enum pack_status {
	PACK_MESSAGE,
	PACK_NOTHING,		/* just now */
	PACK_OVERSIZED,		/* not one record fits: stays where it is */
};

enum pack_status	packer_next(struct packer *packer, size_t max,
			    struct piece *piece) ATTR_NONNULL;

#endif /* MCRELAY_FORWARDER_PACK_H */
