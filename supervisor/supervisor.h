/* SPDX-License-Identifier: ISC */
/*
 * The supervisor: one event loop that starts, watches and ends everything.
 */
#ifndef MCRELAY_SUPERVISOR_H
#define MCRELAY_SUPERVISOR_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/channel.h"
#include "supervisor/conf/conf.h"
#include "supervisor/heal.h"
#include "supervisor/images.h"
#include "supervisor/kernel_path.h"
#include "supervisor/xdp_path.h"
#include "supervisor/inheritance.h"
#include "supervisor/querier.h"
#include "supervisor/rundir.h"
#include "supervisor/shared.h"
#include "supervisor/spawn.h"
#include "supervisor/decimator.h"
#include "supervisor/fleet.h"
#include "supervisor/forwarder.h"
#include "supervisor/upgrade.h"
#include "supervisor/web.h"

struct control;
struct events;

enum supervisor_phase {
	PHASE_STARTING,		/* the shell may be waiting for us */
	PHASE_RUNNING,
	PHASE_STOPPING,
};

struct supervisor {
	/* From the command line. */
	const char		*file;		/* the configuration's */
	const char		*absolute_file;	/* the same */
	const char		*program;	/* our own, absolute */
	bool			 foreground;
	bool			 verbose;
	int			 start_pipe;	/* daemon.h; -1: none */

	struct ev_loop		*loop;
	enum supervisor_phase	 phase;
	struct conf		*conf;		/* in force */
	struct rundir		 rundir;
	struct spawn_settings	 spawn;
	struct channel_list	 channels;	/* in the file's order */
	struct channel_list	 leaving;	/* removed, worker still ends */
	struct shared_list	 shared;	/* workers */
	struct decimator		 decimator[DECIMATORS_MAX];
	/* So many of them have been in use; 0: not begun. */
	unsigned		 decimators;
	struct control		*control;
	struct web		 web;
	struct forwarder	 forwarder[FORWARDERS_MAX];
	struct fleet		 fleet;
	struct events		*events;
	struct heal		 heal;
	struct kernel_path	 kernel;
	struct xdp_path		 xdp;
	struct querier		 querier;
	struct upgrade		 upgrade;
	/* What there is to be taken over, while we start; else NULL.  What
	 * is left of it when we could not start is the caller's. */
	struct inheritance	*inheritance;
	struct images		 images;
	uint32_t		 next_number;
	unsigned		 seconds;	/* that it runs; wraps */
	unsigned		 mounts;	/* mounts_reading() */
	bool			 locking_warned;
	/* Told of programs that a user cannot execute; "": nothing. */
	char			 not_runnable[256];
	uint64_t		 given_up;	/* capabilities, by bit */
	bool			 spoils_runs;	/* this host: segmentation.h */
	bool			 taken_over;	/* from an older image */
	bool			 ended;
	bool			 incomplete;	/* not all is archived */
	uint64_t		 started_ns;	/* CLOCK_MONOTONIC */

	ev_signal		 signal[5];
	ev_timer		 second;
	ev_timer		 turn;
};

/*
 * Reads the configuration with what the command line adds to it.  NULL: there
 * were errors.
 */
struct conf	*supervisor_load(const struct supervisor *supervisor,
		    struct conf_problems *problems) ATTR_NONNULL;

/*
 * Runs with `conf', which it takes over, until it is told to end.  Returns
 * the exit status.
 */
int	supervisor_run(struct supervisor *supervisor, struct conf *conf)
	    ATTR_NONNULL;

/* An upgrade has failed when it was too late to go back: says so and ends
 * without touching a worker. */
_Noreturn void	supervisor_give_up(void);

/* Reads the configuration again, after an upgrade that is under way. */
void	supervisor_reload(struct supervisor *supervisor) ATTR_NONNULL;

/*
 * Something has changed that others may have waited for: they are looked
 * after in the next turn of the loop.
 */
void	supervisor_notice(struct supervisor *supervisor) ATTR_NONNULL;

/* Log lines go where the configuration in force says. */
void	supervisor_apply_log(struct supervisor *supervisor)
	    ATTR_NONNULL;

#endif /* MCRELAY_SUPERVISOR_H */
