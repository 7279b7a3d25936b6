/* SPDX-License-Identifier: ISC */
/*
 * Workers that a crashed supervisor left behind: they notice, finish their
 * files and end.  Until they have, their successors must not start.
 * Supervisor only.
 */
#ifndef MCRELAY_ORPHANS_H
#define MCRELAY_ORPHANS_H

#include "common/compiler.h"
#include "supervisor/conf/conf.h"
#include "supervisor/rundir.h"

/*
 * Waits, for a bounded time, until no worker that a pid file in run_dir names
 * is left, and removes these files; reports those that stay and whose
 * channels are in the configuration.  Blocks: for the start only.
 */
void	orphans_wait(const struct conf *conf, const struct rundir *rundir,
	    struct conf_problems *problems) ATTR_NONNULL;

#endif /* MCRELAY_ORPHANS_H */
