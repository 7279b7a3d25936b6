/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing the reader of container files and the repair of damaged ones.  The
 * input is a file; an odd size makes it one that was not finished.
 *
 * What is read are stretches that follow each other from the header to the
 * end, with no more good records than are claimed, in no more bytes than there
 * are.  A repaired file is whole, has the good records and no others, and is
 * itself when it is repaired; what is before the first damage and what is
 * after it are no more than all.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/fuzz/scratch.h"
#include "tools/verify/verify.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read of a file. */
struct total {
	bool		usable;
	bool		understood;	/* records can be checked */
	uint64_t	blocks;
	uint64_t	damaged;
	uint64_t	good;		/* records */
};

static void
check_block(const struct reader *reader, const struct reader_block *block,
    uint64_t from)
{
	assert(block->offset == from && block->size > 0);
	assert(block->size <= reader->walk.size - from);
	assert(block->good <= block->records);
	if (block->damage == NULL)
		assert(block->good == block->records && block->records > 0);
	if (reader->records.program == NULL || !reader->codec_known)
		return;
	/* A record has a byte, at least. */
	assert(block->good <= block->good_size);
	assert(block->good == 0 || block->data != NULL);
}

/* Reads it to its end, and repairs it if there is a path for that. */
static struct total
read_file(const char *name, const char *repaired, enum verify_keep keep)
{
	struct total total = {0};
	enum reader_status status;
	struct reader_block block;
	struct repair repair;
	struct reader reader;
	const char *why;
	uint64_t at;

	if (reader_open(&reader, scratch_path(name), &why) != READER_OK)
		return total;
	total.usable = true;
	total.understood = reader.codec_known &&
	    reader.records.program != NULL;
	repair_begin(&repair, repaired, keep);
	at = reader.walk.header_size;
	while ((status = reader_next(&reader, &block, &why)) == READER_OK) {
		check_block(&reader, &block, at);
		at += block.size;
		total.blocks += block.damage == NULL;
		total.damaged += block.damage != NULL;
		total.good += block.good;
		if (repaired != NULL)
			repair_block(&repair, &reader, &block);
	}
	assert(status == READER_END);
	/* Unfinished ones can end in zeros, which are no damage. */
	assert(at == reader.walk.size || reader.unfinished);
	if (repaired != NULL)
		assert(repair_end(&repair, true));
	else
		free(repair.part);
	reader_close(&reader);
	return total;
}

/* The records of the repaired file, which is whole. */
static uint64_t
repair_file(const char *name, enum verify_keep keep)
{
	struct total total;
	uint8_t *first, *second;
	size_t size, again;

	unlinkat(scratch(), "repaired.avro", 0);
	unlinkat(scratch(), "again.avro", 0);
	(void)read_file(name, scratch_path("repaired.avro"), keep);
	first = scratch_get("repaired.avro", &size);
	if (first == NULL)
		return 0;
	total = read_file("repaired.avro", scratch_path("again.avro"),
	    KEEP_ALL);
	assert(total.usable && total.blocks > 0 && total.damaged == 0);
	second = scratch_get("again.avro", &again);
	assert(second != NULL && size == again &&
	    memcmp(first, second, size) == 0);
	free(first);
	free(second);
	return total.good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *name = size % 2 == 0 ? "f.avro" : "f.avro.part";
	struct total total;
	uint64_t all, prior, after;

	scratch_put(name, data, size);
	total = read_file(name, NULL, KEEP_ALL);
	if (!total.usable)
		return 0;
	all = repair_file(name, KEEP_ALL);
	prior = repair_file(name, KEEP_PRIOR);
	after = repair_file(name, KEEP_AFTER);
	assert(all == total.good);
	/* Those of the first damaged block may be in neither. */
	if (total.understood)
		assert(prior + after <= all);
	if (total.damaged == 0)
		assert(prior == all && after == 0);
	return 0;
}
