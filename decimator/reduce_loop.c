/* SPDX-License-Identifier: ISC */
/*
 * A few datums' floats or doubles into the accumulators.  Decimator only.
 *
 * Written with vectors: gcc 12 leaves such loops scalar, at -O2 for their
 * unknown length, at -O3 for their conditions.  There is a copy for vectors of
 * two, which SSE2 and NEON have, one of four for AVX2 and one of eight for
 * AVX-512, chosen at run time.  (Vectors wider than the processor's would be
 * compared one by one.)  Built without fused operations, they all give the same
 * bits.
 */
#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "common/util.h"
#include "decimator/reduce_loop.h"

#define GET(to, from)	memcpy(&(to), (from), sizeof(to))
#define SET(to, from)	memcpy((to), &(from), sizeof(from))
#define SELECT(condition, yes, no)					\
	((__typeof__(yes))(((MASK)(yes) & (condition)) |		\
	((MASK)(no) & ~(condition))))
#if defined(__clang__)
#define UNROLL
#else
#define UNROLL	_Pragma("GCC unroll 8")
#endif

/* What struct reals has gathered. */
struct rows {
	const uint8_t	*row[REALS_ROWS];
	int64_t		 time[REALS_ROWS];
	unsigned	 count;
	bool		 wide;
	bool		 fold;		/* there are squares enough */
};

#define LANES		2
#define TARGET
#define NAME(name)	name##_plain
#define WIDEN(floats)	__builtin_convertvector(floats, VEC)
#if defined(__x86_64__)
#define SMALLER(a, b)	_mm_min_pd((a), (b))
#define LARGER(a, b)	_mm_max_pd((a), (b))
#define ROOT(a)		_mm_sqrt_pd(a)
#define ALL(mask)	(_mm_movemask_pd((__m128d)(mask)) == 3)
#else
#define SMALLER(a, b)	SELECT((MASK)((a) < (b)), (a), (b))
#define LARGER(a, b)	SELECT((MASK)((a) > (b)), (a), (b))
#define ROOT(a)		((VEC){ sqrt((a)[0]), sqrt((a)[1]) })
#define ALL(mask)	(((mask)[0] & (mask)[1]) != 0)
#endif
#include "decimator/reduce_loop_body.h"

#if defined(__x86_64__)
#define LANES		4
#define TARGET		__attribute__((__target__("avx2")))
#define NAME(name)	name##_avx2
/* (gcc 12 widens halves one after the other.) */
#define WIDEN(floats)	_mm256_cvtps_pd(floats)
#define SMALLER(a, b)	_mm256_min_pd((a), (b))
#define LARGER(a, b)	_mm256_max_pd((a), (b))
#define ROOT(a)		_mm256_sqrt_pd(a)
#define ALL(mask)	(_mm256_movemask_pd((__m256d)(mask)) == 15)
#include "decimator/reduce_loop_body.h"

#define LANES		8
#define TARGET		__attribute__((__target__("avx512f,avx512dq")))
#define NAME(name)	name##_avx512
#define WIDEN(floats)	_mm512_cvtps_pd(floats)
#define SMALLER(a, b)	_mm512_min_pd((a), (b))
#define LARGER(a, b)	_mm512_max_pd((a), (b))
#define ROOT(a)		_mm512_sqrt_pd(a)
#define ALL(mask)	(_mm512_movepi64_mask((__m512i)(mask)) == 0xff)
#include "decimator/reduce_loop_body.h"
#endif

const struct reduce_loops *
reduce_loops_of(unsigned kind, enum decimate_method method)
{
	if (kind == 0)
		return &loops_plain[method];
#if defined(__x86_64__)
	if (kind == 1 && __builtin_cpu_supports("avx2"))
		return &loops_avx2[method];
	/* Processors without this run the slower for wide vectors. */
	if (kind == 2 && __builtin_cpu_supports("avx512vbmi2"))
		return &loops_avx512[method];
#endif
	return NULL;
}

const struct reduce_loops *
reduce_loops(enum decimate_method method)
{
	const struct reduce_loops *best = NULL, *next;
	unsigned kind = 0;

	while ((next = reduce_loops_of(kind++, method)) != NULL)
		best = next;
	return best;
}
