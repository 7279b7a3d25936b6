/* SPDX-License-Identifier: ISC */
/*
 * Text that grows.  mcrelay-web only.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "web/text.h"

struct text *
text_new(void)
{
	struct text *text = xcalloc(1, sizeof(*text));

	text->users = 1;
	return text;
}

void
text_release(struct text *text)
{
	if (text == NULL || --text->users > 0)
		return;
	free(text->data);
	free(text);
}

void
text_add(struct text *text, const char *data, size_t size)
{
	if (text->room - text->size < size) {
		text->room = MAX_OF(2 * text->room, text->size + size);
		text->data = xrealloc(text->data, text->room);
	}
	if (size > 0)
		memcpy(text->data + text->size, data, size);
	text->size += size;
}

void
text_puts(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

/* Short pieces only: longer ones are cut. */
void
text_printf(struct text *text, const char *fmt, ...)
{
	char piece[256];
	va_list ap;
	int size;

	va_start(ap, fmt);
	size = vsnprintf(piece, sizeof(piece), fmt, ap);
	va_end(ap);
	if (size > 0)
		text_add(text, piece, MIN_OF((size_t)size,
		    sizeof(piece) - 1));
}

void
text_time(struct text *text, uint64_t realtime_ns)
{
	text_printf(text, "%" PRIu64 ".%06" PRIu64, realtime_ns / NS_PER_S,
	    realtime_ns % NS_PER_S / NS_PER_US);
}

void
text_string(struct text *text, const char *string)
{
	size_t plain;

	if (string == NULL) {
		text_puts(text, "null");
		return;
	}
	text_puts(text, "\"");
	while (*string != '\0') {
		for (plain = 0; (unsigned char)string[plain] >= ' ' &&
		    string[plain] != '"' && string[plain] != '\\'; plain++)
			continue;
		text_add(text, string, plain);
		string += plain;
		if (*string != '\0')
			text_printf(text, "\\u%04x", (unsigned char)*string++);
	}
	text_puts(text, "\"");
}

/* No longer than it takes to be read as the same number. */
void
text_number(struct text *text, double value)
{
	char piece[32];

	if (!isfinite(value)) {
		text_puts(text, "null");
		return;
	}
	snprintf(piece, sizeof(piece), "%.15g", value);
	if (strtod(piece, NULL) != value)
		snprintf(piece, sizeof(piece), "%.17g", value);
	text_puts(text, piece);
}
