/* SPDX-License-Identifier: ISC */
/*
 * What command lines have in common.  Tools.
 */
#ifndef MCRELAY_TOOLS_OPTIONS_H
#define MCRELAY_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tools/common/endpoint.h"

/* Room for a message. */
#define OPTIONS_ERROR_SIZE	256

/* Writes what is wrong into `error'; always false. */
bool	options_fail(char error[static OPTIONS_ERROR_SIZE], const char *fmt,
	    ...) ATTR_PRINTF(2, 3);

/* The argument of `option', from 0 <= min to max; false with a message. */
bool	options_number(char error[static OPTIONS_ERROR_SIZE], int option,
	    const char *text, long long min, long long max, uint64_t *number)
	    ATTR_NONNULL;

/* A number with ms, s, m or h; without a unit, seconds.  At least 1 ms. */
bool	options_time(char error[static OPTIONS_ERROR_SIZE], int option,
	    const char *text, uint64_t *ns) ATTR_NONNULL;

/*
 * What those that send or receive datagrams have in common: -i interface, -j,
 * -q, -T ttl, as far as getopt() was told of them.  For any other option that
 * it gave, an error, as options_unknown().
 */
struct options_shared {
	struct endpoint	*endpoint;
	bool		*json;
	bool		*quiet;
};

/* The highest rate, per second. */
#define OPTIONS_RATE_MAX	1000000000LL

bool	options_shared(char error[static OPTIONS_ERROR_SIZE], int option,
	    const char *argument, const struct options_shared *shared);

/* After getopt() gave `:' or `?' (with opterr 0); always false. */
bool	options_unknown(char error[static OPTIONS_ERROR_SIZE], int option);

/* The operand ADDRESS:PORT. */
bool	options_address(char error[static OPTIONS_ERROR_SIZE],
	    const char *text, struct sockaddr_storage *address) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_OPTIONS_H */
