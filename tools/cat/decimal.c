/* SPDX-License-Identifier: ISC */
/*
 * Numbers as decimal text.  mcrelay-cat.
 */
#include <stdbool.h>
#include <string.h>

#include "tools/cat/decimal.h"

__extension__ typedef unsigned __int128 wide;

#define POWER_MIN	(-292)
#define POWER_MAX	324
/* 2^(64 * LIMBS - 64) / 10^292 has 128 bits and more. */
#define LIMBS		20

/* Digits are copied by so many, which is faster than by their number; there
 * are 17 at the most. */
#define COPY		24U

/* 10^k with 128 bits, rounded up: 2^127 <= power < 2^128. */
static struct power {
	uint64_t	high;
	uint64_t	low;
} powers[POWER_MAX - POWER_MIN + 1];

static char digit_pairs[100][2];

/* The first 128 bits of a number, least limb first; *exact: nothing but zeros
 * follow. */
static wide
top_bits(const uint64_t limb[LIMBS], int *exact)
{
	int top = LIMBS - 1, shift, i;
	wide bits;

	while (limb[top] == 0)
		top--;
	shift = __builtin_clzll(limb[top]);
	bits = (wide)limb[top] << 64 | (top > 0 ? limb[top - 1] : 0);
	*exact = 1;
	if (shift > 0) {
		bits <<= shift;
		if (top > 1) {
			bits |= limb[top - 2] >> (64 - shift);
			*exact = (limb[top - 2] << shift) == 0;
		}
	} else if (top > 1)
		*exact = limb[top - 2] == 0;
	for (i = 0; i < top - 2; i++)
		*exact = *exact && limb[i] == 0;
	return bits;
}

static void
keep_power(int k, const uint64_t limb[LIMBS])
{
	int exact;
	wide bits = top_bits(limb, &exact);

	/* No negative power of ten has an end in binary. */
	if (k < 0 || !exact)
		bits++;
	powers[k - POWER_MIN] = (struct power){(uint64_t)(bits >> 64),
	    (uint64_t)bits};
}

void
decimal_init(void)
{
	uint64_t up[LIMBS] = {1}, down[LIMBS] = {0};
	wide carry;
	int k, i;

	for (i = 0; i < 100; i++) {
		digit_pairs[i][0] = (char)('0' + i / 10);
		digit_pairs[i][1] = (char)('0' + i % 10);
	}
	for (k = 0; k <= POWER_MAX; k++) {
		keep_power(k, up);
		for (carry = 0, i = 0; i < LIMBS; i++) {
			carry += (wide)up[i] * 10;
			up[i] = (uint64_t)carry;
			carry >>= 64;
		}
	}
	down[LIMBS - 1] = 1;
	for (k = -1; k >= POWER_MIN; k--) {
		for (carry = 0, i = LIMBS - 1; i >= 0; i--) {
			carry = carry << 64 | down[i];
			down[i] = (uint64_t)(carry / 10);
			carry %= 10;
		}
		keep_power(k, down);
	}
}

/* Eight of them: four independent pairs are faster than one chain. */
static void
eight_digits(uint8_t *to, uint32_t value)
{
	const uint32_t high = value / 10000, low = value % 10000;

	memcpy(to, digit_pairs[high / 100], 2);
	memcpy(to + 2, digit_pairs[high % 100], 2);
	memcpy(to + 4, digit_pairs[low / 100], 2);
	memcpy(to + 6, digit_pairs[low % 100], 2);
}

void
decimal_digits(uint8_t *to, uint64_t value, unsigned digits)
{
	for (; digits >= 8; digits -= 8, value /= 100000000)
		eight_digits(to + digits - 8, (uint32_t)(value % 100000000));
	for (; digits >= 2; digits -= 2, value /= 100)
		memcpy(to + digits - 2, digit_pairs[value % 100], 2);
	if (digits == 1)
		*to = (uint8_t)('0' + value % 10);
}

static unsigned
count_digits(uint64_t value)
{
	static const uint64_t tens[] = {
		1U, 10U, 100U, 1000U, 10000U, 100000U, 1000000U, 10000000U,
		100000000U, 1000000000U, 10000000000U, 100000000000U,
		1000000000000U, 10000000000000U, 100000000000000U,
		1000000000000000U, 10000000000000000U, 100000000000000000U,
		1000000000000000000U, 10000000000000000000U,
	};
	/* log10(2), and one too many at most. */
	const unsigned about = (unsigned)(64 - __builtin_clzll(value | 1)) *
	    1233 >> 12;

	return value < tens[about] ? MAX_OF(about, 1U) : about + 1;
}

static size_t
unsigned_integer(uint8_t *to, uint64_t value)
{
	const unsigned digits = count_digits(value);

	decimal_digits(to, value, digits);
	return digits;
}

size_t
decimal_integer(uint8_t *to, int64_t value)
{
	if (value >= 0)
		return unsigned_integer(to, (uint64_t)value);
	*to = '-';
	return 1 + unsigned_integer(to + 1, -(uint64_t)value);
}

