/* SPDX-License-Identifier: ISC */
/*
 * Records as they are, in an Avro container file of their own.  mcrelay-cat.
 */
#include <sys/random.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/log.h"
#include "common/util.h"
#include "tools/cat/cat.h"

#define BLOCK_SIZE	((size_t)256 * 1024)

static void
put_long(struct out *out, int64_t value)
{
	out_take(out, datum_put_long(out_room(out, DATUM_LONG_SIZE_MAX),
	    value));
}

static void
put_text(struct out *out, const char *text, size_t size)
{
	put_long(out, (int64_t)size);
	out_bytes(out, text, size);
}

static void
put_entry(struct out *out, const char *key, const char *value, size_t size)
{
	put_text(out, key, strlen(key));
	put_text(out, value, size);
}

static void
put_header(struct cat *cat, const char *listen)
{
	struct out *out = &cat->out;

	if (getrandom(cat->sync, sizeof(cat->sync), 0) != sizeof(cat->sync))
		fatal("getrandom");
	out_bytes(out, "Obj\001", 4);
	put_long(out, *listen != '\0' ? 3 : 2);
	put_entry(out, "avro.schema", cat->shape.schema,
	    cat->shape.schema_size);
	put_entry(out, "avro.codec", "null", 4);
	if (*listen != '\0')
		put_entry(out, "mcrelay.listen", listen, strlen(listen));
	put_long(out, 0);
	out_bytes(out, cat->sync, sizeof(cat->sync));
}

static bool
avro_begin(struct cat *cat)
{
	char listen[ADDRESS_TEXT_SIZE] = "", *header;

	if (cat->shape.records->datagrams &&
	    cat->shape.to.ss_family != AF_UNSPEC)
		format_address((const struct sockaddr *)&cat->shape.to,
		    listen);
	header = xasprintf("%s\n%.*s", listen, (int)cat->shape.schema_size,
	    cat->shape.schema);
	if (cat->header == NULL) {
		cat->header = header;
		put_header(cat, listen);
		return true;
	}
	if (strcmp(header, cat->header) == 0) {
		free(header);
		return true;
	}
	log_warnx("%s: %s, and one file cannot have both", cat->shape.path,
	    strncmp(header, cat->header, strcspn(header, "\n") + 1) == 0 ?
	    "its schema is not that of the file before" :
	    "its datagrams were sent elsewhere than those before");
	free(header);
	return false;
}

static void
avro_rest(struct cat *cat)
{
	if (cat->block_records == 0)
		return;
	put_long(&cat->out, (int64_t)cat->block_records);
	put_long(&cat->out, (int64_t)cat->block.size);
	out_bytes(&cat->out, cat->block.data, cat->block.size);
	out_bytes(&cat->out, cat->sync, sizeof(cat->sync));
	cat->block_records = 0;
	cat->block.size = 0;
}

static const uint8_t *
avro_put(struct cat *cat, const uint8_t *at ATTR_UNUSED,
    const uint8_t *end ATTR_UNUSED, const struct record *record)
{
	struct buffer *block = &cat->block;

	if (block->size + record->size > BLOCK_SIZE)
		avro_rest(cat);
	buffer_reserve(block, MAX_OF(block->size + record->size, BLOCK_SIZE));
	memcpy(block->data + block->size, record->data, record->size);
	block->size += record->size;
	cat->block_records++;
	return record->data + record->size;
}

const struct form form_avro = {
	.name = "avro",
	.reads = true,
	.begin = avro_begin,
	.put = avro_put,
	.rest = avro_rest,
};
