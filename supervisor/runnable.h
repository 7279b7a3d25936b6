/* SPDX-License-Identifier: ISC */
/*
 * Whether those whom the supervisor starts programs as can execute these: a
 * program that was built below root's home cannot be reached by another user.
 * One that cannot is waited for, not tried in vain.  Supervisor only.
 */
#ifndef MCRELAY_RUNNABLE_H
#define MCRELAY_RUNNABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"
#include "supervisor/privdrop.h"

struct channel;
struct child;
struct conf_problems;
struct supervisor;

/* Asks the kernel as that user; `why' for people. */
bool	runnable(const struct supervisor *supervisor, const char *program,
	    const struct privdrop *user, char *why, size_t size) ATTR_NONNULL;

/* At the start, once for all: a warning, or an error for who could still stay
 * as he is. */
void	runnable_check(struct supervisor *supervisor,
	    struct conf_problems *problems, bool error) ATTR_NONNULL;

/* Notes in channel->program what keeps its worker from being started. */
bool	runnable_worker(struct channel *channel) ATTR_NONNULL;
/* Holds another child that cannot be started. */
bool	runnable_child(struct supervisor *supervisor, struct child *child,
	    const char *program, const struct privdrop *user) ATTR_NONNULL;
/* Starts those that could not be, when that is mended. */
void	runnable_second(struct supervisor *supervisor) ATTR_NONNULL;

#endif /* MCRELAY_RUNNABLE_H */