/* The product without its lowest 128 bits, but odd when these are not zero. */
static uint64_t
multiply(struct power power, uint64_t value)
{
	const wide low = (wide)power.low * value;
	const wide high = (wide)power.high * value + (uint64_t)(low >> 64);

	return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

struct shortest {
	uint64_t	digits;
	int		exponent;	/* of ten */
};

/* Of the numbers with one digit less, or as many, the right one. */
static struct shortest
choose(uint64_t left, uint64_t middle, uint64_t right, int k)
{
	const uint64_t s = middle / 4, less = s / 10;
	bool lower, upper;

	if (s >= 10) {
		lower = left <= 40 * less;
		upper = 40 * less + 40 <= right;
		if (lower != upper)
			return (struct shortest){less + upper, k + 1};
	}
	lower = left <= 4 * s;
	upper = 4 * s + 4 <= right;
	if (lower != upper)
		return (struct shortest){s + upper, k};
	upper = middle > 4 * s + 2 || (middle == 4 * s + 2 && (s & 1) != 0);
	return (struct shortest){s + upper, k};
}

/* Significand times two to the exponent; neither is zero. */
static struct shortest
shorten(uint64_t c, int q, bool uneven)
{
	const bool odd = (c & 1) != 0;
	/* floor(log10(2^q)), or of three quarters of it, and floor(log2()) of
	 * the power of ten that undoes it. */
	const int k = (q * 1262611 - (uneven ? 524031 : 0)) >> 22;
	const int h = q + ((-k * 1741647) >> 19) + 1;
	const struct power power = powers[-k - POWER_MIN];

	return choose(multiply(power, (4 * c - 2 + uneven) << h) + odd,
	    multiply(power, 4 * c << h),
	    multiply(power, (4 * c + 2) << h) - odd, k);
}

static size_t
scientific(uint8_t *to, const uint8_t *digit, unsigned digits, int exponent)
{
	uint8_t *at = to;

	*at++ = digit[0];
	if (digits > 1) {
		*at++ = '.';
		memcpy(at, digit + 1, digits - 1);
		at += digits - 1;
	}
	*at++ = 'e';
	*at++ = exponent < 0 ? '-' : '+';
	exponent = exponent < 0 ? -exponent : exponent;
	if (exponent < 10)
		*at++ = '0';
	return (size_t)(at - to) + unsigned_integer(at, (uint64_t)exponent);
}

/* `point' digits are before the point, none when it is not positive. */
static size_t
positional(uint8_t *to, const uint8_t *digit, unsigned digits, int point)
{
	uint8_t *at = to;

	if (point <= 0) {
		memcpy(at, "0.0000", 6);
		at += 2 - point;
		memcpy(at, digit, COPY);
		return (size_t)(at - to) + digits;
	}
	memcpy(at, digit, COPY);
	if ((unsigned)point >= digits) {
		memset(at + digits, '0', (unsigned)point - digits);
		memcpy(at + point, ".0", 2);
		return (size_t)point + 2;
	}
	at[point] = '.';
	memcpy(at + point + 1, digit + point, COPY);
	return digits + 1;
}

/* What has few digits has many zeros here. */
static void
strip_zeros(struct shortest *value)
{
	if (value->digits % 100000000 == 0) {
		value->digits /= 100000000;
		value->exponent += 8;
	}
	if (value->digits % 10000 == 0) {
		value->digits /= 10000;
		value->exponent += 4;
	}
	while (value->digits % 10 == 0) {
		value->digits /= 10;
		value->exponent++;
	}
}

static size_t
put_shortest(uint8_t *to, struct shortest value)
{
	uint8_t digit[2 * COPY];
	unsigned digits;
	int point;

	strip_zeros(&value);
	digits = (unsigned)unsigned_integer(digit, value.digits);
	point = (int)digits + value.exponent;
	if (point > -4 && point <= 16)
		return positional(to, digit, digits, point);
	return scientific(to, digit, digits, point - 1);
}

/* A whole number below 2^53. */
static size_t
put_whole(uint8_t *to, uint64_t value)
{
	size_t size = unsigned_integer(to, value);

	memcpy(to + size, ".0", 2);
	return size + 2;
}

size_t
decimal_double(uint8_t *to, double value)
{
	uint64_t bits, fraction, c;
	size_t sign = 0;
	int exponent, q;

	memcpy(&bits, &value, sizeof(bits));
	if (bits >> 63 != 0) {
		*to++ = '-';
		sign = 1;
	}
	fraction = bits & ((UINT64_C(1) << 52) - 1);
	exponent = (int)(bits >> 52 & 0x7ff);
	c = exponent != 0 ? fraction | UINT64_C(1) << 52 : fraction;
	q = MAX_OF(exponent, 1) - 1075;
	if (c == 0)
		return sign + put_whole(to, 0);
	if (q <= 0 && q > -53 && (c & ((UINT64_C(1) << -q) - 1)) == 0 &&
	    c >> -q < UINT64_C(1000000000000000))
		return sign + put_whole(to, c >> -q);
	return sign + put_shortest(to, shorten(c, q,
	    fraction == 0 && exponent > 1));
}
