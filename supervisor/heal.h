/* SPDX-License-Identifier: ISC */
/*
 * Keeps the sockets of all channels fit for the network as it is: looks at
 * them when the kernel says that something has changed, and now and then
 * without being told.  Supervisor only.
 */
#ifndef MCRELAY_HEAL_H
#define MCRELAY_HEAL_H

#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/netwatch.h"

struct supervisor;

struct heal {
	struct supervisor	*supervisor;
	struct netwatch		 netwatch;
	bool			 pending;	/* something is not as it
						 * should be */
	unsigned		 seconds;	/* since the last look */
};

void	heal_start(struct heal *heal, struct supervisor *supervisor)
	    ATTR_NONNULL;
void	heal_stop(struct heal *heal) ATTR_NONNULL;
/* Once a second. */
void	heal_second(struct heal *heal) ATTR_NONNULL;

#endif /* MCRELAY_HEAL_H */
