/* SPDX-License-Identifier: ISC */
/*
 * Names and passwords out of a header.  mcrelay-web only.
 */
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "web/basic.h"

#define TEXT_MAX	(WEB_NAME_SIZE + BASIC_PASSWORD_SIZE)

/* -1: no digit. */
static int
digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Fills `text' and ends it; false: it is too long, or no base64. */
static bool
decode(const char *base64, char text[static TEXT_MAX + 1])
{
	size_t length = strcspn(base64, "= \t"), i, size = 0;
	const char *end = base64 + length;
	uint32_t bits = 0;
	int value;

	end += strspn(end, "=");
	if (end[strspn(end, " \t")] != '\0' || length % 4 == 1)
		return false;
	for (i = 0; i < length; i++) {
		value = digit(base64[i]);
		if (value == -1 || size > TEXT_MAX)
			return false;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 != 0)
			text[size++] = (char)(bits >> (6 - i % 4 * 2) & 0xff);
	}
	if (size > TEXT_MAX)
		return false;
	text[size] = '\0';
	return strlen(text) == size;
}

static bool
split(char *text, struct credentials *credentials)
{
	char *colon = strchr(text, ':');

	if (colon == NULL || (size_t)(colon - text) >= WEB_NAME_SIZE ||
	    strlen(colon + 1) >= BASIC_PASSWORD_SIZE)
		return false;
	memset(credentials, 0, sizeof(*credentials));
	memcpy(credentials->name, text, (size_t)(colon - text));
	memcpy(credentials->password, colon + 1, strlen(colon + 1));
	return true;
}

bool
basic_parse(const char *header, struct credentials *credentials)
{
	static const char scheme[] = "Basic";
	char text[TEXT_MAX + 1];
	bool good;

	if (header == NULL ||
	    strncasecmp(header, scheme, strlen(scheme)) != 0)
		return false;
	header += strlen(scheme);
	if (*header != ' ')
		return false;
	good = decode(header + strspn(header, " "), text) &&
	    split(text, credentials);
	explicit_bzero(text, sizeof(text));
	return good;
}
