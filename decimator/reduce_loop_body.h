/* SPDX-License-Identifier: ISC */
/*
 * The body of the loops in reduce_loop.c, which includes this once for each
 * width of vectors: LANES, TARGET (an attribute), NAME() of what is defined
 * here, and for these vectors the macros SMALLER(a, b) and LARGER(a, b), which
 * are b where the two do not compare, ROOT(a), WIDEN(floats) and ALL(mask).
 */

#define VEC	NAME(vec)
#define MASK	NAME(mask)
#define NARROW	NAME(narrow)
#define INLINE	TARGET static inline __attribute__((__always_inline__))

typedef double VEC __attribute__((__vector_size__(LANES * 8)));
typedef int64_t MASK __attribute__((__vector_size__(LANES * 8)));
typedef float NARROW __attribute__((__vector_size__(LANES * 4)));

_Static_assert(REALS_LANES % LANES == 0, "no vector is cut off");

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
		*x = WIDEN(f);
	}
#else
	unsigned k;

	for (k = 0; k < LANES; k++)
		(*x)[k] = reduce_load(data, i + k, wide);
#endif
}

/* Neumaier's sum, of what is finite. */
INLINE void
NAME(compensated)(VEC *sum, VEC *rest, const VEC *x)
{
	VEC s = *sum + *x, b = s - *sum;

	*rest += (*sum - (s - b)) + (*x - b);
	*sum = s;
}

/* The times of new extremes, of the first that is so small or large. */
INLINE void
NAME(note_times)(struct reals_lanes *l, size_t lane, const struct rows *rows,
    size_t i, const VEC *low, const VEC *high, const MASK *below,
    const MASK *above)
{
	MASK low_time = { 0 }, high_time = { 0 }, time, at;
	unsigned k;
	VEC x;

	UNROLL
	for (k = rows->count; k-- > 0; ) {
		NAME(load)(&x, rows->row[k], i, rows->wide);
		time = (MASK){ 0 } + rows->time[k];
		low_time = SELECT((MASK)(x == *low), time, low_time);
		high_time = SELECT((MASK)(x == *high), time, high_time);
	}
	GET(at, l->low_time + lane);
	at = SELECT(*below, low_time, at);
	SET(l->low_time + lane, at);
	GET(at, l->high_time + lane);
	at = SELECT(*above, high_time, at);
	SET(l->high_time + lane, at);
}

INLINE void
NAME(note_range)(struct reals_lanes *l, size_t lane, const struct rows *rows,
    size_t i, const VEC *low, const VEC *high, bool timed)
{
	MASK below, above, same;
	VEC old;

	if (timed) {
		GET(old, l->low + lane);
		below = (MASK)(*low < old);
		GET(old, l->high + lane);
		above = (MASK)(*high > old);
		same = ~(below | above);
		if (!ALL(same))
			NAME(note_times)(l, lane, rows, i, low, high,
			    &below, &above);
	}
	SET(l->low + lane, *low);
	SET(l->high + lane, *high);
}

/* Whether nothing but zeros comes; their squares say nothing of them. */
INLINE bool
NAME(all_zero)(const struct rows *rows, size_t i)
{
	MASK any = { 0 };
	unsigned k;
	VEC x;

	for (k = 0; k < rows->count; k++) {
		NAME(load)(&x, rows->row[k], i, rows->wide);
		any |= (MASK)x;
	}
	any = (MASK)((VEC)(any & INT64_MAX) == (VEC){ 0 });
	return ALL(any);
}

/* Only what is not rare of x: all for the sum, *usual for the squares. */
INLINE void
NAME(leave_out)(VEC *x, VEC *usual)
{
	VEC size = (VEC)((MASK)*x & INT64_MAX);
	MASK kept = (MASK)(size <= (VEC){ 0 } + REDUCE_LARGE);

	*x = (VEC)((MASK)*x & kept);
	*usual = (VEC)((MASK)*x &
	    (MASK)(size >= (VEC){ 0 } + REDUCE_SMALL));
}

/*
 * Takes all rows of a vector of fields, whose values are number `i' and
 * following of a row.  False: some are rare, and nothing has changed; with
 * `careful' they are left out.
 */
