/* SPDX-License-Identifier: ISC */
/*
 * The body of the loops in reduce_loop.c, which includes this once for each
 * width of vectors: LANES, and NAME() of what is defined here.
 */

#define VEC	NAME(vec)
#define MASK	NAME(mask)
#define NARROW	NAME(narrow)

typedef double VEC __attribute__((__vector_size__(LANES * 8)));
typedef int64_t MASK __attribute__((__vector_size__(LANES * 8)));
typedef float NARROW __attribute__((__vector_size__(LANES * 4)));

_Static_assert(REDUCE_LANES % LANES == 0, "no vector is cut off");

/* Vectors go by pointer: by value their calling convention would depend on
 * the processor, and compilers warn even where all is inline. */
INLINE void
NAME(load)(VEC *x, const uint8_t *data, size_t i, bool wide)
{
#if __BYTE_ORDER == __LITTLE_ENDIAN
	NARROW f;

	if (wide)
		memcpy(x, data + i * sizeof(double), sizeof(*x));
	else {
		memcpy(&f, data + i * sizeof(float), sizeof(f));
		*x = __builtin_convertvector(f, VEC);
	}
#else
	unsigned k;

	for (k = 0; k < LANES; k++)
		(*x)[k] = reduce_load(data, i + k, wide);
#endif
}

INLINE void
NAME(step_sum)(const struct reals *r, size_t i, const VEC *x)
{
	VEC sum, rest, s, b;

	GET(sum, r->sum + i);
	GET(rest, r->sum_rest + i);
	s = sum + *x;
	b = s - sum;
	rest += (sum - (s - b)) + (*x - b);
	SET(r->sum + i, s);
	SET(r->sum_rest + i, rest);
}

INLINE void
NAME(step_square)(const struct reals *r, size_t i, const VEC *x)
{
	VEC square;

	GET(square, r->square + i);
	square += *x * *x;
	SET(r->square + i, square);
}

/* Comparisons with NaN are false. */
INLINE void
NAME(step_range)(const struct reals *r, size_t i, const VEC *x, bool timed,
    const MASK *time)
{
	VEC low, high;
	MASK below, above, at;

	GET(low, r->low + i);
	GET(high, r->high + i);
	below = (MASK)(*x < low);
	above = (MASK)(*x > high);
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

/* Takes a vector of values; what is rare stays out, and out of *taken. */
INLINE void
NAME(step)(const struct reals *r, enum decimate_method method, size_t i,
    const VEC *x, const MASK *time, MASK *taken)
{
	bool all = method == METHOD_SUMMARY;
	VEC size, usual, kept;
	MASK whole;

	if (all || method == METHOD_MINMAX)
		NAME(step_range)(r, i, x, all, time);
	if (method == METHOD_MINMAX)
		return;
	/* One comparison at a time: gcc 12 leaves vectors for more. */
	size = (VEC)((MASK)*x & INT64_MAX);
	usual = (VEC)((MASK)size & (MASK)(size <= (VEC){ 0 } + REDUCE_LARGE));
	if (all || method == METHOD_RMS)
		usual = (VEC)((MASK)usual &
		    (MASK)(usual >= (VEC){ 0 } + REDUCE_SMALL));
	whole = (MASK)(usual == size);
	*taken &= whole;
	if (all || method == METHOD_MEAN) {
		kept = (VEC)((MASK)*x & whole);
		NAME(step_sum)(r, i, &kept);
	}
	if (all || method == METHOD_RMS)
		NAME(step_square)(r, i, &usual);
}

INLINE bool
NAME(run)(const struct reals *reals, enum decimate_method method,
    const uint8_t *data, bool wide, int64_t when)
{
	/* A copy, whose pointers no store into the arrays can change: they
	 * stay in registers. */
	const struct reals copy = *reals, *r = &copy;
	MASK taken = (MASK){ 0 } - 1;
	const MASK time = (MASK){ 0 } + when;
	size_t i, k;
	VEC x;

	for (i = 0; i + LANES <= r->count; i += LANES) {
		NAME(load)(&x, data, i, wide);
		NAME(step)(r, method, i, &x, &time, &taken);
	}
	/* The arrays have room for zeros beyond the last field. */
	if (i < r->count) {
		x = (VEC){ 0 };
		for (k = 0; i + k < r->count; k++)
			x[k] = reduce_load(data, i + k, wide);
		NAME(step)(r, method, i, &x, &time, &taken);
	}
	for (k = 1; k < LANES; k++)
		taken[0] &= taken[k];
	return taken[0] != 0;
}

#undef VEC
#undef MASK
#undef NARROW
#undef LANES
#undef NAME
