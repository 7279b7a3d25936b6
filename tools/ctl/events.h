/* SPDX-License-Identifier: ISC */
/*
 * Following what happens.  mcrelayctl only.
 */
#ifndef MCRELAY_CTL_EVENTS_H
#define MCRELAY_CTL_EVENTS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/compiler.h"

/*
 * Sends `request' to the daemon behind `path' and prints a line for each event
 * until there have been `count' (0: for ever), nobody reads them, or mcrelayd
 * ends.  Goes on where it was when mcrelayd is upgraded.  Returns the exit
 * status: 0, or 1 with a log line when it is mcrelayd that ends it.
 */
int	events_run(const char *path, json_t *request, bool json,
	    unsigned count) ATTR_NONNULL;

#endif /* MCRELAY_CTL_EVENTS_H */
