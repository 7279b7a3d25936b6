/* SPDX-License-Identifier: ISC */
/*
 * What a client accepts.  mcrelay-web only.
 */
#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "web/accept.h"

struct span {
	const char	*text;
	size_t		 size;
};

/* The next one up to `separator', without the white space around it; false:
 * there is none. */
static bool
next_span(const char **rest, const char *end, char separator,
    struct span *span)
{
	const char *stop;

	if (*rest == NULL || *rest > end)
		return false;
	stop = memchr(*rest, separator, (size_t)(end - *rest));
	span->text = *rest;
	*rest = stop != NULL ? stop + 1 : NULL;
	if (stop == NULL)
		stop = end;
	while (span->text < stop && isspace((unsigned char)*span->text))
		span->text++;
	while (stop > span->text && isspace((unsigned char)stop[-1]))
		stop--;
	span->size = (size_t)(stop - span->text);
	return true;
}

static bool
is(const struct span *span, const char *text)
{
	return span->size == strlen(text) &&
	    strncasecmp(span->text, text, span->size) == 0;
}

/* "0.75" in thousandths; what is no such number is 0. */
static unsigned
thousandths(const char *text, size_t size)
{
	unsigned value, digit = 100;
	size_t i;

	if (size == 0 || (text[0] != '0' && text[0] != '1') ||
	    (size > 1 && text[1] != '.') || size > 5)
		return 0;
	value = (unsigned)(text[0] - '0') * 1000;
	for (i = 2; i < size; i++, digit /= 10) {
		if (!isdigit((unsigned char)text[i]))
			return 0;
		value += (unsigned)(text[i] - '0') * digit;
	}
	return value > 1000 ? 0 : value;
}

/* Of an element without its name.  False: it is of another version. */
static bool
read_parameters(const char *rest, const char *end, const char *version,
    unsigned *quality)
{
	struct span span;

	*quality = 1000;
	while (next_span(&rest, end, ';', &span)) {
		if (span.size >= 2 && strncasecmp(span.text, "q=", 2) == 0)
			*quality = thousandths(span.text + 2, span.size - 2);
		else if (span.size >= 8 &&
		    strncasecmp(span.text, "version=", 8) == 0 &&
		    (version == NULL || span.size - 8 != strlen(version) ||
		    memcmp(span.text + 8, version, span.size - 8) != 0))
			return false;
	}
	return true;
}

static bool
is_all(const struct span *name)
{
	return is(name, "*") || is(name, "*/*");
}

unsigned
accept_quality(const char *header, const char *name, const char *version)
{
	const char *rest = header, *end = header + strlen(header), *inner;
	unsigned own = 0, all = 0, quality;
	struct span element, head;
	bool named = false;

	while (next_span(&rest, end, ',', &element)) {
		inner = element.text;
		if (!next_span(&inner, element.text + element.size, ';',
		    &head) || !read_parameters(inner, element.text +
		    element.size, version, &quality))
			continue;
		if (is(&head, name)) {
			named = true;
			own = quality > own ? quality : own;
		} else if (is_all(&head))
			all = quality;
	}
	return named ? own : all;
}

bool
accept_openmetrics(const char *header)
{
	static const char name[] = "application/openmetrics-text";
	unsigned wanted;

	/* Who takes anything gets what everybody reads. */
	if (header == NULL || strcasestr(header, name) == NULL)
		return false;
	wanted = accept_quality(header, name, "1.0.0");
	return wanted > 0 && wanted >= accept_quality(header, "text/plain",
	    "0.0.4");
}

bool
accept_gzip(const char *header)
{
	return header != NULL && accept_quality(header, "gzip", NULL) > 0;
}