INLINE bool
NAME(block)(struct reals_lanes *l, size_t lane, unsigned needs,
    const struct rows *rows, size_t i, bool careful)
{
	const bool mean = (needs & NEED_SUM) != 0;
	const bool rms = (needs & NEED_SQUARES) != 0;
	const bool range = (needs & NEED_RANGE) != 0;
	VEC x, y, sum, rest, square, low, high, size = { 0 };
	MASK usual;
	unsigned k;

	GET(sum, l->sum + lane);
	GET(rest, l->sum_rest + lane);
	GET(square, l->square + lane);
	GET(low, l->low + lane);
	GET(high, l->high + lane);
	UNROLL
	for (k = 0; k < rows->count; k++) {
		NAME(load)(&x, rows->row[k], i, rows->wide);
		if (range) {
			low = SMALLER(x, low);
			high = LARGER(x, high);
		}
		y = x;
		if (careful)
			NAME(leave_out)(&x, &y);
		if (mean)
			NAME(compensated)(&sum, &rest, &x);
		if (rms)
			square += y * y;
		else if (mean) {
			x = (VEC)((MASK)x & INT64_MAX);
			size = LARGER(size, x);
		}
	}
	if (rms && !careful) {
		usual = (MASK)(square >= (VEC){ 0 } + REDUCE_SQUARES_MIN) &
		    (MASK)(square <= (VEC){ 0 } + REDUCE_SQUARES_MAX);
		if (UNLIKELY(!ALL(usual)) && !NAME(all_zero)(rows, i))
			return false;
	} else if (mean && !careful) {
		usual = (MASK)(size <= (VEC){ 0 } + REDUCE_LARGE) &
		    (MASK)(sum == sum);
		if (UNLIKELY(!ALL(usual)))
			return false;
	}
	if (mean) {
		SET(l->sum + lane, sum);
		SET(l->sum_rest + lane, rest);
	}
	if (rms && rows->fold) {
		GET(sum, l->squares + lane);
		GET(rest, l->squares_rest + lane);
		NAME(compensated)(&sum, &rest, &square);
		SET(l->squares + lane, sum);
		SET(l->squares_rest + lane, rest);
		square = (VEC){ 0 };
	}
	if (rms)
		SET(l->square + lane, square);
	if (range)
		NAME(note_range)(l, lane, rows, i, &low, &high,
		    (needs & NEED_TIMES) != 0);
	return true;
}

TARGET static __attribute__((__noinline__)) void
NAME(careful_block)(struct reals_lanes *l, size_t lane,
    unsigned needs, const struct rows *rows, size_t i)
{
	(void)NAME(block)(l, lane, needs, rows, i, true);
}

/* The last fields, `i' and following, are no vector: zeros make them one. */
INLINE void
NAME(fill_up)(struct rows *rows, uint8_t data[][sizeof(VEC)],
    const struct reals *r, size_t i)
{
	size_t bytes = rows->wide ? sizeof(double) : sizeof(float);
	unsigned k;

	for (k = 0; k < rows->count; k++) {
		memset(data[k], 0, sizeof(VEC));
		memcpy(data[k], rows->row[k] + i * bytes,
		    (r->count - i) * bytes);
		rows->row[k] = data[k];
	}
}

INLINE size_t
NAME(run)(const struct reals *r, unsigned needs, size_t i, bool wide)
{
	uint8_t data[REALS_ROWS][sizeof(VEC)];
	struct rows rows;
	size_t at;

	/* A copy, which no store into the lanes can change. */
	memcpy(rows.row, r->row, sizeof(rows.row));
	memcpy(rows.time, r->time, sizeof(rows.time));
	rows.count = r->rows;
	rows.wide = wide;
	rows.fold = r->hot + r->rows == REALS_ROWS;
	for (; i < r->count; i += LANES) {
		at = i;
		if (UNLIKELY(r->count - i < LANES)) {
			NAME(fill_up)(&rows, data, r, i);
			at = 0;
		}
		if (LIKELY(NAME(block)(r->lanes + i / REALS_LANES,
		    i % REALS_LANES, needs, &rows, at, false)))
			continue;
		NAME(careful_block)(r->lanes + i / REALS_LANES,
		    i % REALS_LANES, needs, &rows, at);
		break;
	}
	return i;
}

/*** Results. ***/

/* sum / n with the remainder put to use, as in reduce_real.c; Dekker's product
 * tells it without a fused operation. */
