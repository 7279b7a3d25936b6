/* SPDX-License-Identifier: ISC */
/*
 * Values as text.  mcrelay-cat.  How deep values are in one another the datum
 * program has bounded, and with it how deep the functions here call.
 */
#include <math.h>
#include <string.h>

#include "tools/cat/decimal.h"
#include "tools/cat/moment.h"
#include "tools/cat/value.h"

/* What is the same for all of a value. */
struct writer {
	struct out			*out;
	const struct value_style	*style;
	const uint8_t			*end;
};

static double
get_double(enum schema_type type, const uint8_t **at)
{
	double value;
	float single;

	if (type == SCHEMA_FLOAT) {
		memcpy(&single, *at, sizeof(single));
		*at += sizeof(single);
		return (double)single;
	}
	memcpy(&value, *at, sizeof(value));
	*at += sizeof(value);
	return value;
}

/* How many items are in the next block of an array or map; 0: the end. */
static uint64_t
block_items(const uint8_t **at, const uint8_t *end)
{
	const int64_t items = value_long(at, end);

	if (items >= 0)
		return (uint64_t)items;
	(void)value_long(at, end);
	return -(uint64_t)items;
}

static const uint8_t *
skip_items(const struct tree_type *type, const uint8_t *at,
    const uint8_t *end)
{
	static const struct tree_type key = { .type = SCHEMA_STRING };
	uint64_t items;

	while ((items = block_items(&at, end)) != 0)
		for (; items > 0; items--) {
			if (type->type == SCHEMA_MAP)
				at = value_skip(&key, at, end);
			at = value_skip(type->child[0].type, at, end);
		}
	return at;
}

const uint8_t *
value_skip(const struct tree_type *type, const uint8_t *at,
    const uint8_t *end)
{
	size_t size;

	switch (type->type) {
	case SCHEMA_NULL:
		return at;
	case SCHEMA_BOOLEAN:
		return at + 1;
	case SCHEMA_INT:
	case SCHEMA_LONG:
	case SCHEMA_ENUM:
		(void)value_long(&at, end);
		return at;
	case SCHEMA_FLOAT:
		return at + sizeof(float);
	case SCHEMA_DOUBLE:
		return at + sizeof(double);
	case SCHEMA_RECORD:
		for (size_t i = 0; i < type->children; i++)
			at = value_skip(type->child[i].type, at, end);
		return at;
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
		return skip_items(type, at, end);
	case SCHEMA_UNION:
		type = value_branch(type, &at, end);
		return value_skip(type, at, end);
	default:
		(void)value_bytes(type, &at, end, &size);
		return at;
	}
}

static void
put_quoted(struct out *out, const char *text, bool quoted)
{
	if (quoted)
		out_byte(out, '"');
	out_text(out, text);
	if (quoted)
		out_byte(out, '"');
}

static void
put_double(struct out *out, double value, bool quoted)
{
	if (LIKELY(isfinite(value)))
		out_take(out, decimal_double(out_room(out,
		    DECIMAL_DOUBLE_SIZE), value));
	else if (isnan(value))
		put_quoted(out, "NaN", quoted);
	else
		put_quoted(out, value < 0 ? "-Infinity" : "Infinity", quoted);
}

static void
put_integer(struct out *out, const struct value_style *style,
    const struct tree_type *type, int64_t value, bool quoted)
{
	uint8_t text[MOMENT_SIZE];
	size_t size = 0;

	if (style->iso && type->logical != LOGICAL_NONE)
		size = moment_text(text, type->logical, value);
	if (size == 0) {
		out_integer(out, value);
		return;
	}
	if (quoted)
		out_byte(out, '"');
	out_bytes(out, text, size);
	if (quoted)
		out_byte(out, '"');
}

