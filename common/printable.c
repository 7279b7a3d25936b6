/* SPDX-License-Identifier: ISC */
/*
 * Text from outside, made harmless.  Every process.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/printable.h"
#include "common/utf8.h"
#include "common/util.h"

/* All that is looked for is of at most three bytes: of others, 0. */
static uint32_t
code_point(const uint8_t *p, size_t length)
{
	switch (length) {
	case 1:
		return p[0];
	case 2:
		return (p[0] & 0x1fU) << 6 | (p[1] & 0x3fU);
	case 3:
		return (p[0] & 0x0fU) << 12 | (p[1] & 0x3fU) << 6 |
		    (p[2] & 0x3fU);
	default:
		return UINT32_MAX;
	}
}

static bool
is_harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c ||
	    c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069);
}

size_t
printable(char *out, size_t room, const char *text, size_t size)
{
	const uint8_t *p = (const uint8_t *)text, *const end = p + size;
	char escape[PRINTABLE_GROWTH + 1];
	size_t used = 0, length, add;
	const char *from;

	while (p < end) {
		length = *p < 0x80 ? 1 : utf8_character(p, (size_t)(end - p));
		from = (const char *)p;
		add = length;
		if (length == 0 || is_harmful(code_point(p, length))) {
			add = (size_t)snprintf(escape, sizeof(escape),
			    length == 0 ? "\\x%02x" : "\\u%04x",
			    length == 0 ? *p : code_point(p, length));
			from = escape;
		}
		if (used + add >= room)
			break;
		memcpy(out + used, from, add);
		used += add;
		p += MAX_OF(length, (size_t)1);
	}
	if (room > 0)
		out[used] = '\0';
	return used;
}

char *
printable_copy(const char *text)
{
	const size_t size = strlen(text);
	const size_t room = PRINTABLE_GROWTH * size + 1;
	char *out = xmalloc(room);

	printable(out, room, text, size);
	return out;
}

void
printable_print(FILE *to, const char *fmt, ...)
{
	const size_t length = strlen(fmt);
	const bool line = length > 0 && fmt[length - 1] == '\n';
	char *text, *safe;
	va_list ap;
	int size;

	va_start(ap, fmt);
	size = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (size == -1)
		return;
	if (line)
		text[size - 1] = '\0';
	safe = printable_copy(text);
	fprintf(to, line ? "%s\n" : "%s", safe);
	free(safe);
	free(text);
}
