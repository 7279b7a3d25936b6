/* SPDX-License-Identifier: ISC */
/*
 * One datum's floats or doubles into the accumulators.  Decimator only.
 *
 * Written with vectors, without branches: gcc 12 leaves such loops scalar, at
 * -O2 for their unknown length, at -O3 for their conditions.  There is a copy
 * for vectors of two, which SSE2 and NEON have, and one of four for AVX2,
 * chosen at run time.  (Vectors wider than the processor's would be compared
 * one by one.)  Built without fused operations, they all give the same bits.
 */
#include <math.h>

#include "decimator/reduce_loop.h"

#define INLINE	static inline __attribute__((__always_inline__))
#define GET(to, from)	memcpy(&(to), (from), sizeof(to))
#define SET(to, from)	memcpy((to), &(from), sizeof(from))
#define SELECT(condition, yes, no)					\
	((__typeof__(yes))(((MASK)(yes) & (condition)) |		\
	((MASK)(no) & ~(condition))))

#define LANES		2
#define NAME(name)	name##_plain
#include "decimator/reduce_loop_body.h"

#if defined(__x86_64__)
#define LANES		4
#define NAME(name)	name##_avx2
#include "decimator/reduce_loop_body.h"
#endif

#define LOOP(suffix, name, method, target)				\
target static bool							\
name##_##suffix(const struct reals *r, const uint8_t *data, bool wide,	\
    int64_t time)							\
{									\
	return wide ? run_##suffix(r, (method), data, true, time) :	\
	    run_##suffix(r, (method), data, false, time);		\
}

#define LOOPS(suffix, target)						\
LOOP(suffix, mean, METHOD_MEAN, target)					\
LOOP(suffix, rms, METHOD_RMS, target)					\
LOOP(suffix, minmax, METHOD_MINMAX, target)				\
LOOP(suffix, summary, METHOD_SUMMARY, target)				\
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
reduce_loop_plain(enum decimate_method method)
{
	return loops_plain[method];
}

reals_loop *
reduce_loop(enum decimate_method method)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		return loops_avx2[method];
#endif
	return loops_plain[method];
}