const uint8_t *
value_scalar(struct out *out, const struct value_style *style,
    const struct tree_type *type, const uint8_t *at, const uint8_t *end,
    bool quoted)
{
	uint64_t number;

	switch (type->type) {
	case SCHEMA_BOOLEAN:
		out_text(out, *at != 0 ? "true" : "false");
		return at + 1;
	case SCHEMA_INT:
	case SCHEMA_LONG:
		put_integer(out, style, type, value_long(&at, end), quoted);
		return at;
	case SCHEMA_ENUM:
		number = (uint64_t)value_long(&at, end);
		put_quoted(out, type->symbol[MIN_OF(number,
		    type->symbols - 1)], quoted);
		return at;
	default:
		put_double(out, get_double(type->type, &at), quoted);
		return at;
	}
}

static const uint8_t	*put(const struct writer *writer,
			    const struct tree_type *type, const uint8_t *at);

static const uint8_t *
put_record(const struct writer *writer, const struct tree_type *type,
    const uint8_t *at)
{
	const struct tree_child *child = type->child;
	uint8_t *room;

	out_byte(writer->out, '{');
	for (size_t i = 0; i < type->children; i++, child++) {
		if (LIKELY(child->name_size < OUT_ROOM_MAX - 4)) {
			room = out_room(writer->out, child->name_size + 4);
			room[0] = i > 0 ? ',' : ' ';
			room[1] = '"';
			memcpy(room + 2, child->name, child->name_size);
			memcpy(room + 2 + child->name_size, "\":", 2);
			if (i == 0)	/* no blank */
				memmove(room, room + 1, child->name_size + 3);
			out_take(writer->out, child->name_size + 3 + (i > 0));
		} else {
			out_text(writer->out, i > 0 ? ",\"" : "\"");
			out_text(writer->out, child->name);
			out_text(writer->out, "\":");
		}
		at = put(writer, child->type, at);
	}
	out_byte(writer->out, '}');
	return at;
}

static const uint8_t *
put_items(const struct writer *writer, const struct tree_type *type,
    const uint8_t *at)
{
	static const struct tree_type key = { .type = SCHEMA_STRING };
	const bool map = type->type == SCHEMA_MAP;
	uint64_t items;
	bool first = true;

	out_byte(writer->out, map ? '{' : '[');
	while ((items = block_items(&at, writer->end)) != 0)
		for (; items > 0; items--) {
			if (!first)
				out_byte(writer->out, ',');
			first = false;
			if (map) {
				at = put(writer, &key, at);
				out_byte(writer->out, ':');
			}
			at = put(writer, type->child[0].type, at);
		}
	out_byte(writer->out, map ? '}' : ']');
	return at;
}

static const uint8_t *
put_bytes(const struct writer *writer, const struct tree_type *type,
    const uint8_t *at)
{
	const uint8_t *data;
	size_t size;

	data = value_bytes(type, &at, writer->end, &size);
	if (type->type == SCHEMA_STRING) {
		out_json_text(writer->out, data, size);
		return at;
	}
	out_byte(writer->out, '"');
	if (writer->style->hex)
		out_hex(writer->out, data, size);
	else
		out_base64(writer->out, data, size);
	out_byte(writer->out, '"');
	return at;
}

static const uint8_t *
put(const struct writer *writer, const struct tree_type *type,
    const uint8_t *at)
{
	switch (type->type) {
	case SCHEMA_NULL:
		out_text(writer->out, "null");
		return at;
	case SCHEMA_RECORD:
		return put_record(writer, type, at);
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
		return put_items(writer, type, at);
	case SCHEMA_UNION:
		type = value_branch(type, &at, writer->end);
		return put(writer, type, at);
	case SCHEMA_BYTES:
	case SCHEMA_STRING:
	case SCHEMA_FIXED:
		return put_bytes(writer, type, at);
	default:
		return value_scalar(writer->out, writer->style, type, at,
		    writer->end, true);
	}
}

const uint8_t *
value_json(struct out *out, const struct value_style *style,
    const struct tree_type *type, const uint8_t *at, const uint8_t *end)
{
	const struct writer writer = { out, style, end };

	return put(&writer, type, at);
}
