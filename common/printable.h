/* SPDX-License-Identifier: ISC */
/*
 * Text from outside on its way to a terminal or a log: no byte of it may be a
 * command to either, nor show anything as what it is not.  Every process.
 *
 * Written as \u and four digits: control characters (C0, DEL, C1; a new line,
 * too), line and paragraph separators, and what changes the direction of
 * writing (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069).
 * Bytes that are not UTF-8 are written as \x and two digits.  All other text
 * stays, and so does a backslash: this is for reading, not for reading back.
 */
#ifndef MCRELAY_PRINTABLE_H
#define MCRELAY_PRINTABLE_H

#include <stddef.h>
#include <stdio.h>

#include "common/compiler.h"

/* What a byte can become at most. */
#define PRINTABLE_GROWTH	6

/*
 * Writes the text into `out', with a NUL; what has no room there is left out,
 * by whole characters.  Returns the length.  Allocates nothing.
 */
size_t	printable(char *out, size_t room, const char *text, size_t size)
	    ATTR_NONNULL;

/* A malloc()ed copy. */
char	*printable_copy(const char *text) ATTR_NONNULL;

/* Like fprintf(), but all that it makes is one printable text, except for a
 * new line at the end of `fmt'. */
void	printable_print(FILE *to, const char *fmt, ...) ATTR_PRINTF(2, 3);

#endif /* MCRELAY_PRINTABLE_H */
