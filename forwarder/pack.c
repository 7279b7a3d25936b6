/* SPDX-License-Identifier: ISC */
/*
 * Blocks of an archive as messages.  mcrelay-forwarder.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/log.h"
#include "common/util.h"
#include "forwarder/pack.h"
#include "schema/schema.h"

/* What a worker says in a header, but the codec. */
static const char *const meta_keys[] = {
	"avro.schema", "mcrelay.channel", "mcrelay.host", "mcrelay.clock",
	"mcrelay.version", "mcrelay.first_sequence", "mcrelay.started",
	"mcrelay.listen",
};

static void
put(struct growing *out, const void *data, size_t size)
{
	growing_put(out, data, size);
}

static void
put_long(struct growing *out, uint64_t value)
{
	uint8_t text[DATUM_LONG_SIZE_MAX];

	put(out, text, datum_put_long(text, (int64_t)value));
}

static void
put_entry(struct growing *out, const char *key, const void *value, size_t size)
{
	put_long(out, strlen(key));
	put(out, key, strlen(key));
	put_long(out, size);
	put(out, value, size);
}

/* The file's own, or the same without a codec. */
static void
put_header(struct packer *packer, bool plain)
{
	const struct reader *reader = &packer->source.file.reader;
	const struct avro_walk *walk = &reader->walk;
	struct growing *out = packer->out;
	const uint8_t *value;
	uint64_t entries = 1;
	size_t i, size;

	out->size = 0;
	if (!plain || reader->codec == CODEC_NULL) {
		put(out, walk->header, walk->header_size);
		return;
	}
	for (i = 0; i < NITEMS(meta_keys); i++)
		entries += avro_walk_meta(walk, meta_keys[i], &size) != NULL;
	put(out, "Obj\001", 4);
	put_long(out, entries);
	put_entry(out, "avro.codec", "null", 4);
	for (i = 0; i < NITEMS(meta_keys); i++) {
		value = avro_walk_meta(walk, meta_keys[i], &size);
		if (value != NULL)
			put_entry(out, meta_keys[i], value, size);
	}
	put_long(out, 0);
	put(out, walk->sync, AVRO_SYNC_SIZE);
}

static void
put_block(struct packer *packer, uint64_t records, const uint8_t *data,
    size_t size)
{
	put_long(packer->out, records);
	put_long(packer->out, size);
	put(packer->out, data, size);
	put(packer->out, packer->source.file.reader.walk.sync,
	    AVRO_SYNC_SIZE);
}

/* What comes beside header and data. */
#define BLOCK_FRAME	(2 * DATUM_LONG_SIZE_MAX + AVRO_SYNC_SIZE)

/* Of the file at hand. */
static uint64_t
fingerprint(struct packer *packer)
{
	struct schema_result result;
	const uint8_t *schema;
	size_t size;

	if (strcmp(packer->known, packer->source.stem) == 0)
		return packer->fingerprint;
	packer->fingerprint = 0;
	schema = avro_walk_meta(&packer->source.file.reader.walk,
	    "avro.schema", &size);
	if (schema != NULL && schema_compile((const char *)schema, size, NULL,
	    &result))
		packer->fingerprint = schema_fingerprint(result.canonical);
	if (schema != NULL)
		schema_result_free(&result);
	snprintf(packer->known, sizeof(packer->known), "%s",
	    packer->source.stem);
	return packer->fingerprint;
}

static void
fill(struct packer *packer, struct piece *piece, uint64_t records)
{
	*piece = (struct piece){
		.first_record = packer->record,
		.records = records,
		.fingerprint = fingerprint(packer),
		.data = packer->out->text,
		.size = packer->out->size,
	};
	memcpy(piece->stem, packer->source.stem, sizeof(piece->stem));
	packer->out = packer->made + (packer->out == packer->made);
	packer->record += records;
	packer->left -= records;
	if (packer->left == 0)
		packer->given += packer->block.size;
	piece->given = packer->given;
}

/* As it lies in the file; false: it is not whole, or too large. */
static bool
pack_whole(struct packer *packer, size_t max, struct piece *piece)
{
	const struct reader_block *block = &packer->block;

	if (packer->left != block->records || block->damage != NULL ||
	    packer->source.file.reader.walk.header_size + BLOCK_FRAME +
	    block->stored_size > max)
		return false;
	put_header(packer, false);
	put_block(packer, block->records, block->stored, block->stored_size);
	fill(packer, piece, block->records);
	piece->sequence_known = block->sequence_known;
	piece->first_sequence = block->first_sequence;
	piece->last_sequence = block->last_sequence;
	return true;
}

/* As many records as fit. */
static bool
pack_part(struct packer *packer, size_t max, struct piece *piece)
{
	const struct records *known = &packer->source.file.reader.records;
	struct record record, first = {.data = NULL}, last = {.data = NULL};
	const uint8_t *from = packer->at;
	uint64_t records = 0;
	size_t head;

	put_header(packer, true);
	head = packer->out->size + BLOCK_FRAME;
	if (known->program == NULL || packer->at == NULL)
		return false;
	while (records < packer->left && records_read(known, packer->at,
	    (size_t)(packer->end - packer->at), &record) == NULL &&
	    head + (size_t)(packer->at - from) + record.size <= max) {
		first = records == 0 ? record : first;
		last = record;
		packer->at += record.size;
		records++;
	}
	if (records == 0)
		return false;
	put_block(packer, records, from, (size_t)(packer->at - from));
	fill(packer, piece, records);
	piece->sequence_known = known->datagrams;
	piece->first_sequence = first.sequence;
	piece->last_sequence = last.sequence;
	return true;
}

/* The records that were taken before are left out. */
static void
begin_block(struct packer *packer, uint64_t skip)
{
	const struct reader_block *block = &packer->block;
	const struct source *source = &packer->source;
	struct record record;

	if (block->damage != NULL)
		log_warnx("channel %s: %s is damaged: %s; what can be read is "
		    "forwarded", source->path, source->stem, block->damage);
	packer->record = source->file.passed - block->good + skip;
	packer->left = block->good - skip;
	packer->at = block->data;
	packer->end = block->data == NULL ? NULL :
	    block->data + block->good_size;
	if (packer->left == 0) {
		packer->given += block->size;
		return;
	}
	for (; skip > 0 && packer->at != NULL; skip--) {
		if (source->file.reader.records.program == NULL ||
		    records_read(&source->file.reader.records, packer->at,
		    (size_t)(packer->end - packer->at), &record) != NULL)
			packer->at = NULL;
		else
			packer->at += record.size;
	}
}

enum pack_status
packer_next(struct packer *packer, size_t max, struct piece *piece)
{
	uint64_t skip;

	while (packer->left == 0) {
		if (source_next(&packer->source, &packer->block, &skip) !=
		    SOURCE_BLOCK)
			return PACK_NOTHING;
		begin_block(packer, skip);
	}
	return pack_whole(packer, max, piece) ||
	    pack_part(packer, max, piece) ? PACK_MESSAGE : PACK_OVERSIZED;
}

void
packer_init(struct packer *packer, int directory, const char *path)
{
	memset(packer, 0, sizeof(*packer));
	packer->out = packer->made;
	source_init(&packer->source, directory, path);
}

bool
packer_seek(struct packer *packer, const char *stem, uint64_t records)
{
	packer->left = 0;
	packer->given = 0;
	return source_seek(&packer->source, stem, records);
}
