/* SPDX-License-Identifier: ISC */
/*
 * The run directory: mcrelayd.pid, which keeps a second instance away, and a
 * pid file for each worker.  What a crashed predecessor left there is no
 * obstacle.  Supervisor only.
 */
#ifndef MCRELAY_RUNDIR_H
#define MCRELAY_RUNDIR_H

#include <sys/types.h>
#include <sys/un.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

/* All that is made or removed there is named from `fd': once the directory
 * was found good, it is not looked for by its path again. */
struct rundir {
	char		*path;		/* for people */
	int		 fd;
	int		 lock;		/* mcrelayd.pid, flock()ed while we
					 * run; an upgrade hands it over */
	bool		 unclean;	/* a predecessor did not tidy up */
};

/* Makes and opens the directory, which must be as dirs_open_own() wants it,
 * and locks mcrelayd.pid, unless `lock' is the lock already (-1: it is not).
 * -1: reported. */
int	rundir_open(struct rundir *rundir, const char *path, int lock,
	    struct conf_problems *problems) ATTR_NONNULL;
/* Whether one could be opened. */
void	rundir_check(const char *path, struct conf_problems *problems)
	    ATTR_NONNULL;
/* Removes mcrelayd.pid.  Allowed after rundir_open() has failed. */
void	rundir_close(struct rundir *rundir) ATTR_NONNULL;

/* Where to bind or find a socket of that name; short. */
void	rundir_address(const struct rundir *rundir, const char *name,
	    struct sockaddr_un *address) ATTR_NONNULL;
/* It may be gone already; else what fails is logged. */
void	rundir_remove(const struct rundir *rundir, const char *name)
	    ATTR_NONNULL;

/* A channel may not have the supervisor's name. */
bool	rundir_name_taken(const char *channel) ATTR_NONNULL;
/* The channel's pid file, replaced as a whole; none if that fails. */
void	rundir_write_pid(const struct rundir *rundir, const char *channel,
	    pid_t pid) ATTR_NONNULL;
void	rundir_remove_pid(const struct rundir *rundir, const char *channel)
	    ATTR_NONNULL;

/* CHANNEL.paused, replaced as a whole, or removed when it is to be "".  -1
 * with errno: it is what it was. */
int	rundir_write_pause(const struct rundir *rundir, const char *channel,
	    const char *text) ATTR_NONNULL ATTR_UNUSED_RESULT;
/* "" when there is none; cut off when it is longer. */
void	rundir_read_pause(const struct rundir *rundir, const char *channel,
	    char *text, size_t size) ATTR_NONNULL;

#endif /* MCRELAY_RUNDIR_H */
