/* SPDX-License-Identifier: ISC */
/*
 * The forms of output that show one record by itself: JSON, bytes.
 * mcrelay-cat.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/cat/cat.h"
#include "tools/cat/moment.h"

const struct form *
form_find(const char *name)
{
	static const struct form *const forms[] = { &form_json, &form_csv,
	    &form_hex, &form_raw, &form_pcapng, &form_avro };

	for (size_t i = 0; i < NITEMS(forms); i++)
		if (strcmp(forms[i]->name, name) == 0)
			return forms[i];
	return NULL;
}

bool
form_choose(struct cat *cat, bool split)
{
	const struct cat_options *options = cat->options;
	char *why;

	columns_free(&cat->columns);
	why = columns_choose(&cat->columns, cat->shape.tree->type,
	    options->field, options->fields, split);
	if (why != NULL)
		log_warnx("%s: %s", cat->shape.path, why);
	free(why);
	return why == NULL;
}

static bool
json_begin(struct cat *cat)
{
	return cat->options->fields == 0 || form_choose(cat, false);
}

static const uint8_t *
json_put(struct cat *cat, const uint8_t *at, const uint8_t *end,
    const struct record *record ATTR_UNUSED)
{
	const struct value_style *style = &cat->options->style;
	const struct column *column;

	if (cat->options->fields == 0) {
		at = value_json(&cat->out, style, cat->shape.tree->type, at,
		    end);
		out_byte(&cat->out, '\n');
		return at;
	}
	at = columns_locate(&cat->columns, at, end);
	out_byte(&cat->out, '{');
	for (size_t i = 0; i < cat->columns.count; i++) {
		column = &cat->columns.column[i];
		out_text(&cat->out, i > 0 ? ",\"" : "\"");
		out_text(&cat->out, column->path);
		out_text(&cat->out, "\":");
		if (column->at == NULL)
			out_text(&cat->out, "null");
		else
			value_json(&cat->out, style, column->type, column->at,
			    end);
	}
	out_text(&cat->out, "}\n");
	return at;
}

const struct form form_json = {
	.name = "json",
	.fields = true,
	.begin = json_begin,
	.put = json_put,
};

/* The bytes without separators. */
static const uint8_t *
raw_put(struct cat *cat, const uint8_t *at ATTR_UNUSED,
    const uint8_t *end ATTR_UNUSED, const struct record *record)
{
	if (record->payload != NULL)
		out_bytes(&cat->out, record->payload, record->payload_size);
	else
		out_bytes(&cat->out, record->data, record->size);
	return record->data + record->size;
}

const struct form form_raw = {
	.name = "raw",
	.reads = true,
	.put = raw_put,
};

#define HEX_ROW		16U

/* Offset, bytes, and which of them are characters. */
static void
hex_row(struct out *out, uint64_t offset, const uint8_t *data, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t row[8 + 2 + 3 * HEX_ROW + 2 + 1 + HEX_ROW + 2], *to = row;

	for (int shift = 28; shift >= 0; shift -= 4)
		*to++ = (uint8_t)digits[offset >> shift & 15];
	memset(to, ' ', 2 + 3 * HEX_ROW + 2);
	to += 2;
	for (size_t i = 0; i < size; i++) {
		to[3 * i + (i > 7)] = (uint8_t)digits[data[i] >> 4];
		to[3 * i + 1 + (i > 7)] = (uint8_t)digits[data[i] & 15];
	}
	to += 3 * HEX_ROW + 2;
	*to++ = '|';
	for (size_t i = 0; i < size; i++)
		*to++ = data[i] >= ' ' && data[i] <= '~' ? data[i] : '.';
	*to++ = '|';
	*to++ = '\n';
	out_bytes(out, row, (size_t)(to - row));
}

/* What is known of the record beside its bytes. */
static void
hex_head(struct cat *cat, const struct record *record, size_t size)
{
	uint8_t time[MOMENT_SIZE];

	if (record->payload != NULL) {
		out_integer(&cat->out, record->sequence);
		out_byte(&cat->out, ' ');
	}
	if (record->time_ns != RECORDS_NO_TIME) {
		out_bytes(&cat->out, time, moment_ns(time, record->time_ns));
		out_byte(&cat->out, ' ');
	}
	if (record->payload != NULL) {
		/* A file may say anything; quoted it is no command. */
		out_json_text(&cat->out, (const uint8_t *)record->source,
		    record->source_size);
		out_byte(&cat->out, ' ');
	}
	if (record->destination != NULL) {
		out_json_text(&cat->out, (const uint8_t *)record->destination,
		    record->destination_size);
		out_byte(&cat->out, ' ');
	}
	out_integer(&cat->out, (int64_t)size);
	out_text(&cat->out, " bytes\n");
}

static const uint8_t *
hex_put(struct cat *cat, const uint8_t *at ATTR_UNUSED,
    const uint8_t *end ATTR_UNUSED, const struct record *record)
{
	const bool datagram = record->payload != NULL;
	const uint8_t *data = datagram ? record->payload : record->data;
	const size_t size = datagram ? record->payload_size : record->size;

	hex_head(cat, record, size);
	for (size_t i = 0; i < size; i += HEX_ROW)
		hex_row(&cat->out, i, data + i, MIN_OF(size - i,
		    (size_t)HEX_ROW));
	return record->data + record->size;
}

const struct form form_hex = {
	.name = "hex",
	.reads = true,
	.put = hex_put,
};
