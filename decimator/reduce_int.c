/* SPDX-License-Identifier: ISC */
/*
 * Mean, rms and standard deviation of integers without a rounding error but the
 * last.  Decimator
 * only.
 */
#include <assert.h>
#include <math.h>

#include "decimator/reduce_int.h"

__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

/* The two are never in use together, and resetting one resets both. */
_Static_assert(offsetof(struct reduce_int, low) >= sizeof(struct reduce_own),
    "they overlap in what is zero at first");
_Static_assert(sizeof(struct reduce_int) == 80, "there are thousands");

/* 256 bits. */
struct wide {
	u128	high;
	u128	low;
};

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

/*** Standard deviation. ***/

static struct wide
product(u128 a, u128 b)
{
	uint64_t a1 = (uint64_t)(a >> 64), a0 = (uint64_t)a;
	uint64_t b1 = (uint64_t)(b >> 64), b0 = (uint64_t)b;
	u128 low = (u128)a0 * b0, middle = (u128)a1 * b0, other;

	other = (u128)a0 * b1 + (low >> 64) + (uint64_t)middle;
	return (struct wide){ (u128)a1 * b1 + (middle >> 64) + (other >> 64),
	    (other << 64) | (uint64_t)low };
}

/* n * squares - sum^2, which is the variance times n^2. */
static struct wide
scatter(const struct reduce_int *field, uint64_t n)
{
	u128 size = field->sum < 0 ? -(u128)field->sum : (u128)field->sum;
	struct wide all = product(field->squares, n);
	struct wide less = product(size, size);

	all.high += (u128)field->carry * n;
	return (struct wide){ all.high - less.high - (all.low < less.low),
	    all.low - less.low };
}

/* Whether (r - 1/2) * n is not beyond the root of v: so r is to be shown. */
static bool
reaches(uint64_t r, uint64_t n, struct wide v)
{
	u128 twice = ((u128)r * 2 - 1) * n;
	struct wide least = product(twice, twice);

	/* 4 * v has 256 bits: a deviation is at most 2^63. */
	v = (struct wide){ (v.high << 2) | (v.low >> 126), v.low << 2 };
	return least.high < v.high ||
	    (least.high == v.high && least.low <= v.low);
}

/* The deviation's nearest integer, halves up. */
static uint64_t
deviation(const struct reduce_int *field, uint64_t n)
{
	struct wide v = scatter(field, n);
	double near = sqrt((double)v.high * 0x1p128 + (double)v.low) /
	    (double)n;
	uint64_t least, most, middle;

	/* It is right to 2^-50. */
	middle = near >= 0x1p63 ? UINT64_C(1) << 63 : (uint64_t)near;
	least = middle - middle / (UINT64_C(1) << 48);
	least -= least > 0;
	most = middle + middle / (UINT64_C(1) << 48) + 2;
	while (least < most) {
		middle = least + (most - least + 1) / 2;
		if (reaches(middle, n, v))
			least = middle;
		else
			most = middle - 1;
	}
	return least;
}

/*** Results. ***/

/* One that has no number is 0; one that is rounded to the range, too.  What
 * goes round is the same a turn earlier, where the type ends before it. */
static int64_t
own_result(const struct reduce_int *field, enum decimate_method method,
    double range, uint64_t n, int64_t highest)
{
	double r = round(reduce_own_methods[method].result(&field->own,
	    (double)n, range));

	if (isnan(r) || (range > 0.0 && r >= range))
		return 0;
	if (range > 0.0 && r > (double)highest)
		r -= range;
	return r >= (double)highest ? highest : (int64_t)r;
}

int64_t
reduce_int_result(const struct reduce_int *field, enum decimate_method method,
    double range, uint64_t samples, unsigned output, int64_t highest)
{
	uint64_t r;

	assert(samples > 0);
	switch (decimate_rows[method].yields) {
	case YIELD_EXTREMES:
		return output == 0 ? field->low : field->high;
	case YIELD_MEAN:
		return mean(field->sum, samples);
	case YIELD_RMS:
		r = root_mean(field->carry, field->squares, samples);
		break;
	case YIELD_DEVIATION:
		r = deviation(field, samples);
		break;
	default:
		return own_result(field, method, range, samples, highest);
	}
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
