/* SPDX-License-Identifier: ISC */
/*
 * Standard deviation and mean of angles.  Decimator only.  Built without fused
 * operations, as reduce_loop.c is.
 */
#include <math.h>

#include "decimator/reduce_own.h"

/*** Sums of two doubles each, whose true value is high + low. ***/

struct pair {
	double	high;
	double	low;
};

/* Knuth's sum: exact. */
static struct pair
sum_of(double a, double b)
{
	double s = a + b, t = s - a;

	return (struct pair){ s, (a - (s - t)) + (b - t) };
}

/* Dekker's product: exact where nothing leaves the range. */
static struct pair
product_of(double a, double b)
{
	const double split = 0x1p27 + 1;
	double p = a * b, a_high, a_low, b_high, b_low;

	a_high = a * split - (a * split - a);
	a_low = a - a_high;
	b_high = b * split - (b * split - b);
	b_low = b - b_high;
	return (struct pair){ p, ((a_high * b_high - p) + a_high * b_low +
	    a_low * b_high) + a_low * b_low };
}

static struct pair
add(struct pair a, struct pair b)
{
	struct pair s = sum_of(a.high, b.high);

	return sum_of(s.high, s.low + (a.low + b.low));
}

static struct pair
square(struct pair a)
{
	struct pair p = product_of(a.high, a.high);

	return sum_of(p.high, p.low + 2.0 * a.high * a.low);
}

/*** Standard deviation. ***/

/*
 * Differences from the window's first value, and their squares, are summed in
 * pairs, of 106 bits.  Of n values the first is so far from the mean at most
 * that n times is lost when one sum is taken from the other, so that the
 * result has all its bits however small the deviation is beside the mean.
 *
 * All is scaled by a power of two, so that no square leaves the range.
 */
enum { ORIGIN, SCALE, SUM, SUM_LOW, SQUARES, SQUARES_LOW };

/* Scaled values up to here have differences whose squares can be added. */
#define SCALED_MAX	0x1p400

/* Of a value that is not 0; scales are within 2^1000. */
static double
scale_of(double value)
{
	int exponent = ilogb(value);

	return ldexp(1.0, exponent > 1000 ? -1000 :
	    exponent < -1000 ? 1000 : -exponent);
}

static void
rescale(struct reduce_own *own, double scale)
{
	double ratio = scale / own->v[SCALE];

	own->v[SUM] *= ratio;
	own->v[SUM_LOW] *= ratio;
	own->v[SQUARES] = own->v[SQUARES] * ratio * ratio;
	own->v[SQUARES_LOW] = own->v[SQUARES_LOW] * ratio * ratio;
	own->v[SCALE] = scale;
}

static void
add_deviation(struct reduce_own *own, double x, double range ATTR_UNUSED)
{
	struct pair d, s;

	if (own->v[SCALE] == 0.0) {
		own->v[ORIGIN] = x;
		own->v[SCALE] = x == 0.0 || isinf(x) ? 0x1p1000 : scale_of(x);
	}
	if (isinf(x) || isinf(own->v[ORIGIN])) {
		own->v[SUM] = (double)NAN;
		return;
	}
	if (fabs(x) * own->v[SCALE] > SCALED_MAX)
		rescale(own, scale_of(x));
	d = sum_of(x * own->v[SCALE], -(own->v[ORIGIN] * own->v[SCALE]));
	s = add((struct pair){ own->v[SUM], own->v[SUM_LOW] }, d);
	own->v[SUM] = s.high;
	own->v[SUM_LOW] = s.low;
	s = add((struct pair){ own->v[SQUARES], own->v[SQUARES_LOW] },
	    square(d));
	own->v[SQUARES] = s.high;
	own->v[SQUARES_LOW] = s.low;
}

/* The root of (n * squares - sum^2) / n^2. */
static double
deviation(const struct reduce_own *own, double n, double range ATTR_UNUSED)
{
	struct pair sum = { own->v[SUM], own->v[SUM_LOW] }, squares, by_n, v;

	if (isnan(sum.high))
		return (double)NAN;
	by_n = product_of(own->v[SQUARES], n);
	by_n.low += own->v[SQUARES_LOW] * n;
	squares = square(sum);
	v = add(by_n, (struct pair){ -squares.high, -squares.low });
	return v.high > 0.0 ? sqrt(v.high) / n / own->v[SCALE] : 0.0;
}

/*** Mean of angles. ***/

/* The directions' cosines and sines, summed as pairs. */
enum { COSINES, COSINES_LOW, SINES, SINES_LOW };

/* Of so many values, directions whose sum is shorter than this for each cancel
 * out: what is left of them are rounding errors. */
#define NOWHERE		0x1p-48

static void
add_angle(struct reduce_own *own, double x, double range)
{
	const double turn = 2.0 * acos(-1.0);
	double angle = remainder(x, range) / range * turn;
	struct pair s;

	s = add((struct pair){ own->v[COSINES], own->v[COSINES_LOW] },
	    (struct pair){ cos(angle), 0.0 });
	own->v[COSINES] = s.high;
	own->v[COSINES_LOW] = s.low;
	s = add((struct pair){ own->v[SINES], own->v[SINES_LOW] },
	    (struct pair){ sin(angle), 0.0 });
	own->v[SINES] = s.high;
	own->v[SINES_LOW] = s.low;
}

static double
direction(const struct reduce_own *own, double n, double range)
{
	const double turn = 2.0 * acos(-1.0);
	double x = own->v[COSINES], y = own->v[SINES], part;

	if (!(hypot(x, y) > n * NOWHERE))
		return (double)NAN;
	part = atan2(y, x) / turn * range;
	if (part < 0.0)
		part += range;
	return part < range ? part : 0.0;
}

const struct own_method reduce_own_methods[METHODS] = {
	[METHOD_STDDEV] = { add_deviation, deviation },
	[METHOD_CIRCULAR] = { add_angle, direction },
};

double
reduce_own_integer(int64_t value, double range)
{
	if (range >= 1.0 && range < 0x1p63 && range == floor(range))
		value %= (int64_t)range;
	return (double)value;
}
