/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-forwarder, which passes archives on to NATS JetStream: its processes,
 * what they are told, what they say.  Supervisor only.
 *
 * It has no state (common/forward.h): when what it is told changes, be it the
 * configuration or where a directory is, it is ended and another one started.
 * So it is at an upgrade.  Whatever becomes of it, no channel notices.
 */
#ifndef MCRELAY_SUPERVISOR_FORWARDER_H
#define MCRELAY_SUPERVISOR_FORWARDER_H

#include <stdbool.h>

#include "common/compiler.h"
#include "common/forward.h"
#include "supervisor/child.h"
#include "supervisor/conf/conf.h"
#include "supervisor/live.h"
#include "supervisor/watch.h"

struct channel;
struct growing;
struct supervisor;

/* Longer behind than that, it is one of a channel's reasons. */
#define FORWARDER_BEHIND_NS	(60 * NS_PER_S)

struct forwarder {
	struct supervisor	*supervisor;
	struct child		 child;
	struct child_watch	 watch;
	bool			 look;		/* was asked, and answers */
	/* What the process knows, and is to know; "": there is to be none. */
	char			*told;
	char			*wanted;
	int			 spec;		/* a file of it; -1: none */
	int			 status;	/* told last; -1: none */
	unsigned		 status_s;	/* since then */
	int			 page_fd;	/* -1: none */
	struct forward_page	*page;		/* NULL: none */
	/* Of the first, with `live': what it sees streams by, and which there
	 * are. */
	struct live_pair	 live;
	int			 streams;	/* a file; -1: none */
	bool			 streams_told;
};

/* Writes down where the servers are, and who we are to them. */
void	forwarder_put_servers(struct growing *out,
	    const struct forward_conf *conf, const char *host) ATTR_NONNULL;

void	forwarders_init(struct supervisor *supervisor) ATTR_NONNULL;
void	forwarders_done(struct supervisor *supervisor) ATTR_NONNULL;
/* Once a second, at the start and after a reload: starts and ends what the
 * configuration in force asks for, as far as it can be done now. */
void	forwarders_second(struct supervisor *supervisor) ATTR_NONNULL;
/* The streams are other ones. */
void	forwarders_streams(struct supervisor *supervisor) ATTR_NONNULL;
/* Asks all to end; true when they have. */
bool	forwarders_stop(struct supervisor *supervisor) ATTR_NONNULL
	    ATTR_UNUSED_RESULT;

/* Whether something keeps a channel from being forwarded that does not mend by
 * itself; and whether it is far behind, or has no forwarder. */
bool	forwarder_refused(const struct channel *channel) ATTR_NONNULL;
bool	forwarder_behind(const struct channel *channel) ATTR_NONNULL;
/* Writes down what has been forwarded of a channel, if any is to be, and how
 * far that is: a member `forward'. */
void	forwarder_print(struct growing *out, const struct channel *channel)
	    ATTR_NONNULL;

#endif /* MCRELAY_SUPERVISOR_FORWARDER_H */
