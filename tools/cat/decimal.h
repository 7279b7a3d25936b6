/* SPDX-License-Identifier: ISC */
/*
 * Numbers as decimal text.  mcrelay-cat.
 *
 * A double becomes the shortest text that is read back as the same double, and
 * of these the nearest to it: what Python's repr() writes, to the byte.
 * The way is R. Giulietti's "Schubfach" (2021).
 */
#ifndef MCRELAY_CAT_DECIMAL_H
#define MCRELAY_CAT_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define DECIMAL_INTEGER_SIZE	20
/* What is used of it is at most 24. */
#define DECIMAL_DOUBLE_SIZE	64

/* Before decimal_double(): makes its table of powers. */
void	decimal_init(void);

/* Both return the bytes written; no NUL. */
size_t	decimal_integer(uint8_t *to, int64_t value) ATTR_NONNULL;
/* Of finite values. */
size_t	decimal_double(uint8_t *to, double value) ATTR_NONNULL;

/* Exactly so many digits (at most 19), with zeros in front. */
void	decimal_digits(uint8_t *to, uint64_t value, unsigned digits)
	    ATTR_NONNULL;

#endif /* MCRELAY_CAT_DECIMAL_H */
