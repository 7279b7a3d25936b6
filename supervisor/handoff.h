/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's state as the next image of the same process reads it: a
 * memory file with a JSON object.  Supervisor only.
 *
 * Descriptors are in there by number: they stay open across the execve.
 * What a version does not know it leaves out or passes over; HANDOFF_VERSION
 * is raised when an older image could misunderstand the rest.
 */
#ifndef MCRELAY_HANDOFF_H
#define MCRELAY_HANDOFF_H

#include <stddef.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"
#include "supervisor/inheritance.h"

struct supervisor;

#define HANDOFF_VERSION	1

struct handoff {
	int	 fd;		/* the memory file */
	int	*keep;		/* all descriptors that must survive, fd too */
	size_t	 kept;
};

/* `client' asked for it, or is -1.  0, or -1 with errno. */
int	handoff_write(struct handoff *handoff,
	    const struct supervisor *supervisor, int client) ATTR_NONNULL;
/* Sets or clears close-on-exec of all that must survive. */
void	handoff_keep(const struct handoff *handoff, bool keep) ATTR_NONNULL;
/* Closes the memory file. */
void	handoff_done(struct handoff *handoff) ATTR_NONNULL;

/* Reads it, takes over all descriptors in it.  NULL: *why says why. */
struct inheritance	*handoff_read(int fd, const char **why) ATTR_NONNULL;

/*
 * Whether a supervisor with this configuration could go on with what is
 * inherited.  Touches nothing of it.  Problems are reported.
 */
void	handoff_check(struct supervisor *supervisor, const struct conf *conf,
	    struct conf_problems *problems) ATTR_NONNULL;

#endif /* MCRELAY_HANDOFF_H */
