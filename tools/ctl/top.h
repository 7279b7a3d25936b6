/* SPDX-License-Identifier: ISC */
/*
 * The channels as they are now, once a second.  mcrelayctl only.
 */
#ifndef MCRELAY_CTL_TOP_H
#define MCRELAY_CTL_TOP_H

#include <jansson.h>

#include "common/compiler.h"

/*
 * Prints `count' tables, 0: until it is told to end, one over the other on a
 * terminal.  `request' asks the daemon behind `socket' for its status, `first'
 * is its answer.  Returns the exit status.
 */
int	top_run(const char *socket, const json_t *request, json_t *first,
	    unsigned count) ATTR_NONNULL;

#endif /* MCRELAY_CTL_TOP_H */
