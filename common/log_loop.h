/* SPDX-License-Identifier: ISC */
/*
 * What waits for syslog is sent when there is room, although the process has
 * nothing more to say.  For programs with a libev loop.
 */
#ifndef MCRELAY_LOG_LOOP_H
#define MCRELAY_LOG_LOOP_H

#include <ev.h>

#include "common/compiler.h"

/* From now on, in `loop', as long as it runs; once in a process.  Looked at
 * before the loop sleeps, so lines of other threads may wait for its turn. */
void	log_loop_start(struct ev_loop *loop) ATTR_NONNULL;

#endif /* MCRELAY_LOG_LOOP_H */
