/* SPDX-License-Identifier: ISC */
/*
 * What the files of a child share.  Supervisor only, for child*.c.
 */
#ifndef MCRELAY_CHILD_PRIV_H
#define MCRELAY_CHILD_PRIV_H

#include "common/compiler.h"
#include "supervisor/child.h"

/* Its process has ended with waitpid's `status' at `now' (CLOCK_MONOTONIC, in
 * nanoseconds), or only its `part' of it: notes how, counts it, and logs it
 * with its last words. */
void	child_bury(struct child *child, int status, bool part, uint64_t now)
	    ATTR_NONNULL;

/* `timeout_ns' 0: the state has none. */
void	child_set_state(struct child *child, enum child_state state,
	    uint64_t timeout_ns) ATTR_NONNULL;
/* False: this child does not know MESSAGE_STOP, or its socket is full. */
bool	child_tell_stop(struct child *child) ATTR_NONNULL;
void	child_close_messages(struct child *child) ATTR_NONNULL;
/* What is watched while there is a process. */
void	child_watch(struct child *child) ATTR_NONNULL;

#endif /* MCRELAY_CHILD_PRIV_H */
