/* SPDX-License-Identifier: ISC */
/*
 * A child process that is kept running.  Supervisor only.
 *
 *	            spawned          READY
 *	  STOPPED ----------> STARTING ----> RUNNING
 *	     ^                  |  ^ |          |
 *	     | reaped,          |  | | died     | died, or asked to
 *	     | not wanted       |  | v          v end and reaped
 *	  STOPPING <------------+  BACKOFF <----+----> STARTING
 *	                           (young)      |      (healthy)
 *	                                        v
 *	                                      FAILED (exit status 78)
 *
 * STOPPING is every child that was asked to end and has not been reaped yet;
 * `wanted' says whether a successor follows.  A successor is never started
 * before its predecessor has been reaped.
 *
 * There are two ways to ask.  TERM leaves to a successor what it can take
 * over; CONTROL_STOP means that there will be none, or that it will begin
 * anew: store everything first.
 */
#ifndef MCRELAY_CHILD_H
#define MCRELAY_CHILD_H

#include <sys/types.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/backoff.h"

/* Time to say READY, then SIGKILL. */
#define CHILD_START_NS	(10 * NS_PER_S)
/* Time to end when asked to, then SIGKILL. */
#define CHILD_STOP_NS	(10 * NS_PER_S)

enum child_state {
	CHILD_STOPPED,
	CHILD_STARTING,
	CHILD_RUNNING,
	CHILD_STOPPING,
	CHILD_BACKOFF,
	CHILD_FAILED,
};

/* What the owner does. */
struct child_ops {
	/* Starts the process with `control' as its descriptor 3 and returns
	 * its pid, or -1 after having logged why not. */
	pid_t	(*spawn)(void *owner, int control);
	/* It has been reaped.  Called before anything else is decided. */
	void	(*ended)(void *owner);
	/* The state is another one now.  May not call child_*(). */
	void	(*changed)(void *owner);
	/* Its last words for the obituary: fills `text', may leave it empty. */
	void	(*last_words)(void *owner, char *text, size_t size);
	/* Whether the process knows CONTROL_STOP. */
	bool	drains;
};

struct child {
	struct ev_loop		*loop;	/* the default one */
	const struct child_ops	*ops;
	void			*owner;
	char			 label[96];	/* for log lines */
	enum child_state	 state;
	bool			 wanted;
	bool			 draining;	/* was sent CONTROL_STOP */
	bool			 settled;	/* the first start is decided */
	pid_t			 pid;		/* 0: none */
	int			 control;	/* our end; -1: none */
	uint64_t		 spawned_ns;	/* CLOCK_MONOTONIC */
	uint64_t		 ready_ns;	/* 0: not yet */
	unsigned		 spawns;
	struct backoff		 backoff;
	char			 last_exit[128];	/* "": none yet */
	ev_child		 reaper;
	ev_io			 io;
	ev_timer		 timer;	/* start, stop or back-off */
};

void	child_init(struct child *child, struct ev_loop *loop,
	    const struct child_ops *ops, void *owner, const char *label)
	    ATTR_NONNULL;
/* Starts it, from any state; nothing happens when it runs already. */
void	child_start(struct child *child) ATTR_NONNULL;
/* Asks it to store everything and end; STOPPED when reaped. */
void	child_stop(struct child *child) ATTR_NONNULL;
/* Asks it to end, `drain': after having stored everything, and starts a
 * successor; at once when there is nothing to end. */
void	child_restart(struct child *child, bool drain) ATTR_NONNULL;
/* Sends a signal, if there is a process. */
void	child_signal(const struct child *child, int sig) ATTR_NONNULL;
/* There is no process: stops all watchers. */
void	child_done(struct child *child) ATTR_NONNULL;

/* How often a successor has followed. */
unsigned	child_restarts(const struct child *child) ATTR_NONNULL;

/* "exited with status 3" and the like, for waitpid's `status'. */
void	child_describe_exit(int status, char *text, size_t size) ATTR_NONNULL;

#endif /* MCRELAY_CHILD_H */
