/* SPDX-License-Identifier: ISC */
/*
 * JSON as it is written down.  Supervisor only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/utf8.h"
#include "common/util.h"
#include "supervisor/json_text.h"

static void
put_escape(struct growing *out, unsigned char c)
{
	char text[8];

	snprintf(text, sizeof(text), c == '"' || c == '\\' ? "\\%c" :
	    "\\u%04X", c);
	growing_text(out, text);
}

static void
put_string(struct growing *out, const char *text)
{
	const char *plain;

	growing_put(out, "\"", 1);
	for (plain = text; *text != '\0'; text++) {
		if ((unsigned char)*text >= ' ' && *text != '"' &&
		    *text != '\\')
			continue;
		growing_put(out, plain, (size_t)(text - plain));
		put_escape(out, (unsigned char)*text);
		plain = text + 1;
	}
	growing_put(out, plain, (size_t)(text - plain));
	growing_put(out, "\"", 1);
}

/* What comes before a value. */
static void
begin(struct growing *out, const char *name)
{
	char last = out->size > 0 ? out->text[out->size - 1] : '{';

	if (last != '{' && last != '[')
		growing_put(out, ",", 1);
	if (name == NULL)
		return;
	put_string(out, name);
	growing_put(out, ":", 1);
}

void
json_text_open(struct growing *out, const char *name, char bracket)
{
	begin(out, name);
	growing_put(out, &bracket, 1);
}

void
json_text_close(struct growing *out, char bracket)
{
	growing_put(out, &bracket, 1);
}

void
json_text_number(struct growing *out, const char *name, uint64_t value)
{
	begin(out, name);
	growing_number(out, MIN_OF(value, (uint64_t)INT64_MAX), 1);
}

void
json_text_truth(struct growing *out, const char *name, bool value)
{
	begin(out, name);
	growing_text(out, value ? "true" : "false");
}

bool
json_text_takes(const char *value)
{
	size_t size = strlen(value);

	return utf8_valid((const uint8_t *)value, size, size);
}

void
json_text_string(struct growing *out, const char *name, const char *value)
{
	if (!json_text_takes(value))
		return;
	begin(out, name);
	put_string(out, value);
}

void
json_text_value(struct growing *out, const char *name, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	json_decref(value);
	if (text == NULL)
		fatalx("out of memory");
	begin(out, name);
	growing_text(out, text);
	free(text);
}
