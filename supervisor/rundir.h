/* SPDX-License-Identifier: ISC */
/*
 * The run directory: mcrelayd.pid, which keeps a second instance away, and a
 * pid file for each worker.  What a crashed predecessor left there is no
 * obstacle.  Supervisor only.
 */
#ifndef MCRELAY_RUNDIR_H
#define MCRELAY_RUNDIR_H

#include <sys/types.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

struct pidfh;

struct rundir {
	char		*path;
	int		 fd;
	struct pidfh	*pidfile;	/* locked while we run... */
	int		 lock;		/* ...or as an older image did it */
	bool		 unclean;	/* a predecessor did not tidy up */
};

/* Makes and opens the directory and locks mcrelayd.pid, unless `lock' is
 * the lock already (-1: it is not).  -1: reported. */
int	rundir_open(struct rundir *rundir, const char *path, int lock,
	    struct conf_problems *problems) ATTR_NONNULL;
/* Removes mcrelayd.pid.  Allowed after rundir_open() has failed. */
void	rundir_close(struct rundir *rundir) ATTR_NONNULL;

/* The descriptor that holds the lock. */
int	rundir_lock(const struct rundir *rundir) ATTR_NONNULL;

/* A channel may not have the supervisor's name. */
bool	rundir_name_taken(const char *channel) ATTR_NONNULL;
/* The channel's pid file, replaced as a whole. */
void	rundir_write_pid(const struct rundir *rundir, const char *channel,
	    pid_t pid) ATTR_NONNULL;
void	rundir_remove_pid(const struct rundir *rundir, const char *channel)
	    ATTR_NONNULL;

#endif /* MCRELAY_RUNDIR_H */
