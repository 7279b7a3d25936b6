/* SPDX-License-Identifier: ISC */
/*
 * Whether a path still leads to a directory that is open, found out by a
 * process of its own: a file server that does not answer holds up that one
 * only.  Supervisor only.
 */
#ifndef MCRELAY_PEEK_H
#define MCRELAY_PEEK_H

#include <sys/types.h>
#include <ev.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/dirs.h"

/* How long it may take, in seconds; then nothing is known. */
#define PEEK_S		10U

struct peek {
	ev_child	 reaper;
	pid_t		 pid;		/* 0: none is under way */
	struct dirs_id	 id;		/* what was open then */
	/* What is open is not where the path leads, or there is nothing, or a
	 * mount point is none.  Not called when that could not be told. */
	void		(*elsewhere)(void *owner);
	void		*owner;
};

/* Before anything else; `owner' and elsewhere() are set already. */
void	peek_init(struct peek *peek) ATTR_NONNULL;
/* Nothing happens while one is under way, or when there is no process to be
 * had.  `mount' is to be a mount point, or NULL. */
void	peek_start(struct peek *peek, struct ev_loop *loop, const char *path,
	    const char *mount, int fd);
/* Nobody wants to know any more. */
void	peek_stop(struct peek *peek, struct ev_loop *loop) ATTR_NONNULL;

/* The question itself, which may take for ever: whether `path' leads to `id'.
 * errno as of dirs_is_at(). */
bool	peek_here(const char *path, const char *mount,
	    const struct dirs_id *id);
bool	peek_is_mount_point(const char *path) ATTR_NONNULL;

#endif /* MCRELAY_PEEK_H */
