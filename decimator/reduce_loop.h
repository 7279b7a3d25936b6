/* SPDX-License-Identifier: ISC */
/*
 * The inner loops over a run of floats or doubles, one for each method and
 * kind of processor.  Private to decimator/reduce*.c.
 */
#ifndef MCRELAY_REDUCE_LOOP_H
#define MCRELAY_REDUCE_LOOP_H

#include <endian.h>
#include <string.h>

#include "decimator/reduce_real.h"

/*
 * Blue's constants for doubles: squares of magnitudes between the thresholds
 * can be added 2^50 times without leaving the range.
 */
#define REDUCE_LARGE	0x1p486
#define REDUCE_SMALL	0x1p-511
/* A few squares with this sum have none of a large value among them, and those
 * of small ones do not change it. */
#define REDUCE_SQUARES_MAX	0x1p972
#define REDUCE_SQUARES_MIN	0x1p-900
/* Sums from here on have quotients whose remainders are no subnormals. */
#define REDUCE_SUM_MIN		0x1p-900

struct reduce_loops {
	size_t		 lanes;		/* fields that are taken at once */
	reals_loop	*run;
	reals_finish	*finish;
};

/* The best loops for this method on this processor. */
const struct reduce_loops	*reduce_loops(enum decimate_method method);
/* Those of kind 0, which every processor has, to that of the best.  NULL: there
 * is no such kind here. */
const struct reduce_loops	*reduce_loops_of(unsigned kind,
				    enum decimate_method method);

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
