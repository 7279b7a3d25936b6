/* SPDX-License-Identifier: ISC */
/*
 * Reload: another configuration comes into force, all of it or nothing.
 * Supervisor only.
 */
#ifndef MCRELAY_RELOAD_H
#define MCRELAY_RELOAD_H

#include <stddef.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

struct supervisor;

/* Channels, by what happened to them. */
struct reload_summary {
	size_t	unchanged;
	size_t	changed;
	size_t	added;
	size_t	removed;
};

/*
 * Reads the file again.  0: it is in force (workers may still be on their
 * way).  -1: nothing has changed; `problems' say why.  Logs them, too.
 */
int	reload(struct supervisor *supervisor, struct conf_problems *problems,
	    struct reload_summary *summary) ATTR_NONNULL;

#endif /* MCRELAY_RELOAD_H */
