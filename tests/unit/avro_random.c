/* SPDX-License-Identifier: ISC */
/*
 * Random Avro schemas and datums, and the reference walker.  Tests only.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/util.h"
#include "tests/unit/avro_random.h"

#define DEPTH	5	/* schemas' and, for recursion, datums' */

static void	schema_type(struct avro_random *r, FILE *f, unsigned depth);

void
avro_random_init(struct avro_random *r, uint64_t seed, bool plain)
{
	memset(r, 0, sizeof(*r));
	r->state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	r->plain = plain;
}

/* xorshift64* */
uint64_t
avro_random_next(struct avro_random *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * UINT64_C(0x2545f4914f6cdd1d);
}

uint32_t
avro_random_below(struct avro_random *r, uint32_t below)
{
	return (uint32_t)((avro_random_next(r) >> 32) % below);
}

/*** Schemas. ***/

static const char *const primitives[] = {
	"\"null\"", "\"boolean\"", "\"int\"", "\"long\"", "\"float\"",
	"\"double\"", "\"bytes\"", "\"string\"",
	"{\"type\": \"int\"}", "{\"type\": \"double\", \"note\": 1}",
	"{\"type\": \"long\", \"logicalType\": \"timestamp-micros\"}",
	"{\"type\": \"int\", \"logicalType\": \"date\"}",
};

static void
schema_primitive(struct avro_random *r, FILE *f)
{
	fputs(primitives[avro_random_below(r,
	    (uint32_t)NITEMS(primitives) - (r->plain ? 2 : 0))], f);
}

/* Names without dots live in the namespace of the record around them; to be
 * found from everywhere all types here have the same. */
static unsigned
schema_name(struct avro_random *r, FILE *f, const char *type)
{
	unsigned n = r->names++;

	fprintf(f, "{\"type\": \"%s\", ", type);
	if (n % 3 == 0)
		fprintf(f, "\"name\": \"some.space.T%u\"", n);
	else
		fprintf(f, "\"name\": \"T%u\", \"namespace\": \"some.space\"",
		    n);
	return n;
}

static void
schema_known(struct avro_random *r, unsigned n)
{
	if (r->known == NITEMS(r->known_name))
		return;
	snprintf(r->known_name[r->known++], sizeof(r->known_name[0]),
	    n % 2 == 0 ? "some.space.T%u" : "T%u", n);
}

static void
schema_record(struct avro_random *r, FILE *f, unsigned depth)
{
	unsigned n = schema_name(r, f, "record"), i;
	/* avro-c cannot read arrays of records without fields. */
	unsigned fields = depth == 0 ? avro_random_below(r, 8) :
	    1 + avro_random_below(r, 5);

	fputs(", \"fields\": [", f);
	for (i = 0; i < fields; i++) {
		fprintf(f, "%s{\"name\": \"f%u\", \"type\": ",
		    i > 0 ? ", " : "", i);
		switch (avro_random_below(r, 12)) {
		case 0:
			fprintf(f, "[\"null\", \"T%u\"]", n);
			break;
		case 1:
			fprintf(f, "{\"type\": \"array\", "
			    "\"items\": \"T%u\"}", n);
			break;
		case 2:
			fprintf(f, "{\"type\": \"map\", "
			    "\"values\": [\"null\", \"T%u\"]}", n);
			break;
		default:
			schema_type(r, f, depth + 1);
		}
		fputs("}", f);
	}
	if (depth == 0)		/* never an empty datum */
		fprintf(f, "%s{\"name\": \"last\", \"type\": \"double\"}",
		    i > 0 ? ", " : "");
	fputs("]}", f);
	schema_known(r, n);
}

static void
schema_union(struct avro_random *r, FILE *f)
{
	static const char *const number[] = { "int", "long", "float",
	    "double", "string", "bytes", "boolean" };
	uint32_t n = (uint32_t)NITEMS(number), i;

	switch (avro_random_below(r, 4)) {
	case 0:
		fprintf(f, "[\"null\", \"%s\"]",
		    number[avro_random_below(r, n)]);
		break;
	case 1:
		fprintf(f, "[\"%s\", \"null\"]",
		    number[avro_random_below(r, n)]);
		break;
	case 2:
		fprintf(f, "[\"%s\"]", number[avro_random_below(r, n)]);
		break;
	default:
		fputs("[\"null\"", f);
		for (i = avro_random_below(r, 3); i < n; i += 2)
			fprintf(f, ", \"%s\"", number[i]);
		if (r->known > 0)
			fprintf(f, ", \"some.space.%s\"", strrchr(
			    r->known_name[0], 'T'));
		fputs("]", f);
	}
}