INLINE bool
NAME(end_mean)(const struct reals_lanes *l, size_t lane, double n,
    VEC *result)
{
	const double split = 0x1p27 + 1, n_high = n * split - (n * split - n);
	const double n_low = n - n_high;
	VEC sum, rest, total, q, p, high, low, size;
	MASK good;

	GET(sum, l->sum + lane);
	GET(rest, l->sum_rest + lane);
	total = sum + rest;
	rest += sum - total;
	size = (VEC)((MASK)total & INT64_MAX);
	good = (MASK)(size >= (VEC){ 0 } + REDUCE_SUM_MIN) |
	    ((MASK)(sum == (VEC){ 0 }) & (MASK)(rest == (VEC){ 0 }));
	if (!ALL(good))
		return false;
	q = total / n;
	p = q * n;
	high = q * split - (q * split - q);
	low = q - high;
	p = (total - p) - (((high * n_high - p) + high * n_low +
	    low * n_high) + low * n_low);
	*result = q + (p + rest) / n;
	return true;
}

INLINE void
NAME(end_rms)(const struct reals_lanes *l, size_t lane, double n,
    VEC *result)
{
	VEC sum, rest, square;

	GET(sum, l->squares + lane);
	GET(rest, l->squares_rest + lane);
	GET(square, l->square + lane);
	NAME(compensated)(&sum, &rest, &square);
	sum = (sum + rest) / n;
	sum = LARGER(sum, (VEC){ 0 });
	*result = ROOT(sum);
}

INLINE void
NAME(end_range)(const struct reals_lanes *l, size_t lane, int64_t first_time,
    struct reals_results *out)
{
	const VEC nan = (VEC){ 0 } + (double)NAN;
	const VEC infinity = (VEC){ 0 } + (double)INFINITY;
	const MASK first = (MASK){ 0 } + first_time;
	VEC low, high;
	MASK none, time;

	GET(low, l->low + lane);
	GET(high, l->high + lane);
	GET(time, l->low_time + lane);
	time = SELECT((MASK)(low == infinity), first, time);
	SET(out->low_time + lane, time);
	GET(time, l->high_time + lane);
	time = SELECT((MASK)(high == -infinity), first, time);
	SET(out->high_time + lane, time);
	none = (MASK)(low > high);
	low = SELECT(none, nan, low);
	high = SELECT(none, nan, high);
	SET(out->low + lane, low);
	SET(out->high + lane, high);
}

INLINE bool
NAME(finish)(const struct reals_lanes *l, unsigned needs, double n,
    int64_t first_time, struct reals_results *out)
{
	VEC mean, rms, size;
	size_t lane;

	for (lane = 0; lane < REALS_LANES; lane += LANES) {
		if ((needs & NEED_RANGE) != 0)
			NAME(end_range)(l, lane, first_time, out);
		if ((needs & NEED_SUM) != 0) {
			if (!NAME(end_mean)(l, lane, n, &mean))
				return false;
			SET(out->mean + lane, mean);
		}
		if ((needs & NEED_SQUARES) == 0)
			continue;
		NAME(end_rms)(l, lane, n, &rms);
		if ((needs & NEED_SUM) != 0) {
			size = (VEC)((MASK)mean & INT64_MAX);
			rms = LARGER(size, rms);
		}
		SET(out->rms + lane, rms);
	}
	return true;
}

/*** One of each for every row of the table. ***/

#define LOOP(method, name, needs, integers, yields, where)		\
TARGET static size_t							\
NAME(run_##method)(const struct reals *r, size_t i)			\
{									\
	return r->wide ? NAME(run)(r, (needs), i, true) :		\
	    NAME(run)(r, (needs), i, false);				\
}									\
TARGET static bool							\
NAME(finish_##method)(const struct reals_lanes *l, double samples,	\
    int64_t first_time, struct reals_results *out)			\
{									\
	return NAME(finish)(l, (needs), samples, first_time, out);	\
}
DECIMATE_TABLE(LOOP)
#undef LOOP

static const struct reduce_loops NAME(loops)[METHODS] = {
#define LOOP(method, name, needs, integers, yields, where)		\
	[method] = { LANES, NAME(run_##method), NAME(finish_##method) },
	DECIMATE_TABLE(LOOP)
#undef LOOP
};

#undef VEC
#undef MASK
#undef NARROW
#undef INLINE
#undef LANES
#undef TARGET
#undef NAME
#undef SMALLER
#undef LARGER
#undef ROOT
#undef WIDEN
#undef ALL
