/* SPDX-License-Identifier: ISC */
/*
 * Text that grows, and that several may send.  mcrelay-web only.
 */
#ifndef MCRELAY_WEB_TEXT_H
#define MCRELAY_WEB_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

struct text {
	unsigned	 users;
	size_t		 size;		/* bytes */
	size_t		 room;
	char		*data;
};

/* Empty, of one user. */
struct text	*text_new(void) ATTR_UNUSED_RESULT;
void	text_release(struct text *text);	/* NULL is allowed */

void	text_add(struct text *text, const char *data, size_t size)
	    ATTR_NONNULL;
void	text_puts(struct text *text, const char *string) ATTR_NONNULL;
void	text_printf(struct text *text, const char *fmt, ...)
	    ATTR_PRINTF(2, 3);
/* As JSON: seconds since 1970 to the microsecond; a number, or null when it is
 * none. */
void	text_time(struct text *text, uint64_t realtime_ns) ATTR_NONNULL;
/* As a JSON string; NULL is null. */
void	text_string(struct text *text, const char *string);
void	text_number(struct text *text, double value) ATTR_NONNULL;

#endif /* MCRELAY_WEB_TEXT_H */
