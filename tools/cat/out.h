/* SPDX-License-Identifier: ISC */
/*
 * The output of mcrelay-cat: a buffer before a descriptor.  A reader that has
 * gone is no error: from then on nothing is written, and `ended' says so.
 */
#ifndef MCRELAY_CAT_OUT_H
#define MCRELAY_CAT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/compiler.h"

/* The most that can be asked room for at once, bytes. */
#define OUT_ROOM_MAX	4096U
#define OUT_SIZE	(256U * 1024)

struct out {
	int		 fd;		/* -1: collects */
	uint8_t		*buffer;
	size_t		 size;		/* bytes in it */
	size_t		 room;
	bool		 terminal;	/* what is a command to it is shown */
	bool		 ended;		/* nobody reads, or after an error */
	bool		 failed;	/* after a log line */
};

void	out_begin(struct out *out, int fd) ATTR_NONNULL;
/* One that only grows: free() its buffer, end it not. */
void	out_collect(struct out *out) ATTR_NONNULL;
/* Writes what there is; false when that was the last that can be. */
bool	out_flush(struct out *out) ATTR_NONNULL;
/* Whether somebody still reads, as far as can be known without writing. */
bool	out_watched(struct out *out) ATTR_NONNULL;
void	out_end(struct out *out) ATTR_NONNULL;

/* Makes room for OUT_ROOM_MAX bytes. */
void	out_more(struct out *out) ATTR_NONNULL;

/* Room for so many bytes, of which out_take() says how many were used. */
static inline uint8_t *
out_room(struct out *out, size_t size)
{
	if (UNLIKELY(out->room - out->size < size))
		out_more(out);
	return out->buffer + out->size;
}

static inline void
out_take(struct out *out, size_t size)
{
	out->size += size;
}

static inline void
out_byte(struct out *out, char byte)
{
	*out_room(out, 1) = (uint8_t)byte;
	out_take(out, 1);
}

/* However much. */
void	out_bytes(struct out *out, const void *data, size_t size);
void	out_text(struct out *out, const char *text) ATTR_NONNULL;

/* Numbers and bytes as text. */
void	out_integer(struct out *out, int64_t value) ATTR_NONNULL;
void	out_hex(struct out *out, const uint8_t *data, size_t size);
void	out_base64(struct out *out, const uint8_t *data, size_t size);
/* UTF-8 as a JSON string, with its quotes.  What would be a command to a
 * terminal is escaped, too. */
void	out_json_text(struct out *out, const uint8_t *text, size_t size);

#endif /* MCRELAY_CAT_OUT_H */