static void
schema_enum(struct avro_random *r, FILE *f)
{
	unsigned n = schema_name(r, f, "enum");
	uint32_t i, symbols = 1 + avro_random_below(r, 90);

	fputs(", \"symbols\": [", f);
	for (i = 0; i < symbols; i++)
		fprintf(f, "%s\"S%u\"", i > 0 ? ", " : "", i);
	fputs("]}", f);
	schema_known(r, n);
}

static void
schema_type(struct avro_random *r, FILE *f, unsigned depth)
{
	switch (depth < DEPTH ? avro_random_below(r, 16) : 15) {
	case 0:
	case 1:
		schema_record(r, f, depth);
		break;
	case 2:
		schema_enum(r, f);
		break;
	case 3:
		schema_known(r, schema_name(r, f, "fixed"));
		fprintf(f, ", \"size\": %u}", 1 + avro_random_below(r, 20));
		break;
	case 4:
	case 5:
		fputs("{\"type\": \"array\", \"items\": ", f);
		schema_type(r, f, depth + 1);
		fputs("}", f);
		break;
	case 6:
		fputs("{\"type\": \"map\", \"values\": ", f);
		schema_type(r, f, depth + 1);
		fputs("}", f);
		break;
	case 7:
	case 8:
		schema_union(r, f);
		break;
	case 9:
		if (r->known > 0) {
			fprintf(f, "\"%s\"", r->known_name[
			    avro_random_below(r, r->known)]);
			break;
		}
		/* FALLTHROUGH */
	default:
		schema_primitive(r, f);
	}
}

char *
avro_random_schema(struct avro_random *r)
{
	size_t size;
	char *text;
	FILE *f;

	r->names = 0;
	r->known = 0;
	f = open_memstream(&text, &size);
	assert(f != NULL);
	schema_record(r, f, 0);
	fclose(f);
	return text;
}

/*** Datums. ***/

void
avro_bytes_add(struct avro_bytes *b, const void *data, size_t size)
{
	if (b->size + size > b->room) {
		b->room = 2 * (b->size + size);
		b->data = xrealloc(b->data, b->room);
	}
	if (size > 0)
		memcpy(b->data + b->size, data, size);
	b->size += size;
}

void
avro_bytes_add_long(struct avro_bytes *b, int64_t value)
{
	uint8_t bytes[DATUM_LONG_SIZE_MAX];

	avro_bytes_add(b, bytes, datum_put_long(bytes, value));
}

