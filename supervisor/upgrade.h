/* SPDX-License-Identifier: ISC */
/*
 * Upgrade: this process executes the program at the path that it was started
 * from.  Its pid, its children, sockets and segments stay.  Supervisor only.
 *
 *	         asked                 exit 0            calm
 *	  IDLE --------> CHECKING ---------------> WAITING ---> DUE
 *	   ^                | not 0, killed, 10 s     |  30 s    | execve
 *	 FAILED <-----------+-------------------------+          v
 *	   ^                                        |        the new image:
 *	   +---- execve returns --------------------+            DONE
 *
 * CHECKING: the new program, run as a child with all that it would inherit,
 * says whether it can take it.  WAITING: until no channel is between two
 * configurations and no client but the one that asked is being served.  The
 * execve is the point of no return; a new image that fails after it ends
 * without having touched a worker, and these finish what they have.
 *
 * The new image then restarts the workers, one after the other, so that they
 * are of its version, too.
 */
#ifndef MCRELAY_UPGRADE_H
#define MCRELAY_UPGRADE_H

#include <sys/stat.h>
#include <sys/types.h>
#include <ev.h>
#include <stdbool.h>

#include "common/compiler.h"

struct supervisor;

enum upgrade_step {
	UPGRADE_IDLE,
	UPGRADE_CHECKING,
	UPGRADE_WAITING,
	UPGRADE_DUE,
	UPGRADE_FAILED,		/* the same as IDLE, with a reason */
	UPGRADE_DONE,		/* IDLE, in an image that took over */
};

struct upgrade {
	struct supervisor	*supervisor;
	enum upgrade_step	 step;
	char			 error[512];	/* FAILED: why */
	pid_t			 checker;	/* 0: none */
	bool			 timed_out;	/* it was killed */
	int			 output;	/* its standard error */
	struct stat		 conf;		/* what it has checked */
	bool			 reload;	/* SIGHUP came meanwhile */
	bool			 rolling;
	ev_child		 reaper;
	ev_timer		 deadline;
};

void	upgrade_init(struct upgrade *upgrade, struct supervisor *supervisor)
	    ATTR_NONNULL;

/* Begins.  -1: it does not, upgrade->error says why. */
int	upgrade_begin(struct upgrade *upgrade) ATTR_NONNULL;
/* It has begun and has neither failed nor come to its end. */
bool	upgrade_busy(const struct upgrade *upgrade) ATTR_NONNULL;
/* Gives up, because the daemon ends. */
void	upgrade_cancel(struct upgrade *upgrade) ATTR_NONNULL;

/* Something has changed: goes on if it can, DUE: the loop is left. */
void	upgrade_turn(struct upgrade *upgrade) ATTR_NONNULL;
/* Executes the new program; returns when that has failed, or when it turns
 * out that it must wait. */
void	upgrade_execute(struct upgrade *upgrade) ATTR_NONNULL;

/* In the new image, once it is up: the children are to follow. */
void	upgrade_taken_over(struct upgrade *upgrade) ATTR_NONNULL;

#endif /* MCRELAY_UPGRADE_H */
