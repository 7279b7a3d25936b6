/* SPDX-License-Identifier: ISC */
/*
 * Channels that several hosts have, one of which relays each: the process that
 * asks the servers for them, and what comes of it.  Supervisor only.
 *
 * That process is mcrelay-forwarder with other things to do (common/lease.h
 * has what is promised, and why).  It says in a page until when this host may
 * speak; we copy that, twenty times a second, to the segments, where workers
 * and decimators compare it with the clock before they send.  We wait for
 * nobody: whoever stops, the time passes.  What is allowed outlives the
 * process, as it does us: it is in the segments.
 *
 * We say in the page that we want a channel, for half of a lease, and only
 * while its worker runs: so it is given away when it cannot be had here, or
 * nobody of us is there to say so.
 */
#ifndef MCRELAY_FLEET_H
#define MCRELAY_FLEET_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "common/lease.h"
#include "supervisor/child.h"
#include "supervisor/watch.h"

struct channel;
struct growing;
struct supervisor;

struct fleet {
	struct supervisor	*supervisor;
	struct child		 child;
	struct child_watch	 watch;
	bool			 look;		/* was asked, and answers */
	/* What the process knows, and is to know; "": there is to be none. */
	char			*told;
	char			*wanted;
	int			 spec;		/* a file of it; -1: none */
	int			 page_fd;	/* -1: none */
	struct lease_page	*page;		/* NULL: none */
	ev_timer		 round;
	bool			 busy;		/* one is handed over */
	bool			 drained;	/* all are to be */
	uint64_t		 drained_ns;	/* so since then */
};

void	fleet_init(struct fleet *fleet, struct supervisor *supervisor)
	    ATTR_NONNULL;
void	fleet_done(struct fleet *fleet) ATTR_NONNULL;
/* Once a second, at the start and after a reload: starts and ends what the
 * configuration in force asks for. */
void	fleet_second(struct fleet *fleet) ATTR_NONNULL;
/* Asks it to end; true when it has. */
bool	fleet_stop(struct fleet *fleet) ATTR_NONNULL ATTR_UNUSED_RESULT;

/* After the segment was made: says in it until when its channel may speak. */
void	fleet_apply(struct channel *channel) ATTR_NONNULL;
/* Goes on with what an attached segment says. */
void	fleet_adopt(struct channel *channel) ATTR_NONNULL;
/* Whether it is not to be started now, but when it is this host's turn. */
bool	fleet_sleeps(const struct channel *channel) ATTR_NONNULL;
/* Whether others may speak, and this host may not. */
bool	fleet_is_standby(const struct channel *channel) ATTR_NONNULL;
/* From now on all channels are handed over, as soon as another host can follow,
 * and none is taken; or, not `on', that is over.  Until then what nobody else
 * can have stays here, and is relayed. */
void	fleet_drain(struct fleet *fleet, bool on) ATTR_NONNULL;
/* For the next image: CLOCK_BOOTTIME since it is drained; 0: it is not, 1:
 * nobody knows since when. */
uint64_t	fleet_drained_since(const struct fleet *fleet) ATTR_NONNULL;
void	fleet_inherit(struct fleet *fleet, uint64_t since_ns) ATTR_NONNULL;

/* The answer to who has asked for it, his to free; NULL: not yet. */
json_t	*fleet_drain_check(const struct fleet *fleet) ATTR_NONNULL
	    ATTR_UNUSED_RESULT;
/* Whether it has not been heard for long whose turn it is, so that nobody may
 * be relaying. */
bool	fleet_is_away(const struct channel *channel) ATTR_NONNULL;
/* Writes down what is so of all channels: members, not in an object. */
void	fleet_print_all(struct growing *out, const struct fleet *fleet)
	    ATTR_NONNULL;
/* Writes down who has the channel: a member `lease', if hosts take turns. */
void	fleet_print(struct growing *out, const struct channel *channel)
	    ATTR_NONNULL;

#endif /* MCRELAY_FLEET_H */