void
avro_bytes_free(struct avro_bytes *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

static void
datum_double(struct avro_random *r, struct avro_bytes *b, bool wide)
{
	double value = (double)(int64_t)avro_random_next(r) * 0x1p-40;
	uint64_t bits = avro_random_next(r);
	float narrow = (float)value;

	if (!r->plain && avro_random_below(r, 2) == 0)
		avro_bytes_add(b, &bits, wide ? 8 : 4);
	else if (wide)
		avro_bytes_add(b, &value, sizeof(value));
	else
		avro_bytes_add(b, &narrow, sizeof(narrow));
}

static void
datum_string(struct avro_random *r, struct avro_bytes *b)
{
	static const char *const piece[] = { "a", "plain ascii text ",
	    "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x93\xa1",
	    "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf", "\xe0\xa0\x80",
	    "\xf0\x90\x80\x80", "\x7f", "\xc2\x80" };
	struct avro_bytes text = { 0 };
	uint32_t n = avro_random_below(r, 6);
	const char *p;

	while (n-- > 0) {
		p = piece[avro_random_below(r, (uint32_t)NITEMS(piece))];
		avro_bytes_add(&text, p, strlen(p));
	}
	avro_bytes_add_long(b, (int64_t)text.size);
	avro_bytes_add(b, text.data, text.size);
	avro_bytes_free(&text);
}

static void
datum_bytes(struct avro_random *r, struct avro_bytes *b, size_t n)
{
	uint8_t byte;

	while (n-- > 0) {
		byte = (uint8_t)avro_random_next(r);
		avro_bytes_add(b, &byte, 1);
	}
}

static void	datum_any(struct avro_random *r, avro_schema_t schema,
		    struct avro_bytes *b, unsigned depth);

/* Arrays and maps, in blocks of both forms. */
static void
datum_items(struct avro_random *r, avro_schema_t item, bool map,
    struct avro_bytes *b, unsigned depth)
{
	struct avro_bytes block = { 0 };
	uint32_t blocks = depth > DEPTH ? 0 : avro_random_below(r, 3);
	uint32_t i, n;

	while (blocks-- > 0) {
		n = 1 + avro_random_below(r, depth > 2 ? 2 : 4);
		block.size = 0;
		for (i = 0; i < n; i++) {
			if (map)
				datum_string(r, &block);
			datum_any(r, item, &block, depth + 1);
		}
		if (avro_random_below(r, 3) == 0) {
			avro_bytes_add_long(b, -(int64_t)n);
			avro_bytes_add_long(b, (int64_t)block.size);
		} else
			avro_bytes_add_long(b, (int64_t)n);
		avro_bytes_add(b, block.data, block.size);
	}
	avro_bytes_add_long(b, 0);
	avro_bytes_free(&block);
}

static void
datum_union(struct avro_random *r, avro_schema_t schema, struct avro_bytes *b,
    unsigned depth)
{
	size_t n = avro_schema_union_size(schema);
	uint32_t branch = avro_random_below(r, (uint32_t)n);

	/* In recursive unions here the first is null. */
	if (depth > DEPTH)
		branch = 0;
	avro_bytes_add_long(b, branch);
	datum_any(r, avro_schema_union_branch(schema, (int)branch), b,
	    depth + 1);
}

static void
datum_any(struct avro_random *r, avro_schema_t schema, struct avro_bytes *b,
    unsigned depth)
{
	uint64_t bits = avro_random_next(r);
	uint8_t byte = bits & 1;
	size_t i;

	switch (avro_typeof(schema)) {
	case AVRO_BOOLEAN:
		avro_bytes_add(b, &byte, 1);
		break;
	case AVRO_INT32:
		avro_bytes_add_long(b, (int32_t)bits >> (bits >> 59));
		break;
	case AVRO_INT64:
		avro_bytes_add_long(b, (int64_t)bits >> (bits % 61));
		break;
	case AVRO_FLOAT:
	case AVRO_DOUBLE:
		datum_double(r, b, avro_typeof(schema) == AVRO_DOUBLE);
		break;
	case AVRO_STRING:
		datum_string(r, b);
		break;
	case AVRO_BYTES:
		avro_bytes_add_long(b, (int64_t)(bits % 9));
		datum_bytes(r, b, bits % 9);
		break;
	case AVRO_FIXED:
		datum_bytes(r, b, (size_t)avro_schema_fixed_size(schema));
		break;
	case AVRO_ENUM:
		avro_bytes_add_long(b, avro_random_below(r, (uint32_t)
		    avro_schema_enum_number_of_symbols(schema)));
		break;
	case AVRO_RECORD:
		for (i = 0; i < avro_schema_record_size(schema); i++)
			datum_any(r, avro_schema_record_field_get_by_index(
			    schema, (int)i), b, depth + 1);
		break;
	case AVRO_UNION:
		datum_union(r, schema, b, depth);
		break;
	case AVRO_ARRAY:
		datum_items(r, avro_schema_array_items(schema), false, b,
		    depth);
		break;
	case AVRO_MAP:
		datum_items(r, avro_schema_map_values(schema), true, b, depth);
		break;
	case AVRO_LINK:
		datum_any(r, avro_schema_link_target(schema), b, depth);
		break;
	default:
		break;
	}
}

void
avro_random_datum(struct avro_random *r, avro_schema_t schema,
    struct avro_bytes *bytes)
{
	datum_any(r, schema, bytes, 0);
}
