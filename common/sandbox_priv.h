/* SPDX-License-Identifier: ISC */
/*
 * The parts of the sandbox that have a file of their own; for sandbox.c.
 */
#ifndef MCRELAY_SANDBOX_PRIV_H
#define MCRELAY_SANDBOX_PRIV_H

#include <stdbool.h>

#include "common/compiler.h"

struct sandbox;

/* False, after having said why: what is missing has not been given up. */
bool	sandbox_privileges(void);
bool	sandbox_memory(void);

/* Only what is beneath its directory can be opened from now on, and, but by a
 * worker, only to be read; of a forwarder, what is readable, and it may connect
 * by TCP.  Needs no_new_privs.  False: the kernel has not got it, or
 * refuses. */
bool	sandbox_landlock(const struct sandbox *sandbox) ATTR_NONNULL;

/* Only the calls of sandbox->program from now on; any other fails with EPERM
 * and is logged by the kernel, or with `kill' ends the process by SIGSYS.
 * False: not in this build, or the kernel refuses. */
bool	sandbox_seccomp(const struct sandbox *sandbox, bool kill)
	    ATTR_NONNULL;

/* The filter of it, as the kernel takes it, to a file: for tests. */
bool	sandbox_seccomp_write(const struct sandbox *sandbox, bool kill, int fd)
	    ATTR_NONNULL;

#endif /* MCRELAY_SANDBOX_PRIV_H */
