/* SPDX-License-Identifier: ISC */
/*
 * What a datum's bytes are, said slowly: recursion over avro-c's schema, one
 * value at a time.  Tests only.
 */
#include "common/datum.h"
#include "tests/unit/avro_random.h"

#define EMPTY_ITEMS_MAX	65536	/* what avro-c may be bothered with, too */

struct reference {
	const uint8_t	*at;
	const uint8_t	*end;
	bool		 strict;	/* something only mcrelay refuses */
	unsigned	 depth;
	uint64_t	 empty_items;
};

static enum avro_verdict	walk(struct reference *w, avro_schema_t schema);

static enum avro_verdict
number(struct reference *w, unsigned bits, int64_t *value)
{
	uint64_t v = 0;
	unsigned i;

	for (i = 0; i < 10; i++) {
		if (w->at == w->end)
			return AVRO_BAD;
		v |= (uint64_t)(*w->at & 0x7f) << (7 * i);
		/* Bits that do not fit. */
		if ((i == 9 && *w->at > 1) || (bits == 32 &&
		    (i > 4 || (i == 4 && (*w->at & 0x70) != 0))))
			w->strict = true;
		if ((*w->at++ & 0x80) == 0) {
			*value = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
			return AVRO_GOOD;
		}
	}
	return AVRO_BAD;
}

static bool
text_good(const uint8_t *p, const uint8_t *end)
{
	uint32_t code, more, i, low;

	while (p < end) {
		code = *p++;
		if (code < 0x80)
			continue;
		if (code >= 0xc0 && code < 0xe0) {
			more = 1, code &= 0x1f, low = 0x80;
		} else if (code >= 0xe0 && code < 0xf0) {
			more = 2, code &= 0x0f, low = 0x800;
		} else if (code >= 0xf0 && code < 0xf8) {
			more = 3, code &= 0x07, low = 0x10000;
		} else
			return false;
		for (i = 0; i < more; i++, p++) {
			if (p == end || (*p & 0xc0) != 0x80)
				return false;
			code = code << 6 | (*p & 0x3f);
		}
		if (code < low || code > 0x10ffff ||
		    (code >= 0xd800 && code < 0xe000))
			return false;
	}
	return true;
}

static enum avro_verdict
sized(struct reference *w, int64_t size, bool text)
{
	if (size < 0 || size > w->end - w->at)
		return AVRO_UNSAFE;
	if (text && !text_good(w->at, w->at + size))
		w->strict = true;
	w->at += size;
	return AVRO_GOOD;
}

static enum avro_verdict
text(struct reference *w, bool utf8)
{
	enum avro_verdict verdict;
	int64_t size;

	if ((verdict = number(w, 64, &size)) != AVRO_GOOD)
		return verdict;
	return sized(w, size, utf8);
}

static enum avro_verdict
item(struct reference *w, avro_schema_t schema, bool map)
{
	const uint8_t *before = w->at;
	enum avro_verdict verdict;

	if (map && (verdict = text(w, true)) != AVRO_GOOD)
		return verdict;
	if ((verdict = walk(w, schema)) != AVRO_GOOD)
		return verdict;
	if (w->at == before && ++w->empty_items > EMPTY_ITEMS_MAX)
		return AVRO_UNSAFE;
	return AVRO_GOOD;
}

static enum avro_verdict
items(struct reference *w, avro_schema_t schema, bool map)
{
	enum avro_verdict verdict;
	const uint8_t *block;
	int64_t count, size;

	for (;;) {
		if ((verdict = number(w, 64, &count)) != AVRO_GOOD)
			return verdict;
		if (count == 0)
			return AVRO_GOOD;
		if (count == INT64_MIN)
			return AVRO_UNSAFE;
		size = -1;
		if (count < 0) {
			if ((verdict = number(w, 64, &size)) != AVRO_GOOD)
				return verdict;
			if (size < 0)
				w->strict = true, size = INT64_MAX;
			count = -count;
		}
		block = w->at;
		while (count-- > 0)
			if ((verdict = item(w, schema, map)) != AVRO_GOOD)
				return verdict;
		if (size != -1 && w->at - block != size)
			w->strict = true;
	}
}

static enum avro_verdict
record(struct reference *w, avro_schema_t schema)
{
	enum avro_verdict verdict;
	size_t i;

	for (i = 0; i < avro_schema_record_size(schema); i++)
		if ((verdict = walk(w, avro_schema_record_field_get_by_index(
		    schema, (int)i))) != AVRO_GOOD)
			return verdict;
	return AVRO_GOOD;
}

static enum avro_verdict
indexed(struct reference *w, avro_schema_t schema)
{
	enum avro_verdict verdict;
	int64_t i;

	if ((verdict = number(w, 32, &i)) != AVRO_GOOD)
		return verdict;
	if (avro_typeof(schema) == AVRO_ENUM) {
		if (i < 0 || i >= avro_schema_enum_number_of_symbols(schema))
			w->strict = true;
		return AVRO_GOOD;
	}
	if (i < 0 || (uint64_t)i >= avro_schema_union_size(schema))
		return AVRO_BAD;
	return walk(w, avro_schema_union_branch(schema, (int)i));
}

static enum avro_verdict
walk(struct reference *w, avro_schema_t schema)
{
	enum avro_verdict verdict;
	int64_t value;

	switch (avro_typeof(schema)) {
	case AVRO_NULL:
		return AVRO_GOOD;
	case AVRO_BOOLEAN:
		if (w->at < w->end && *w->at > 1)
			w->strict = true;
		return w->at < w->end ? sized(w, 1, false) : AVRO_BAD;
	case AVRO_INT32:
		return number(w, 32, &value);
	case AVRO_INT64:
		return number(w, 64, &value);
	case AVRO_FLOAT:
		return w->end - w->at >= 4 ? sized(w, 4, false) : AVRO_BAD;
	case AVRO_DOUBLE:
		return w->end - w->at >= 8 ? sized(w, 8, false) : AVRO_BAD;
	case AVRO_FIXED:
		value = avro_schema_fixed_size(schema);
		return w->end - w->at >= value ? sized(w, value, false) :
		    AVRO_BAD;
	case AVRO_STRING:
	case AVRO_BYTES:
		return text(w, avro_typeof(schema) == AVRO_STRING);
	case AVRO_ENUM:
	case AVRO_UNION:
		return indexed(w, schema);
	case AVRO_RECORD:
		return record(w, schema);
	case AVRO_LINK:
		return walk(w, avro_schema_link_target(schema));
	case AVRO_ARRAY:
	case AVRO_MAP:
		/* Deeper than what mcrelay takes for sure. */
		if (++w->depth > DATUM_DEPTH_MAX / 2)
			return AVRO_UNSAFE;
		if (avro_typeof(schema) == AVRO_ARRAY)
			verdict = items(w, avro_schema_array_items(schema),
			    false);
		else
			verdict = items(w, avro_schema_map_values(schema),
			    true);
		w->depth--;
		return verdict;
	default:
		return AVRO_BAD;
	}
}

enum avro_verdict
avro_reference(avro_schema_t schema, const uint8_t **at, const uint8_t *end)
{
	struct reference w = { .at = *at, .end = end };
	enum avro_verdict verdict = walk(&w, schema);

	if (verdict == AVRO_GOOD) {
		*at = w.at;
		if (w.strict)
			return AVRO_STRICT;
	}
	return verdict;
}
