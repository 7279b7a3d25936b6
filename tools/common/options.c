/* SPDX-License-Identifier: ISC */
/*
 * What command lines have in common.  Tools.
 */
#include <bsd/stdlib.h>
#include <stdarg.h>
#include <stdio.h>

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
