/* SPDX-License-Identifier: ISC */
/*
 * Times as ISO 8601 text.  mcrelay-cat.
 */
#include "tools/cat/decimal.h"
#include "tools/cat/moment.h"

#define DAY_S		INT64_C(86400)

static int64_t
floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Years beyond four digits have a sign, as ISO 8601 wants it. */
static uint8_t *
put_year(uint8_t *to, int64_t year)
{
	if (year < 0 || year > 9999)
		*to++ = year < 0 ? '-' : '+';
	year = year < 0 ? -year : year;
	if (year > 9999)
		return to + decimal_integer(to, year);
	decimal_digits(to, (uint64_t)year, 4);
	return to + 4;
}

/* Days since 1970, in the Gregorian calendar of all times: years begin in
 * March here, so that a leap day is the last of one. */
static uint8_t *
put_date(uint8_t *to, int64_t days)
{
	const int64_t since = days + 719468;
	const int64_t era = floor_divide(since, 146097);
	const int64_t day = since - era * 146097;
	const int64_t year = (day - day / 1460 + day / 36524 - day / 146096) /
	    365;
	const int64_t of_year = day - (365 * year + year / 4 - year / 100);
	const int64_t march = (5 * of_year + 2) / 153;
	const int64_t month = march < 10 ? march + 3 : march - 9;

	to = put_year(to, year + era * 400 + (month <= 2));
	*to++ = '-';
	decimal_digits(to, (uint64_t)month, 2);
	to[2] = '-';
	decimal_digits(to + 3,
	    (uint64_t)(of_year - (153 * march + 2) / 5 + 1), 2);
	return to + 5;
}

static uint8_t *
put_clock(uint8_t *to, uint64_t second, uint64_t part, unsigned digits)
{
	decimal_digits(to, second / 3600, 2);
	to[2] = ':';
	decimal_digits(to + 3, second / 60 % 60, 2);
	to[5] = ':';
	decimal_digits(to + 6, second % 60, 2);
	to[8] = '.';
	decimal_digits(to + 9, part, digits);
	return to + 9 + digits;
}

/* `unit' of them are a second, of so many digits. */
static size_t
put_instant(uint8_t *to, int64_t value, int64_t unit, unsigned digits,
    bool utc)
{
	const int64_t second = floor_divide(value, unit);
	const int64_t day = floor_divide(second, DAY_S);
	/* Not by a product, which the least number would overflow. */
	const int64_t part = value % unit + (value % unit < 0 ? unit : 0);
	uint8_t *at = put_date(to, day);

	*at++ = 'T';
	at = put_clock(at, (uint64_t)(second - day * DAY_S),
	    (uint64_t)part, digits);
	if (utc)
		*at++ = 'Z';
	return (size_t)(at - to);
}

static size_t
put_time(uint8_t *to, int64_t value, int64_t unit, unsigned digits)
{
	if (value < 0 || value >= DAY_S * unit)
		return 0;
	return (size_t)(put_clock(to, (uint64_t)(value / unit),
	    (uint64_t)(value % unit), digits) - to);
}

size_t
moment_text(uint8_t to[static MOMENT_SIZE], enum schema_logical logical,
    int64_t value)
{
	switch (logical) {
	case LOGICAL_DATE:
		return (size_t)(put_date(to, value) - to);
	case LOGICAL_TIME_MILLIS:
		return put_time(to, value, 1000, 3);
	case LOGICAL_TIME_MICROS:
		return put_time(to, value, 1000000, 6);
	case LOGICAL_TIMESTAMP_MILLIS:
	case LOGICAL_LOCAL_MILLIS:
		return put_instant(to, value, 1000, 3,
		    logical == LOGICAL_TIMESTAMP_MILLIS);
	case LOGICAL_TIMESTAMP_MICROS:
	case LOGICAL_LOCAL_MICROS:
		return put_instant(to, value, 1000000, 6,
		    logical == LOGICAL_TIMESTAMP_MICROS);
	case LOGICAL_TIMESTAMP_NANOS:
	case LOGICAL_LOCAL_NANOS:
		return put_instant(to, value, 1000000000, 9,
		    logical == LOGICAL_TIMESTAMP_NANOS);
	default:
		return 0;
	}
}

size_t
moment_ns(uint8_t to[static MOMENT_SIZE], int64_t ns)
{
	return put_instant(to, ns, 1000000000, 9, true);
}
