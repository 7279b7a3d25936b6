/* SPDX-License-Identifier: ISC */
/*
 * Hears from the kernel that the network has changed: interfaces, addresses,
 * routes and rules, of IPv4 and IPv6; or neighbours.  Supervisor only.
 *
 * It does not say what has changed: news come in bursts, may be lost, and are
 * old when they are read.  Its owner compares what is with what should be.
 */
#ifndef MCRELAY_NETWATCH_H
#define MCRELAY_NETWATCH_H

#include <sys/types.h>
#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"

/* From the first news of a burst until its owner is told, in seconds. */
#define NETWATCH_BURST	0.05

struct netwatch {
	struct ev_loop	*loop;
	ev_io		 io;
	ev_timer	 burst;
	double		 pause;		/* s: no sooner than that again */
	void		*owner;
	void		(*changed)(void *owner);
	/* recv(2), but in tests. */
	ssize_t		(*receive)(int fd, void *buffer, size_t size,
			    int flags);
};

/* A socket that the kernel sends its news to, those of neighbours alone or all
 * others; -1 with errno. */
int	netwatch_open(bool neighbours) ATTR_UNUSED_RESULT;
/* Begins with `fd', which it takes over; all but io, burst and loop has been
 * set.  Its owner is told of a change at once: what there was before. */
void	netwatch_start(struct netwatch *watch, struct ev_loop *loop, int fd)
	    ATTR_NONNULL;
/* Also for one that never began, of zeros. */
void	netwatch_stop(struct netwatch *watch) ATTR_NONNULL;
bool	netwatch_active(const struct netwatch *watch) ATTR_NONNULL;

#endif /* MCRELAY_NETWATCH_H */
