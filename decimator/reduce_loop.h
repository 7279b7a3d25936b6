/* SPDX-License-Identifier: ISC */
/*
 * The inner loops over a run of floats or doubles, once for each method and
 * kind of processor.  Private to decimator/reduce*.c.
 */
#ifndef MCRELAY_REDUCE_LOOP_H
#define MCRELAY_REDUCE_LOOP_H

#include <endian.h>
#include <string.h>

#include "decimator/reduce_real.h"

/* The most fields that are taken at once; arrays are a multiple of it. */
#define REDUCE_LANES	4
/* Datums whose squares are added before the sum is compensated. */
#define REDUCE_HOT	8

/*
 * Blue's constants for doubles: squares of magnitudes between the thresholds
 * can be added 2^50 times without leaving the range.
 */
#define REDUCE_LARGE	0x1p486
#define REDUCE_SMALL	0x1p-511

/* The best loop for this method on this processor. */
reals_loop	*reduce_loop(enum decimate_method method);
/* The one that every processor has. */
reals_loop	*reduce_loop_plain(enum decimate_method method);

static inline double
reduce_load(const uint8_t *data, size_t i, bool wide)
{
	uint64_t bits;
	uint32_t word;
	double value;
	float narrow;

	if (wide) {
		memcpy(&bits, data + i * sizeof(bits), sizeof(bits));
		bits = le64toh(bits);
		memcpy(&value, &bits, sizeof(value));
		return value;
	}
	memcpy(&word, data + i * sizeof(word), sizeof(word));
	word = le32toh(word);
	memcpy(&narrow, &word, sizeof(narrow));
	return (double)narrow;
}

#endif /* MCRELAY_REDUCE_LOOP_H */
