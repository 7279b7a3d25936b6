/* SPDX-License-Identifier: ISC */
/*
 * UTF-8.
 */
#ifndef MCRELAY_UTF8_H
#define MCRELAY_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether all of it is well formed (Unicode, table 3-7: no surrogates, nothing
 * longer than it need be, nothing beyond U+10FFFF). */
bool	utf8_valid(const uint8_t *text, size_t size);

#endif /* MCRELAY_UTF8_H */
