/* SPDX-License-Identifier: ISC */
/*
 * What command lines have in common.  Tools.
 */
#include <bsd/stdlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tools/common/options.h"

/* Beyond this a time in nanoseconds and ten times its number overflow. */
#define TIME_MAX_S	(100LL * 366 * 86400)

bool
options_fail(char error[static OPTIONS_ERROR_SIZE], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, OPTIONS_ERROR_SIZE, fmt, ap);
	va_end(ap);
	return false;
}

bool
options_number(char error[static OPTIONS_ERROR_SIZE], int option,
    const char *text, long long min, long long max, uint64_t *number)
{
	const char *why;

	*number = (uint64_t)strtonum(text, min, max, &why);
	if (why == NULL)
		return true;
	return options_fail(error, "-%c %s: %s (%lld to %lld)", option, text,
	    why, min, max);
}

bool
options_time(char error[static OPTIONS_ERROR_SIZE], int option,
    const char *text, uint64_t *ns)
{
	static const struct {
		const char	*name;
		double		 seconds;
	} units[] = {
		{ "", 1 }, { "ms", 1e-3 }, { "s", 1 }, { "m", 60 },
		{ "h", 3600 },
	};
	char *end;
	double value = strtod(text, &end);

	for (size_t i = 0; end != text && i < NITEMS(units); i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		value *= units[i].seconds;
		if (!(value >= 1e-3 && value <= (double)TIME_MAX_S))
			return options_fail(error, "-%c %s: out of "
			    "range", option, text);
		*ns = (uint64_t)(value * 1e9);
		return true;
	}
	return options_fail(error, "-%c %s: not a time (such as 10s or "
	    "500ms)", option, text);
}

bool
options_unknown(char error[static OPTIONS_ERROR_SIZE], int option)
{
	if (optopt < '!' || optopt > '~')
		return options_fail(error, option == ':' ? "--io needs an "
		    "argument" : "no such option");
	return options_fail(error, option == ':' ? "-%c needs an argument" :
	    "-%c is not an option", optopt);
}

static bool
parse_ttl(char error[static OPTIONS_ERROR_SIZE], const char *text, int *ttl)
{
	uint64_t number;

	if (!options_number(error, 'T', text, 0, 255, &number))
		return false;
	*ttl = (int)number;
	return true;
}

bool
options_shared(char error[static OPTIONS_ERROR_SIZE], int option,
    const char *argument, const struct options_shared *shared)
{
	switch (option) {
	case 'i':
		if (endpoint_set_interface(shared->endpoint, argument))
			return true;
		return options_fail(error, "-i %s: no such interface",
		    argument);
	case 'j':
		*shared->json = true;
		return true;
	case 'q':
		*shared->quiet = true;
		return true;
	case 'T':
		return parse_ttl(error, argument, &shared->endpoint->ttl);
	default:
		return options_unknown(error, option);
	}
}

bool
options_address(char error[static OPTIONS_ERROR_SIZE], const char *text,
    struct sockaddr_storage *address)
{
	if (endpoint_parse(text, address))
		return true;
	return options_fail(error, "%s: not ADDRESS:PORT (IPv6 in brackets)",
	    text);
}
