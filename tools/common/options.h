/* SPDX-License-Identifier: ISC */
/*
 * What command lines have in common.  Tools.
 */
#ifndef MCRELAY_TOOLS_OPTIONS_H
#define MCRELAY_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

/* Room for a message. */
#define OPTIONS_ERROR_SIZE	256

/* Writes what is wrong into `error'; always false. */
bool	options_fail(char error[static OPTIONS_ERROR_SIZE], const char *fmt,
	    ...) ATTR_PRINTF(2, 3);

/* The argument of `option', from 0 <= min to max; false with a message. */
bool	options_number(char error[static OPTIONS_ERROR_SIZE], int option,
	    const char *text, long long min, long long max, uint64_t *number)
	    ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_OPTIONS_H */
