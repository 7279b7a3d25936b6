/* SPDX-License-Identifier: ISC */
/*
 * Container files for tests of the tools: built in memory, with records that
 * are known, so that what is read back from a damaged one can be judged.
 */
#ifndef MCRELAY_TESTS_ARCHIVE_SUPPORT_H
#define MCRELAY_TESTS_ARCHIVE_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/common/reader.h"

#define START_NS	UINT64_C(1795000000123456789)
#define STEP_NS		UINT64_C(1000000)

extern const char	datagram_schema[];

struct sample {
	struct buffer	 file;
	const char	*schema;
	const char	*codec;
	struct buffer	 block;		/* records not yet in the file */
	uint64_t	 records;	/* in it */
	size_t		 header_size;
	size_t		 end[16];	/* of each block, in the file */
	unsigned	 blocks;
	char		 path[128];	/* once written, or to write to */
};

/* A file with the header only.  Blocks of a codec that we do not have are not
 * compressed. */
void	sample_begin(struct sample *sample, const char *schema,
	    const char *codec);
void	sample_record(struct sample *sample, const void *data,
	    size_t size);
/* Datagram number `sequence': received START_NS + sequence * STEP_NS, its
 * payload `size' bytes of payload_byte(sequence). */
void	sample_datagram(struct sample *sample, int64_t sequence,
	    size_t size);
void	sample_block(struct sample *sample);

/* Blocks of so many datagrams of 40 bytes. */
void	sample_datagrams(struct sample *sample, const char *codec,
	    unsigned blocks, unsigned datagrams);

uint8_t	payload_byte(int64_t sequence);

/* Writes the file, or what a test made of it, to sample->path. */
void	sample_write(struct sample *sample, const void *data,
	    size_t size);
/* Removes it and frees everything. */
void	sample_end(struct sample *sample);

#define BLOCKS		3
#define DATAGRAMS	4
#define TOTAL		(BLOCKS * DATAGRAMS)

/* What was read of a file of sample_datagrams(): BLOCKS, DATAGRAMS. */
struct found {
	enum reader_status	 opened;
	unsigned		 blocks;	/* whole ones */
	unsigned		 damaged;
	uint64_t		 bytes;		/* of all stretches */
	bool			 seen[TOTAL];	/* datagrams, as written */
	unsigned		 altered;	/* records that never were */
	const char		*damage;	/* the first */
};

void	sample_read(const char *path, struct found *found);
/* How many datagrams of the block were found. */
unsigned	seen_count(const struct found *found, unsigned block);
/* The block that holds this byte of the file. */
unsigned	block_at(const struct sample *sample, size_t offset);
/* Calls the test with each codec that the build has. */
void	each_codec(void (*test)(const char *codec));

void	buffer_add(struct buffer *buffer, const void *data, size_t size);
void	buffer_add_long(struct buffer *buffer, int64_t value);

#endif /* MCRELAY_TESTS_ARCHIVE_SUPPORT_H */
