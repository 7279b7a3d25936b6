/* SPDX-License-Identifier: ISC */
/*
 * A text that grows at its end: for long ones of many small parts, of which
 * printf would take most of the time.  Any process.
 */
#ifndef MCRELAY_GROWING_H
#define MCRELAY_GROWING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/compiler.h"

/* Begins with zeros.  No NUL at the end. */
struct growing {
	char	*text;		/* the caller's to free */
	size_t	 size;
	size_t	 room;
};

/* Makes room for so much more. */
void	growing_reserve(struct growing *growing, size_t more) ATTR_NONNULL;
/* In decimal, with zeros before it if it has fewer digits. */
void	growing_number(struct growing *growing, uint64_t value, size_t digits)
	    ATTR_NONNULL;

static inline void
growing_put(struct growing *growing, const char *text, size_t size)
{
	/* Nothing of nothing has no text yet. */
	if (size == 0)
		return;
	if (growing->room - growing->size < size)
		growing_reserve(growing, size);
	memcpy(growing->text + growing->size, text, size);
	growing->size += size;
}

static inline void
growing_text(struct growing *growing, const char *text)
{
	growing_put(growing, text, strlen(text));
}

#endif /* MCRELAY_GROWING_H */
