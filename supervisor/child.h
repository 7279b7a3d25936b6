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
 * WAITING is every child that is wanted, but held: its owner lacks what it
 * needs.  It is started when that is there, and nothing is counted.
 *
 * STOPPING is every child that was asked to end and has not been reaped yet;
 * `wanted' says whether a successor follows.  A successor is never started
 * before its predecessor has been reaped.
 *
 * There are two ways to ask.  TERM leaves to a successor what it can take
 * over; MESSAGE_STOP means that there will be none, or that it will begin
 * anew: store everything first.  One that dies over the latter is followed
 * by a successor that is asked the same, before anything else follows: so
 * what was to be stored is, as long as somebody can.
 *
 * A process that hangs, as its owner finds, is made to end by ABRT, which
 * leaves last words, and by KILL soon after.
 */
#ifndef MCRELAY_CHILD_H
#define MCRELAY_CHILD_H

#include <sys/types.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/backoff.h"
#include "supervisor/voice.h"

struct message;

/* Time to say READY, then SIGKILL. */
#define CHILD_START_NS	(10 * NS_PER_S)
/* Time to end when asked to, then SIGKILL. */
#define CHILD_STOP_NS	(10 * NS_PER_S)
/* Time to die of ABRT, then SIGKILL: it has been away for long already. */
#define CHILD_ABORT_NS	(2 * NS_PER_S)
/* Time to die of KILL, then it waits for something that does not answer. */
#define CHILD_STUCK_NS	(2 * NS_PER_S)
/* How late we may notice that one of these is over: then it was not the child
 * alone that did not get on. */
#define CHILD_LATE_NS	(1 * NS_PER_S)
/* After news. */
#define CHILD_DEAF_NS	(500 * NS_PER_MS)
/* Processes in a row that may die over storing everything. */
#define CHILD_DRAINS_MAX	3U

enum child_state {
	CHILD_STOPPED,
	CHILD_STARTING,
	CHILD_RUNNING,
	CHILD_STOPPING,
	CHILD_BACKOFF,
	CHILD_FAILED,
	CHILD_WAITING,
};

/* What an owner makes of a message. */
enum child_said {
	CHILD_SAID_NONSENSE,
	CHILD_SAID_NEWS,
	CHILD_SAID_ANSWER,	/* the owner has asked: the next may follow */
};

/* How a process ended. */
struct child_obituary {
	pid_t		pid;
	const char	*how;		/* "exited with status 3" */
	const char	*words;		/* its last; may hold any bytes */
	bool		asked;		/* to end, and not because it hung */
	bool		hung;
	uint64_t	up_ns;
};

/* What the owner does. */
struct child_ops {
	/* Starts the process with `messages' as its descriptor 3 and this
	 * standard error and returns its pid, or -1 after having logged why
	 * not, or having held the child. */
	pid_t	(*spawn)(void *owner, int messages, int stderr_fd);
	/* It has been reaped.  child->drain_only says whether another follows
	 * only to store the rest; nothing else is decided. */
	void	(*ended)(void *owner);
	/* How it ended, before ended() is called.  NULL: of no interest. */
	void	(*died)(void *owner, const struct child_obituary *obituary);
	/* The state is another one now.  May not call child_*(). */
	void	(*changed)(void *owner);
	/* Its last words for the obituary: fills `text', may leave it empty.
	 * NULL: it leaves none. */
	void	(*last_words)(void *owner, char *text, size_t size);
	/* Whether a process that is not the child's alone gets on with what
	 * comes before it: it is not late then.  NULL: there is none. */
	bool	(*gets_on)(void *owner);
	/* Whether the process that was sent MESSAGE_STOP had stored everything
	 * before it ended.  NULL: the process does not know MESSAGE_STOP. */
	bool	(*drained)(void *owner);
	/* It has sent this after READY; may hold anything.  May not call
	 * child_*() but to send.  NULL: it has nothing to say. */
	enum child_said	(*message)(void *owner,
			    const struct message *message);
};

/* How processes ended that should not have. */
struct child_deaths {
	unsigned	exited;		/* with a status other than 0 */
	unsigned	signalled;
	unsigned	hung;		/* and had to be killed */
};

/*
 * A child as another supervisor, or another image of this process, takes it
 * over.  With pid 0 there is no process.
 */
