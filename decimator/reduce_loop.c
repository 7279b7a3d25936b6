/* SPDX-License-Identifier: ISC */
/*
 * One datum's floats or doubles into the accumulators.  Decimator only.
 *
 * Written with vectors of four, without branches: gcc 12 leaves such loops
 * scalar, at -O2 for their unknown length, at -O3 for their conditions.  The
 * compiler makes of them what the processor has: two halves on SSE2 and NEON,
 * one piece on AVX2, for which there is a copy of its own, chosen at run time.
 * Neither uses fused operations, so all give the same bits.
 */
#include <math.h>

#include "decimator/reduce_loop.h"

typedef double vec __attribute__((__vector_size__(32)));
typedef int64_t mask __attribute__((__vector_size__(32)));
typedef float narrow __attribute__((__vector_size__(16)));

_Static_assert(sizeof(vec) == REDUCE_LANES * sizeof(double), "lanes");

#define INLINE	static inline __attribute__((__always_inline__))
#define ALL(value)	((vec){ (value), (value), (value), (value) })
#define GET(to, from)	memcpy(&(to), (from), sizeof(to))
#define SET(to, from)	memcpy((to), &(from), sizeof(from))
#define SELECT(condition, yes, no)					\
	((__typeof__(yes))(((mask)(yes) & (condition)) |		\
	((mask)(no) & ~(condition))))

/* Vectors go by pointer: by value their calling convention would depend on
 * the processor, and compilers warn even where all is inline. */
INLINE void
load(vec *x, const uint8_t *data, size_t i, bool wide)
{
#if __BYTE_ORDER == __LITTLE_ENDIAN
	narrow f;

	if (wide)
		memcpy(x, data + i * sizeof(double), sizeof(*x));
	else {
		memcpy(&f, data + i * sizeof(float), sizeof(f));
		*x = __builtin_convertvector(f, vec);
	}
#else
	unsigned k;

	for (k = 0; k < REDUCE_LANES; k++)
		(*x)[k] = reduce_load(data, i + k, wide);
#endif
}

INLINE void
step_sum(const struct reals *r, size_t i, const vec *x)
{
	vec sum, rest, s, b;

	GET(sum, r->sum + i);
	GET(rest, r->sum_rest + i);
	s = sum + *x;
	b = s - sum;
	rest += (sum - (s - b)) + (*x - b);
	SET(r->sum + i, s);
	SET(r->sum_rest + i, rest);
}

INLINE void
step_square(const struct reals *r, size_t i, const vec *x)
{
	vec square;

	GET(square, r->square + i);
	square += *x * *x;
	SET(r->square + i, square);
}

/* Comparisons with NaN are false. */
INLINE void
step_range(const struct reals *r, size_t i, const vec *x, bool timed,
    const mask *time)
{
	vec low, high;
	mask below, above, at;

	GET(low, r->low + i);
	GET(high, r->high + i);
	below = (mask)(*x < low);
	above = (mask)(*x > high);
	low = SELECT(below, *x, low);
	high = SELECT(above, *x, high);
	SET(r->low + i, low);
	SET(r->high + i, high);
	if (!timed)
		return;
	GET(at, r->low_time + i);
	at = SELECT(below, *time, at);
	SET(r->low_time + i, at);
	GET(at, r->high_time + i);
	at = SELECT(above, *time, at);
	SET(r->high_time + i, at);
}

/* Takes four values; what is rare stays out, and out of *taken. */
INLINE void
step(const struct reals *r, enum decimate_method method, size_t i, const vec *x,
    const mask *time, mask *taken)
{
	bool all = method == METHOD_SUMMARY;
	mask usual, tiny;
	vec size, kept;

	if (all || method == METHOD_MINMAX)
		step_range(r, i, x, all, time);
	if (method == METHOD_MINMAX)
		return;
	size = (vec)((mask)*x & INT64_MAX);
	usual = (mask)(size <= ALL(REDUCE_LARGE));
	if (all || method == METHOD_RMS) {
		tiny = (mask)(size < ALL(REDUCE_SMALL)) &
		    (mask)(size > ALL(0.0));
		usual &= ~tiny;
	}
	*taken &= usual;
	kept = (vec)((mask)*x & usual);
	if (all || method == METHOD_MEAN)
		step_sum(r, i, &kept);
	if (all || method == METHOD_RMS)
		step_square(r, i, &kept);
}

INLINE bool
run(const struct reals *reals, enum decimate_method method,
    const uint8_t *data, bool wide, int64_t when)
{
	/* A copy, whose pointers no store into the arrays can change: they
	 * stay in registers. */
	const struct reals copy = *reals, *r = &copy;
	mask taken = { -1, -1, -1, -1 };
	const mask time = { when, when, when, when };
	size_t i, k;
	vec x;

	for (i = 0; i + REDUCE_LANES <= r->count; i += REDUCE_LANES) {
		load(&x, data, i, wide);
		step(r, method, i, &x, &time, &taken);
	}
	/* The arrays have room for zeros beyond the last field. */
	if (i < r->count) {
		x = ALL(0.0);
		for (k = 0; i + k < r->count; k++)
			x[k] = reduce_load(data, i + k, wide);
		step(r, method, i, &x, &time, &taken);
	}
	return (taken[0] & taken[1] & taken[2] & taken[3]) != 0;
}

#define LOOP(name, method, target)					\
target static bool							\
name(const struct reals *r, const uint8_t *data, bool wide,		\
    int64_t time)							\
{									\
	return wide ? run(r, (method), data, true, time) :		\
	    run(r, (method), data, false, time);			\
}

#define LOOPS(suffix, target)						\
LOOP(mean_##suffix, METHOD_MEAN, target)				\
LOOP(rms_##suffix, METHOD_RMS, target)					\
LOOP(minmax_##suffix, METHOD_MINMAX, target)				\
LOOP(summary_##suffix, METHOD_SUMMARY, target)				\
static reals_loop *const loops_##suffix[METHODS] = {			\
	[METHOD_MEAN] = mean_##suffix,					\
	[METHOD_RMS] = rms_##suffix,					\
	[METHOD_MINMAX] = minmax_##suffix,				\
	[METHOD_SUMMARY] = summary_##suffix,				\
};

LOOPS(plain, )
#if defined(__x86_64__)
LOOPS(avx2, __attribute__((__target__("avx2"))))
#endif

reals_loop *
reduce_loop(enum decimate_method method)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		return loops_avx2[method];
#endif
	return loops_plain[method];
}
