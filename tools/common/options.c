/* SPDX-License-Identifier: ISC */
/*
 * What command lines have in common.  Tools.
 */
#include <bsd/stdlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/common/options.h"

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
options_unknown(char error[static OPTIONS_ERROR_SIZE], int option)
{
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
