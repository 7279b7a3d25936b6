/* SPDX-License-Identifier: ISC */
/*
 * Outputs with `path: kernel': which datagrams a program in the kernel is to
 * relay, and by which outputs.  Supervisor only.  Never touches a datagram.
 *
 * What is wanted is computed from what the channels have, as often as that may
 * have changed, and compared with what the program was told.  The worker needs
 * no word of it: it sends what the program has not marked.  So a datagram
 * leaves once by each output, whichever way it is treated, and nothing here has
 * to happen at a certain moment; but a socket tells its worker of marks before
 * the program sets any, and an output keeps its slot (segment_spec.h).
 *
 * An end in order takes the program away.  What a supervisor that was killed
 * has left relays on; the next one puts its own in that one's place, or, if it
 * inherits no sockets, takes it away before it opens any.
 */
#ifndef MCRELAY_KERNEL_PATH_H
#define MCRELAY_KERNEL_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"
#include "supervisor/kernel_program.h"
#include "supervisor/netwatch.h"

struct channel;
struct supervisor;

/* A channel's, a bit each. */
struct kernel_outputs {
	uint32_t	there;		/* the program sends by it */
	/* It cannot, as it is known no way to the host, or not who takes it
	 * there. */
	uint32_t	unrouted;
	uint32_t	unheard;
};

struct kernel_entry {
	struct kernel_key	key;
	struct kernel_route	route;
	struct channel		*channel;	/* whose, at the last update */
	struct kernel_outputs	 outputs;
	int			 error;		/* the program was not told */
};

/* An interface that is to have the program. */
struct kernel_place {
	uint32_t	index;
	bool		known;		/* it was to have it before */
	int		error;		/* it has not, but is asked again */
};

/* Why a channel's worker relays what the program should. */
struct kernel_failure {
	int		error;		/* 0: it does not */
	uint32_t	ifindex;	/* it takes no program; 0: the program
					 * could not be told */
};

struct kernel_path {
	struct kernel_program	*program;	/* NULL: not loaded */
	uint32_t		 handle;	/* of our filters; 0: not set */
	struct kernel_entry	*had;		/* what the program was told */
	size_t			 count;
	struct kernel_place	*at;
	size_t			 interfaces;
	bool			 swept;		/* no filter of another one of
						 * us is left */
	char			 why[KERNEL_WHY_SIZE];	/* not to be had */
	struct netwatch		 neighbours;
};

/* Before a socket is opened. */
void	kernel_path_begin(struct supervisor *supervisor) ATTR_NONNULL;
/* Does what has yet to be done. */
void	kernel_path_update(struct supervisor *supervisor) ATTR_NONNULL;
/* The program does nothing more for the channel, from now until the next
 * update. */
void	kernel_path_leave(struct channel *channel) ATTR_NONNULL;
/* Takes all of it away. */
void	kernel_path_end(struct supervisor *supervisor) ATTR_NONNULL;

/* Whether a channel that insists on it can have it; if not, channel->kernel
 * says what is lacking. */
bool	kernel_path_ready(struct channel *channel) ATTR_NONNULL;
/* Adds what the program has counted of the channel, over all inputs, since its
 * outputs are what they are. */
void	kernel_path_counts(const struct channel *channel,
	    struct kernel_counts *sum) ATTR_NONNULL;
/* Whether any of its outputs wants it, or insists. */
bool	kernel_path_wanted(const struct channel_conf *conf, bool only)
	    ATTR_NONNULL;
/* Whether its worker does what the program should, as that cannot be had. */
bool	kernel_path_falls_back(const struct channel *channel) ATTR_NONNULL;
/* Why its worker does, in `text' or elsewhere; "": nothing is wrong. */
const char	*kernel_path_why(const struct channel *channel, char *text,
		    size_t size) ATTR_NONNULL;
/* For -n: what would be used here, as text; false: no channel asks. */
bool	kernel_path_text(const struct conf *conf, char text[KERNEL_WHY_SIZE])
	    ATTR_NONNULL;

#endif /* MCRELAY_KERNEL_PATH_H */
