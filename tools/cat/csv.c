/* SPDX-License-Identifier: ISC */
/*
 * Comma-separated values as RFC 4180 has them, but that lines end as Unix's do.
 * mcrelay-cat.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/printable.h"
#include "common/util.h"
#include "tools/cat/cat.h"

/* For somebody who looks, not for a program. */
static void
csv_printable(struct out *out, const uint8_t *text, size_t size)
{
	size_t room = PRINTABLE_GROWTH * size + 1;
	char *copy = xmalloc(room);

	size = printable(copy, room, (const char *)text, size);
	out_bytes(out, copy, size);
	free(copy);
}

/* A cell's text between quotes, where it needs them.  An empty text has
 * them, too: a cell without is null. */
static void
csv_text(struct out *out, const uint8_t *text, size_t size)
{
	const uint8_t *quote;
	size_t i;

	if (out->terminal) {
		csv_printable(out, text, size);
		return;
	}
	for (i = 0; i < size; i++)
		if (text[i] == '"' || text[i] == ',' || text[i] == '\n' ||
		    text[i] == '\r')
			break;
	if (i == size && size > 0 && text[0] != ' ' &&
	    text[size - 1] != ' ') {
		out_bytes(out, text, size);
		return;
	}
	out_byte(out, '"');
	while ((quote = memchr(text, '"', size)) != NULL) {
		out_bytes(out, text, (size_t)(quote + 1 - text));
		out_byte(out, '"');
		size -= (size_t)(quote + 1 - text);
		text = quote + 1;
	}
	out_bytes(out, text, size);
	out_byte(out, '"');
}

/* A value that is no single one: JSON in a cell. */
static void
csv_nested(struct cat *cat, const struct tree_type *type, const uint8_t *at,
    const uint8_t *end)
{
	struct out inner, *out = &cat->out;

	/* Written to a buffer that grows: a pipe to nowhere would not do. */
	out_collect(&inner);
	value_json(&inner, &cat->options->style, type, at, end);
	csv_text(out, inner.buffer, inner.size);
	free(inner.buffer);
}

static void
csv_cell(struct cat *cat, const struct tree_type *type, const uint8_t *at,
    const uint8_t *end)
{
	const struct value_style *style = &cat->options->style;
	const uint8_t *data;
	size_t size;

	if (type->type == SCHEMA_UNION)
		type = value_branch(type, &at, end);
	switch (type->type) {
	case SCHEMA_NULL:
		return;
	case SCHEMA_STRING:
		data = value_bytes(type, &at, end, &size);
		csv_text(&cat->out, data, size);
		return;
	case SCHEMA_BYTES:
	case SCHEMA_FIXED:
		data = value_bytes(type, &at, end, &size);
		if (size == 0)
			out_text(&cat->out, "\"\"");
		else if (style->hex)
			out_hex(&cat->out, data, size);
		else
			out_base64(&cat->out, data, size);
		return;
	case SCHEMA_RECORD:
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
		csv_nested(cat, type, at, end);
		return;
	default:
		value_scalar(&cat->out, style, type, at, end, false);
	}
}

static char *
csv_header(const struct columns *columns)
{
	size_t size = 2, i;
	char *text, *at;

	for (i = 0; i < columns->count; i++)
		size += strlen(columns->column[i].path) + 1;
	at = text = xmalloc(size);
	for (i = 0; i < columns->count; i++) {
		if (i > 0)
			*at++ = ',';
		at = stpcpy(at, columns->column[i].path);
	}
	stpcpy(at, "\n");
	return text;
}

static bool
csv_begin(struct cat *cat)
{
	char *header;

	if (!form_choose(cat, true))
		return false;
	header = csv_header(&cat->columns);
	if (cat->header == NULL) {
		cat->header = header;
		out_text(&cat->out, header);
		return true;
	}
	if (strcmp(header, cat->header) != 0) {
		log_warnx("%s: its columns are not those of the file before",
		    cat->shape.path);
		free(header);
		return false;
	}
	free(header);
	return true;
}

static const uint8_t *
csv_put(struct cat *cat, const uint8_t *at, const uint8_t *end,
    const struct record *record ATTR_UNUSED)
{
	const struct column *column = cat->columns.column;
	const struct column *last = column + cat->columns.count;

	at = columns_locate(&cat->columns, at, end);
	for (; column < last; column++) {
		if (column > cat->columns.column)
			out_byte(&cat->out, ',');
		if (column->at != NULL)
			csv_cell(cat, column->type, column->at, end);
	}
	/* One column that is null would be a line that readers leave out. */
	if (cat->columns.count == 1 && cat->columns.column->at == NULL)
		out_text(&cat->out, "\"\"");
	out_byte(&cat->out, '\n');
	return at;
}

const struct form form_csv = {
	.name = "csv",
	.fields = true,
	.begin = csv_begin,
	.put = csv_put,
};
