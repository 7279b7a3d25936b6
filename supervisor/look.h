/* SPDX-License-Identifier: ISC */
/*
 * Whether a path still leads to a directory that is open, found out by a
 * process of its own: a file server that does not answer holds up that one
 * only.  Supervisor only.
 */
#ifndef MCRELAY_LOOK_H
#define MCRELAY_LOOK_H

#include <sys/types.h>
#include <ev.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/dirs.h"

/* How long it may take, in seconds; then nothing is known. */
#define LOOK_S		10U

struct look {
	ev_child	 reaper;
	pid_t		 pid;		/* 0: none is under way */
	struct dirs_id	 id;		/* what was open then */
	/* What is open is not where the path leads, or there is nothing, or a
	 * mount point is none.  Not called when that could not be told. */
	void		(*elsewhere)(void *owner);
	void		*owner;
};

/* Before anything else; `owner' and elsewhere() are set already. */
void	look_init(struct look *look) ATTR_NONNULL;
/* Nothing happens while one is under way, or when there is no process to be
 * had.  `mount' is to be a mount point, or NULL. */
void	look_start(struct look *look, struct ev_loop *loop, const char *path,
	    const char *mount, int fd);
/* Nobody wants to know any more. */
void	look_stop(struct look *look, struct ev_loop *loop) ATTR_NONNULL;

/* The question itself, which may take for ever: whether `path' leads to `id'.
 * errno as of dirs_is_at(). */
bool	look_here(const char *path, const char *mount,
	    const struct dirs_id *id);
bool	look_is_mount_point(const char *path) ATTR_NONNULL;

#endif /* MCRELAY_LOOK_H */
