/* SPDX-License-Identifier: ISC */
/*
 * UTF-8.
 */
#ifndef MCRELAY_UTF8_H
#define MCRELAY_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that are looked at together. */
#define UTF8_SHORT	32U

/*
 * Whether all of it is well formed (Unicode, table 3-7: no surrogates, nothing
 * longer than it need be, nothing beyond U+10FFFF).  `room' bytes can be loaded
 * from there, `size' at least: some more make short texts fast.
 */
bool	utf8_valid(const uint8_t *text, size_t size, size_t room);

/* The length of the character of more than one byte that the text begins with,
 * or 0 when it is none or not well formed. */
size_t	utf8_character(const uint8_t *text, size_t size);

/* Takes the byte order mark from a file's text, if it begins with one. */
void	utf8_drop_mark(char *text, size_t *size);

#endif /* MCRELAY_UTF8_H */
