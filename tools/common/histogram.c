/* SPDX-License-Identifier: ISC */
/*
 * Durations, counted.  Tools.
 */
#include <math.h>

#include "tools/common/histogram.h"

/*
 * Values below HISTOGRAM_SUB have a bucket each.  Above, the bucket is the
 * position of the highest bit and the HISTOGRAM_SUB_BITS bits below it.
 */
static unsigned
bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < HISTOGRAM_SUB)
		return (unsigned)value;
	shift = 63U - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	return (shift + 1) * HISTOGRAM_SUB +
	    (unsigned)(value >> shift) - HISTOGRAM_SUB;
}

/* The highest value that belongs into the bucket. */
static uint64_t
bucket_end(unsigned bucket)
{
	unsigned shift;

	if (bucket < HISTOGRAM_SUB)
		return bucket;
	shift = bucket / HISTOGRAM_SUB - 1;
	return ((uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift) +
	    ((UINT64_C(1) << shift) - 1);
}

void
histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->bucket[bucket_of(value)]++;
	histogram->count++;
	if (value > histogram->max)
		histogram->max = value;
}

uint64_t
histogram_percentile(const struct histogram *histogram, double fraction)
{
	uint64_t rank, seen = 0;

	if (histogram->count == 0)
		return 0;
	rank = (uint64_t)ceil(fraction * (double)histogram->count);
	rank = MAX_OF(rank, UINT64_C(1));
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->bucket[i];
		if (seen >= rank)
			return MIN_OF(bucket_end(i), histogram->max);
	}
	return histogram->max;
}
