/* SPDX-License-Identifier: ISC */
/*
 * Mean and rms of integers without a rounding error but the last.  Decimator
 * only.
 */
#include <assert.h>
#include <math.h>

#include "decimator/reduce_int.h"

__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

void
reduce_int_reset(struct reduce_int *field, size_t count)
{
	for (; count > 0; count--, field++)
		*field = (struct reduce_int){ .low = INT64_MAX,
		    .high = INT64_MIN };
}

/* Halves away from zero.  A mean is within the range of its samples. */
static int64_t
mean(i128 sum, uint64_t n)
{
	u128 magnitude = sum < 0 ? -(u128)sum : (u128)sum;
	u128 q = magnitude / n, rest = magnitude % n;

	if (rest >= n - rest)
		q++;
	return (int64_t)(sum < 0 ? -q : q);
}

/* The largest r with r * r <= q; q is below 2^127. */
static uint64_t
root(u128 q)
{
	uint64_t r;

	if (q == 0)
		return 0;
	/* 53 bits of it are right, after one step of Newton's all but one. */
	r = (uint64_t)sqrt((double)q);
	r = (uint64_t)((r + q / r) / 2);
	while ((u128)r * r > q)
		r--;
	while ((u128)(r + 1) * (r + 1) <= q)
		r++;
	return r;
}

/* The root of (carry * 2^128 + sum) / n, which is at most 2^63. */
static uint64_t
root_mean(uint64_t carry, u128 sum, uint64_t n)
{
	u128 part, q;
	uint64_t rest, r;

	/* Long division in digits of 64 bits; the first gives 0. */
	rest = carry % n;
	part = ((u128)rest << 64) | (uint64_t)(sum >> 64);
	q = (part / n) << 64;
	rest = (uint64_t)(part % n);
	part = ((u128)rest << 64) | (uint64_t)sum;
	q |= part / n;
	rest = (uint64_t)(part % n);

	/* Up when q + rest / n >= (r + 1/2)^2 = r * r + r + 1/4. */
	r = root(q);
	if (q - (u128)r * r > r ||
	    (q - (u128)r * r == r && (u128)rest * 4 >= n))
		r++;
	return r;
}

int64_t
reduce_int_result(const struct reduce_int *field, enum decimate_method method,
    uint64_t samples, unsigned output, int64_t highest)
{
	uint64_t r;

	assert(samples > 0);
	if (method == METHOD_MINMAX)
		return output == 0 ? field->low : field->high;
	if (method == METHOD_MEAN)
		return mean(field->sum, samples);
	r = root_mean(field->carry, field->squares, samples);
	return r > (uint64_t)highest ? highest : (int64_t)r;
}

double
reduce_int_mean(const struct reduce_int *field, uint64_t samples)
{
	i128 n = (i128)samples, q = field->sum / n, rest = field->sum % n;

	return (double)q + (double)rest / (double)samples;
}

double
reduce_int_rms(const struct reduce_int *field, uint64_t samples)
{
	double sum = (double)field->carry * 0x1p128 + (double)field->squares;

	return sqrt(sum / (double)samples);
}
