/* SPDX-License-Identifier: ISC */
/*
 * The parts of the sandbox that have a file of their own; for sandbox.c.
 */
#ifndef MCRELAY_SANDBOX_PRIV_H
#define MCRELAY_SANDBOX_PRIV_H

#include <stdbool.h>

/* Only what is beneath `directory' can be opened from now on; -1: nothing.
 * Needs no_new_privs.  False: the kernel has not got it, or refuses. */
bool	sandbox_landlock(int directory);

#endif /* MCRELAY_SANDBOX_PRIV_H */
