/* SPDX-License-Identifier: ISC */
/*
 * What fanout*.c share.  Supervisor only, for these.
 */
#ifndef MCRELAY_FANOUT_PRIV_H
#define MCRELAY_FANOUT_PRIV_H

#include <linux/filter.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/channel_config.h"
#include "common/compiler.h"
#include "supervisor/conf/conf.h"

/* A socket in a group, by a descriptor of our own. */
struct place {
	int	fd;
	ino_t	identity;
	bool	hole;		/* nobody has it any more */
	bool	mapped;		/* the program names it */
	bool	owned;		/* a channel has it; of one update */
};

struct port {
	struct sockaddr_storage address;
	struct place	*place;
	size_t		 places;
	int		 error;		/* why there is no program; or 0 */
};

struct fanout_ports {
	struct port	*port;		/* by address */
	size_t		 ports;
	/* Sockets have come or gone, and the programs do not know yet. */
	bool		 changed;
};

extern struct fanout_ports	fanout;

/* NULL: there is none. */
struct port	*fanout_find(const struct sockaddr_storage *address)
		    ATTR_NONNULL;
/* Where this socket is; NULL: it is not there.  Takes the same time however
 * many there are. */
struct place	*fanout_place(const struct port *at, int fd) ATTR_NONNULL;
/* The last one is where the other was, which has been closed. */
void	fanout_move_last(struct port *at, size_t number) ATTR_NONNULL;

/* Of IPv6 each source is four words, compared with a mask each.  The kernel's
 * bound (net.core.optmem_max, 20 KiB) is not reached with that. */
#define FANOUT_PROGRAM_MAX	(9U + SHARED_SOURCES_MAX * 13U)
_Static_assert(SHARDS_MAX * 2U + 18U < SHARED_SOURCES_MAX * 13U,
    "shards take less than sources");

struct fanout_program {
	struct sock_filter code[FANOUT_PROGRAM_MAX];
	size_t		length;
	int		family;
};

/* A program that returns places by a datagram's source. */
void	fanout_program_begin(struct fanout_program *program, int family)
	    ATTR_NONNULL;
void	fanout_program_add(struct fanout_program *program,
	    const struct source_prefix *source, uint32_t place) ATTR_NONNULL;
/* Those of a channel's shards, from the first; each source has one of them, the
 * same for ever. */
void	fanout_program_share(struct fanout_program *program,
	    const uint32_t place[], uint32_t shards) ATTR_NONNULL;
/* All others; then it is given to the group of this socket.  0, or -1 with
 * errno. */
int	fanout_program_attach(struct fanout_program *program, uint32_t others,
	    int fd) ATTR_NONNULL;

#endif /* MCRELAY_FANOUT_PRIV_H */
