/* SPDX-License-Identifier: ISC */
/*
 * What lies in the directory of an archive, by name.  Worker and tools.
 *
 *	<channel>_<UTC start>_<first sequence>.avro		finished
 *	<channel>.rejected_<UTC start>_<first sequence>.avro	rejected ones
 *	the same and .part	being written
 *	the same and .torn	what was behind the last whole block of one
 *	the same and .bad	one in which nothing could be found
 *	<channel>.spare-<n>	what was one, and will be another: no file
 *	catalog.jsonl		a line for each finished file
 *	hold			directory of files that retention must not free
 *
 * Whoever asks whether a file is one of an archive asks here: what is removed,
 * linked or replaced depends on it.
 */
#ifndef MCRELAY_ARCHIVE_NAMES_H
#define MCRELAY_ARCHIVE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"
#include "common/util.h"

#define ARCHIVE_AVRO		".avro"
#define ARCHIVE_PART		".part"
#define ARCHIVE_TORN		".torn"
#define ARCHIVE_BAD		".bad"
#define ARCHIVE_CATALOG		"catalog.jsonl"
#define ARCHIVE_HOLD		"hold"

/* What a file begins with, up to ARCHIVE_SECTOR and zeros, that has room for
 * what is to come and no header yet. */
#define ARCHIVE_SPARE_MARK	"mcrelay: no archive, but room for one\n"
#define ARCHIVE_SECTOR		512
/* In the header of a file that had such a beginning: old data may lie behind
 * its last block, as long as it is being written. */
#define ARCHIVE_SYNCED_KEY	"mcrelay.synced"
/* Of such a file: `archive.write' as it was when it was begun. */
#define ARCHIVE_WRITE_KEY	"mcrelay.write"

/* Room for a finished file's name, with some to spare. */
#define ARCHIVE_NAME_SIZE	(CHANNEL_NAME_MAX + 73)

struct archive_name {
	size_t			 channel_size;	/* bytes at the front */
	enum archive_kind	 kind;
	uint64_t		 started_ns;	/* since 1970; whole us */
	uint64_t		 first_sequence;
	const char		*ending;	/* in the text: ".avro" or
						 * ".avro.part", ... */
};

/* The name of a finished file. */
void	archive_name_write(char name[static ARCHIVE_NAME_SIZE],
	    const char *channel, enum archive_kind kind,
	    uint64_t started_ns, uint64_t first_sequence) ATTR_NONNULL;

/*
 * Reads a name (no path).  False unless it is, to the byte, one that mcrelay
 * would have written for the channel.  With `channel' NULL it may be any
 * channel; then `.rejected' before the time always tells the kind.
 */
bool	archive_name_parse(const char *text, const char *channel,
	    struct archive_name *name);

/* Whether an open file begins as one that has room and no header yet. */
bool	archive_is_spare(int fd);

/* "main" or "rejected": how catalogues call the kind. */
const char	*archive_kind_name(enum archive_kind kind);
/* What an archive is written by, as -n and the status say it. */
const char	*archive_write_name(enum archive_write write);

#endif /* MCRELAY_ARCHIVE_NAMES_H */
