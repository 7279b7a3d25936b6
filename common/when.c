/* SPDX-License-Identifier: ISC */
/*
 * Times as users write them.  Every process.
 */
#include <string.h>
#include <time.h>

#include "common/util.h"
#include "common/when.h"

#define YEAR_MAX	2261	/* the last whole one in 63 bits of ns */

/* Exactly `digits' digits at *at, as a number. */
static bool
take_number(const char **at, unsigned digits, int *number)
{
	int value = 0;

	for (unsigned i = 0; i < digits; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		value = 10 * value + (**at - '0');
	}
	*number = value;
	return true;
}

static bool
take(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* *extended: the form with hyphens, hence with colons. */
static bool
take_date(const char **at, struct tm *tm, bool *extended)
{
	if (!take_number(at, 4, &tm->tm_year))
		return false;
	*extended = take(at, '-');
	if (!take_number(at, 2, &tm->tm_mon) ||
	    (*extended && !take(at, '-')) ||
	    !take_number(at, 2, &tm->tm_mday))
		return false;
	return true;
}

/* Up to nine digits behind the point. */
static bool
take_fraction(const char **at, int64_t *ns)
{
	int64_t unit = (int64_t)NS_PER_S;

	*ns = 0;
	if (!take(at, '.') && !take(at, ','))
		return true;
	do {
		if (**at < '0' || **at > '9')
			return false;
		unit /= 10;
		*ns += unit * (**at - '0');
		(*at)++;
	} while (**at >= '0' && **at <= '9' && unit > 1);
	return true;
}

/* HH, HH:MM or HH:MM:SS with a fraction. */
static bool
take_time(const char **at, struct tm *tm, bool extended, int64_t *ns)
{
	const char *seconds;

	if (!take_number(at, 2, &tm->tm_hour))
		return false;
	if (extended ? !take(at, ':') : **at < '0' || **at > '9')
		return true;
	if (!take_number(at, 2, &tm->tm_min))
		return false;
	seconds = *at;
	if (extended && !take(&seconds, ':'))
		return true;
	if (*seconds < '0' || *seconds > '9')
		return true;
	*at = seconds;
	return take_number(at, 2, &tm->tm_sec) && take_fraction(at, ns);
}

/* Z, +HH, +HH:MM or +HHMM; nothing is Z. */
static bool
take_zone(const char **at, int64_t *offset_s)
{
	const int sign = **at == '-' ? -1 : 1;
	int hours, minutes = 0;

	*offset_s = 0;
	if (take(at, 'Z') || **at == '\0')
		return true;
	if (!take(at, '+') && !take(at, '-'))
		return false;
	if (!take_number(at, 2, &hours))
		return false;
	if (**at != '\0') {
		take(at, ':');
		if (!take_number(at, 2, &minutes))
			return false;
	}
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return hours < 24 && minutes < 60;
}

/* Whether there is such a day and such a time (timegm() takes any). */
static bool
exists(const struct tm *tm, int64_t seconds)
{
	const time_t time = (time_t)seconds;
	struct tm again;

	gmtime_r(&time, &again);
	return again.tm_mday == tm->tm_mday && again.tm_mon == tm->tm_mon &&
	    again.tm_hour == tm->tm_hour && again.tm_min == tm->tm_min &&
	    again.tm_sec == tm->tm_sec;
}

bool
when_parse(const char *text, int64_t *ns)
{
	struct tm tm = {0}, calendar;
	int64_t fraction = 0, offset_s = 0, seconds;
	bool extended;

	if (!take_date(&text, &tm, &extended))
		return false;
	if (*text != '\0') {
		if (!take(&text, 'T') && !take(&text, ' '))
			return false;
		if (!take_time(&text, &tm, extended, &fraction) ||
		    !take_zone(&text, &offset_s) || *text != '\0')
			return false;
	}
	if (tm.tm_year < 1970 || tm.tm_year > YEAR_MAX)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	calendar = tm;
	seconds = timegm(&calendar);
	if (!exists(&tm, seconds) || seconds < offset_s)
		return false;
	*ns = (seconds - offset_s) * (int64_t)NS_PER_S + fraction;
	return true;
}
