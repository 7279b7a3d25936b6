/* SPDX-License-Identifier: ISC */
/*
 * Is there anybody in the network who asks for members of groups?  A switch
 * that snoops forwards a group to whom has answered lately: without a querier
 * that ends some minutes after the join.  Supervisor only.
 *
 * Hears of queries by raw sockets; where they cannot be had nothing is known,
 * and nothing missing.  All times are CLOCK_MONOTONIC.
 */
#ifndef MCRELAY_QUERIER_H
#define MCRELAY_QUERIER_H

#include <sys/socket.h>
#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

/* After so long a switch forgets a member that it has not heard again: RFC
 * 3376, 8.4 and RFC 3810, 9.4, with the intervals that they recommend. */
#define QUERIER_SILENCE_S	260U

/* An interface on which groups of a family have been joined. */
struct querier_link {
	int		index;
	int		family;
	uint64_t	since_ns;	/* listened there, and it was up */
	uint64_t	heard_ns;	/* the last query; 0: none yet */
	bool		missing;
	bool		joined;		/* still: set in each round */
};

struct querier {
	struct ev_loop		*loop;
	ev_io			 io[2];		/* IPv4, IPv6 */
	bool			 hears[2];
	struct querier_link	*link;
	size_t			 links;
};

/* What an image before knew; takes the array over.  Before the start. */
void	querier_inherit(struct querier *querier, struct querier_link *link,
	    size_t links) ATTR_NONNULL;
/* Opens what it hears by, while there are the privileges to.  Of zeros
 * before. */
void	querier_start(struct querier *querier, struct ev_loop *loop)
	    ATTR_NONNULL;
/* Also for one that never began, of zeros. */
void	querier_stop(struct querier *querier) ATTR_NONNULL;

/* A query has come in by the interface, from `source'. */
void	querier_heard(struct querier *querier, int index,
	    const struct sockaddr *source, uint64_t now_ns) ATTR_NONNULL;

/*
 * A round, once a second: begun, told of each group that is joined, on which
 * interface and whether that is up, and ended.  Says what is news.
 */
void	querier_begin(struct querier *querier) ATTR_NONNULL;
void	querier_joined(struct querier *querier, int index,
	    const struct sockaddr_storage *group, bool up, uint64_t now_ns)
	    ATTR_NONNULL;
void	querier_end(struct querier *querier, uint64_t now_ns) ATTR_NONNULL;

/* Whether nobody asks there, as far as is known. */
bool	querier_missing(const struct querier *querier, int index,
	    const struct sockaddr_storage *group) ATTR_NONNULL;

#endif /* MCRELAY_QUERIER_H */
