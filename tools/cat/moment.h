/* SPDX-License-Identifier: ISC */
/*
 * Times of Avro's logical types as ISO 8601 text.  mcrelay-cat.
 */
#ifndef MCRELAY_CAT_MOMENT_H
#define MCRELAY_CAT_MOMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "schema/tree.h"

/* Enough for years of 64-bit seconds. */
#define MOMENT_SIZE	48

/*
 * Writes the value, without a NUL, and returns the bytes written: 0 when the
 * type is no time, or the value no time of a day.
 */
size_t	moment_text(uint8_t to[static MOMENT_SIZE],
	    enum schema_logical logical, int64_t value);

/* A time since 1970 to the nanosecond, with its Z. */
size_t	moment_ns(uint8_t to[static MOMENT_SIZE], int64_t ns);

#endif /* MCRELAY_CAT_MOMENT_H */
