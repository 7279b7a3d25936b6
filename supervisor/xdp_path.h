/* SPDX-License-Identifier: ISC */
/*
 * Inputs with `path: xdp': an AF_XDP socket beside the ordinary one, and the
 * program that gives it its datagrams.  Supervisor only.  Never touches a
 * datagram.
 *
 * What is wanted is compared with what a channel has, as often as that may have
 * changed.  A worker that is to have another socket, or none, is followed by
 * one that has.  Before, the program stops giving to the old one: the rest goes
 * to the ordinary socket, which is there all the time, so nothing is lost on
 * the way to AF_XDP or back, nor comes twice.
 */
#ifndef MCRELAY_XDP_PATH_H
#define MCRELAY_XDP_PATH_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/log.h"
#include "supervisor/conf/conf.h"
#include "supervisor/parts.h"
#include "supervisor/xdp_program.h"
#include "supervisor/xdp_socket.h"

struct channel;
struct supervisor;

/* Of a channel. */
struct xdp_input {
	struct xdp_socket	socket;
	struct xdp_key		key;	/* what it is for... */
	char			interface[IF_NAMESIZE]; /* ...and where */
	uint32_t		place;	/* in the program's map */
	bool			told;	/* the program gives to it */
	bool			dead;	/* its interface is gone */
	bool			given;	/* the worker has it */
	bool			leaving; /* the worker is to end for it */
	uint64_t		starved; /* of the socket, as was told */
	struct log_limit	limit_starved;
	uint64_t		retry_ns; /* not to be had before */
	char			why[XDP_WHY_SIZE];	/* not to be had */
	struct lack		lack;	/* of one that insists */
};

/* An interface that has the program. */
struct xdp_link {
	uint32_t	ifindex;
	int		fd;
	bool		in_driver;
};

/* A place in the program's map. */
struct xdp_use {
	bool		used;
	uint8_t		mac[6];		/* its interface's own */
	bool		steered;	/* which has a rule... */
	uint32_t	ifindex;
	uint32_t	rule;		/* ...here */
};

struct xdp_path {
	struct xdp_program	*program;	/* NULL: not loaded */
	struct xdp_link		*link;		/* links of them */
	size_t			 links;
	struct xdp_use		 place[XDP_INPUTS];
};

/* Does what has yet to be done. */
void	xdp_path_update(struct supervisor *supervisor) ATTR_NONNULL;
/* The network has changed: what could not be had is tried at once. */
void	xdp_path_changed(struct supervisor *supervisor) ATTR_NONNULL;
/* Another configuration is in force: before its worker is told to end. */
void	xdp_path_leave(struct channel *channel) ATTR_NONNULL;
/* A worker is about to be started, and none is there: what it is given; before
 * the segment that it gets is another one, and then. */
void	xdp_path_settle(struct channel *channel) ATTR_NONNULL;
void	xdp_path_give(struct channel *channel) ATTR_NONNULL;
/* No worker follows: what is in its memory counts as dropped. */
void	xdp_path_close(struct channel *channel) ATTR_NONNULL;
/* Takes the program away; all channels are closed. */
void	xdp_path_end(struct supervisor *supervisor) ATTR_NONNULL;
/* Descriptors of a predecessor, for a channel with its segment. */
void	xdp_path_adopt(struct channel *channel, int socket, int memory)
	    ATTR_NONNULL;

/* Whether a channel that insists on it can have it; if not, its lack says
 * why. */
bool	xdp_path_ready(struct channel *channel) ATTR_NONNULL;
/* Whether one that could do without has to: its `why' says why. */
bool	xdp_path_falls_back(const struct channel *channel) ATTR_NONNULL;
/* By which interface and how it is had; NULL: it is not. */
const struct xdp_link	*xdp_path_link(const struct channel *channel)
			    ATTR_NONNULL;
/* For -n: what would be used here, as text; false: no channel asks. */
bool	xdp_path_text(const struct conf *conf, char text[XDP_WHY_SIZE])
	    ATTR_NONNULL;

#endif /* MCRELAY_XDP_PATH_H */