struct child_image {
	pid_t		pid;
	int		messages;
	int		voice;		/* -1: none */
	bool		wanted;
	bool		ending;		/* was asked to end */
	bool		draining;
	uint64_t	spawned_ns;
	uint64_t	ready_ns;
	unsigned	spawns;
	unsigned	failures;	/* of the back-off */
	bool		drain_only;	/* is there only to store the rest */
	bool		hosted;
	unsigned	drains;
	uint32_t	sandbox;
	struct child_deaths deaths;
	char		last_exit[128];
};

struct child {
	struct ev_loop		*loop;	/* the default one */
	const struct child_ops	*ops;
	void			*owner;
	char			 label[96];	/* for log lines */
	enum child_state	 state;
	bool			 wanted;
	bool			 held;	/* the owner's: start none */
	/* The owner's: of a version with other messages, of which it knows
	 * only their end. */
	bool			 mute;
	/* The owner's, for the process that it has just started: it is not
	 * the child's alone.  It is asked to end by messages, and says when
	 * its part of that has ended. */
	bool			 hosted;
	bool			 draining;	/* was sent MESSAGE_STOP */
	bool			 drain_only;	/* only to store the rest */
	unsigned		 drains;	/* in a row that failed */
	bool			 hung;		/* child_abort() */
	bool			 overdue;	/* had to be killed */
	bool			 stuck;		/* and has not ended for
						 * CHILD_STUCK_NS */
	bool			 settled;	/* the first start is decided */
	pid_t			 pid;		/* 0: none */
	int			 messages;	/* our end; -1: none */
	struct voice		 voice;
	uint64_t		 spawned_ns;	/* CLOCK_MONOTONIC */
	uint64_t		 ready_ns;	/* 0: not yet */
	uint32_t		 sandbox;	/* enum sandbox_part, since
						 * then */
	/* When the last one was reaped that is to have a successor; 0: there
	 * is one.  And how long it took until that one was ready, the last
	 * time: what is waited for included. */
	uint64_t		 gone_ns;
	uint64_t		 away_ns;
	unsigned		 spawns;
	struct backoff		 backoff;
	char			 last_exit[128];	/* "": none yet */
	struct child_deaths	 deaths;
	ev_child		 reaper;
	ev_io			 io;
	ev_timer		 timer;	/* start, stop, back-off, deaf */
	uint64_t		 time_ns;	/* that it was set to */
	uint64_t		 due_ns;	/* CLOCK_MONOTONIC */
};

/* `label' is what it is to the supervisor's log lines, `name' how its own
 * begin. */
void	child_init(struct child *child, struct ev_loop *loop,
	    const struct child_ops *ops, void *owner, const char *label,
	    const char *name) ATTR_NONNULL;
/*
 * Goes on with a child of this process (the same, before an execve) in the
 * place of a new one; takes its socket over.  Without a process only
 * its history goes on.  Deadlines begin anew.
 */
void	child_adopt(struct child *child, const struct child_image *image)
	    ATTR_NONNULL;
void	child_describe(const struct child *child, struct child_image *image)
	    ATTR_NONNULL;
/* Starts it, from any state; nothing happens when it runs already. */
void	child_start(struct child *child) ATTR_NONNULL;
/* Asks it to store everything and end; STOPPED when reaped. */
void	child_stop(struct child *child) ATTR_NONNULL;
/* STOPPED though it has not ended: only when we do.  It must be stuck. */
void	child_abandon(struct child *child) ATTR_NONNULL;
/* Asks it to end, `drain': after having stored everything, and starts a
 * successor; at once when there is nothing to end. */
void	child_restart(struct child *child, bool drain) ATTR_NONNULL;
/* There is no process, but what the last one had to store may be stored by
 * another: starts one for that; what is wanted follows. */
void	child_drain(struct child *child) ATTR_NONNULL;
/* It is running, but hangs: ends it; a successor follows at once. */
void	child_abort(struct child *child) ATTR_NONNULL;
/* Sends a message, if there is a process.  One that does not read its socket
 * misses it. */
void	child_send(const struct child *child,
	    const struct message *message) ATTR_NONNULL;
/* Sends a signal, if there is a process; in the place of TERM and HUP a message
 * to one that others share. */
void	child_signal(const struct child *child, int sig) ATTR_NONNULL;
/* There is no process: stops all watchers. */
void	child_done(struct child *child) ATTR_NONNULL;

/* How often a successor has followed. */
unsigned	child_restarts(const struct child *child) ATTR_NONNULL;

/* "exited with status 3" and the like, for waitpid's `status'. */
void	child_describe_exit(int status, char *text, size_t size) ATTR_NONNULL;

#endif /* MCRELAY_CHILD_H */
