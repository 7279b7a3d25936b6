/* SPDX-License-Identifier: ISC */
/*
 * What decimators show their streams by (common/live.h).  Supervisor only.
 * There is one pair for each who looks, as long as he is wanted, whatever
 * becomes of his process.
 */
#ifndef MCRELAY_SUPERVISOR_LIVE_H
#define MCRELAY_SUPERVISOR_LIVE_H

#include <stdbool.h>

#include "common/compiler.h"

struct live_pair {
	int	out;		/* the decimators'; -1: there is none */
	int	in;
};

/* Makes it if there is none; false with errno.  Decimators have yet to be told
 * (decimators_live()). */
bool	live_pair_open(struct live_pair *pair) ATTR_NONNULL;
/* False: there was none. */
bool	live_pair_close(struct live_pair *pair) ATTR_NONNULL;

#endif /* MCRELAY_SUPERVISOR_LIVE_H */
