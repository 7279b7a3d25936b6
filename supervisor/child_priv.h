/* SPDX-License-Identifier: ISC */
/*
 * What the files of a child share.  Supervisor only, for child*.c.
 */
#ifndef MCRELAY_CHILD_PRIV_H
#define MCRELAY_CHILD_PRIV_H

#include "common/compiler.h"
#include "supervisor/child.h"

/* Its process has ended with waitpid's `status' at `now' (CLOCK_MONOTONIC, in
 * nanoseconds): notes how, counts it, and logs it with its last words. */
void	child_bury(struct child *child, int status, uint64_t now)
	    ATTR_NONNULL;

#endif /* MCRELAY_CHILD_PRIV_H */
