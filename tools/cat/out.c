/* SPDX-License-Identifier: ISC */
/*
 * The output of mcrelay-cat.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/cat/decimal.h"
#include "tools/cat/out.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Two digits for each twelve bits. */
static char pairs[4096][2];

void
out_begin(struct out *out, int fd)
{
	*out = (struct out){
		.fd = fd,
		.buffer = xmalloc(OUT_SIZE),
		.room = OUT_SIZE,
		.terminal = isatty(fd) == 1,
	};
	for (unsigned i = 0; i < NITEMS(pairs); i++) {
		pairs[i][0] = base64_digits[i >> 6];
		pairs[i][1] = base64_digits[i & 63];
	}
}

void
out_collect(struct out *out)
{
	*out = (struct out){
		.fd = -1,
		.buffer = xmalloc(OUT_ROOM_MAX),
		.room = OUT_ROOM_MAX,
	};
}

void
out_more(struct out *out)
{
	if (out->fd != -1) {
		out_flush(out);
		return;
	}
	out->room = 2 * out->room + OUT_ROOM_MAX;
	out->buffer = xrealloc(out->buffer, out->room);
}

bool
out_flush(struct out *out)
{
	size_t done = 0;
	ssize_t put;

	while (done < out->size && !out->ended) {
		put = write(out->fd, out->buffer + done, out->size - done);
		if (put >= 0) {
			done += (size_t)put;
		} else if (errno != EINTR) {
			out->ended = true;
			out->failed = errno != EPIPE;
			if (out->failed)
				log_warn("cannot write");
		}
	}
	out->size = 0;
	return !out->ended;
}

bool
out_watched(struct out *out)
{
	struct pollfd fd = { .fd = out->fd };

	if (poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR) != 0)
		out->ended = true;
	return !out->ended;
}

void
out_end(struct out *out)
{
	out_flush(out);
	free(out->buffer);
	out->buffer = NULL;
}

void
out_bytes(struct out *out, const void *data, size_t size)
{
	const uint8_t *from = data;
	size_t some;

	while (size > 0) {
		if (out->size == out->room)
			out_more(out);
		some = MIN_OF(size, out->room - out->size);
		memcpy(out->buffer + out->size, from, some);
		out_take(out, some);
		from += some;
		size -= some;
	}
}

void
out_text(struct out *out, const char *text)
{
	out_bytes(out, text, strlen(text));
}

void
out_integer(struct out *out, int64_t value)
{
	out_take(out, decimal_integer(out_room(out, DECIMAL_INTEGER_SIZE),
	    value));
}

void
out_hex(struct out *out, const uint8_t *data, size_t size)
{
	uint8_t *to;
	size_t some;

	while (size > 0) {
		some = MIN_OF(size, (size_t)OUT_ROOM_MAX / 2);
		to = out_room(out, 2 * some);
		for (size_t i = 0; i < some; i++) {
			*to++ = (uint8_t)hex_digits[data[i] >> 4];
			*to++ = (uint8_t)hex_digits[data[i] & 15];
		}
		out_take(out, 2 * some);
		data += some;
		size -= some;
	}
}

/* Whole groups of three bytes. */
static uint8_t *
base64_groups(uint8_t *to, const uint8_t *data, size_t groups)
{
	uint32_t bits;

	for (; groups > 0; groups--, data += 3, to += 4) {
		bits = (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 |
		    data[2];
		memcpy(to, pairs[bits >> 12], 2);
		memcpy(to + 2, pairs[bits & 0xfff], 2);
	}
	return to;
}

void
out_base64(struct out *out, const uint8_t *data, size_t size)
{
	uint8_t last[3] = {0}, *to;
	size_t groups;

	while (size >= 3) {
		groups = MIN_OF(size / 3, (size_t)OUT_ROOM_MAX / 4);
		to = out_room(out, 4 * groups);
		base64_groups(to, data, groups);
		out_take(out, 4 * groups);
		data += 3 * groups;
		size -= 3 * groups;
	}
	if (size == 0)
		return;
	memcpy(last, data, size);
	to = out_room(out, 4);
	base64_groups(to, last, 1);
	to[3] = '=';
	if (size == 1)
		to[2] = '=';
	out_take(out, 4);
}

/* Of a well-formed character of two or three bytes: its code when it is C1, or
 * parts lines, or changes the direction of writing; else 0. */
static unsigned
hidden(const uint8_t *text, size_t size)
{
	unsigned code;

	if (text[0] == 0xc2 && size > 1)
		return text[1] < 0xa0 ? text[1] : 0;
	if (text[0] == 0xd8 && size > 1)
		return text[1] == 0x9c ? 0x061c : 0;
	if (text[0] != 0xe2 || size < 3)
		return 0;
	code = 0x2000 | (text[1] & 0x3fU) << 6 | (text[2] & 0x3fU);
	return code == 0x200e || code == 0x200f ||
	    (code >= 0x2028 && code <= 0x202e) ||
	    (code >= 0x2066 && code <= 0x2069) ? code : 0;
}

/* The bytes at the front that stand for themselves. */
static size_t
plain(const uint8_t *text, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (text[i] < ' ' || text[i] == '"' || text[i] == '\\' ||
		    text[i] == 0x7f ||
		    (text[i] >= 0xc2 && hidden(text + i, size - i) != 0))
			break;
	return i;
}

/* Returns how many bytes it stands for. */
static size_t
escape(struct out *out, const uint8_t *text, size_t size)
{
	static const char letters[] = "\"\"\\\\\nn\rr\tt";
	const unsigned wide = hidden(text, size);
	char code[8];

	for (const char *c = letters; *c != '\0'; c += 2)
		if (*text == (uint8_t)*c) {
			out_byte(out, '\\');
			out_byte(out, c[1]);
			return 1;
		}
	snprintf(code, sizeof(code), "\\u%04x",
	    (wide != 0 ? wide : *text) & 0xffffU);
	out_text(out, code);
	return wide == 0 ? 1 : wide < 0x800 ? 2 : 3;
}

void
out_json_text(struct out *out, const uint8_t *text, size_t size)
{
	size_t some;

	out_byte(out, '"');
	while (size > 0) {
		some = plain(text, size);
		out_bytes(out, text, some);
		if (some < size)
			some += escape(out, text + some, size - some);
		text += some;
		size -= some;
	}
	out_byte(out, '"');
}
