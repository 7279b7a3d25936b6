/* SPDX-License-Identifier: ISC */
/*
 * A histogram of durations with log-linear buckets: 64 to each power of two,
 * so that a percentile is at most 1.6 % above the truth.  It never allocates.
 */
#ifndef MCRELAY_TOOLS_HISTOGRAM_H
#define MCRELAY_TOOLS_HISTOGRAM_H

#include <stdint.h>

#include "common/compiler.h"

#define HISTOGRAM_SUB_BITS	6
#define HISTOGRAM_SUB		(1U << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS	((64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB)

/* All zero is an empty histogram. */
struct histogram {
	uint64_t	count;
	uint64_t	max;
	uint64_t	bucket[HISTOGRAM_BUCKETS];
};

void		histogram_add(struct histogram *histogram, uint64_t value)
		    ATTR_NONNULL;

/*
 * The least value (to a bucket's width, never above the maximum) that
 * `fraction' of the values do not exceed; 0 when there are none.
 */
uint64_t	histogram_percentile(const struct histogram *histogram,
		    double fraction) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_HISTOGRAM_H */
