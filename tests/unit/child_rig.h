/* SPDX-License-Identifier: ISC */
/*
 * What the tests of a supervised child share: a real process that follows a
 * script, in the real event loop.
 */
#ifndef MCRELAY_CHILD_RIG_H
#define MCRELAY_CHILD_RIG_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"
#include "supervisor/child.h"

#define DEADLINE_NS	(20 * NS_PER_S)

enum child_script {
	SAY_READY,	/* then wait for TERM, MESSAGE_STOP or the end */
	EXIT_YOUNG,	/* status 3 */
	EXIT_CONFIG,	/* status 78 */
	SAY_RUBBISH,	/* then wait */
	TALK,		/* say ready and much more, then wait */
	DIE_DRAINING,	/* say ready; status 4 instead of storing */
	HANG,		/* say ready, then ignore everything but KILL */
	CANNOT_START,
};

struct child_rig {
	struct child	child;
	enum child_script	script;
	pid_t		last_pid;
	unsigned	ended;
	unsigned	asked;		/* spawns, also those that failed */
	unsigned	ended_again;	/* with only the rest to follow */
	bool		drained;
	unsigned	heard;
	uint64_t	heard_ns[2];	/* CLOCK_MONOTONIC */
};

/* The child's; each test begins with neither `drained' nor `message'. */
extern struct child_ops	child_rig_ops;

/* For `drained': what the rig's member says. */
bool	child_rig_drained(void *owner);
/* For `message': what comes third should not have been sent. */
enum child_said	child_rig_heard(void *owner, const struct message *message);

/* Set-up and tear-down of a test; its state is a struct child_rig. */
int	child_rig_setup(void **state);
int	child_rig_teardown(void **state);
/* Starts a child with that script. */
void	child_rig_begin(struct child_rig *f, enum child_script script);
/* What the child's timer is set to is over. */
void	child_rig_hurry(struct child_rig *f);
/* Runs the loop until the child is in that state. */
void	child_rig_wait(struct child_rig *f, enum child_state state);

#endif /* MCRELAY_CHILD_RIG_H */
