/* SPDX-License-Identifier: ISC */
/*
 * What a supervisor gets from the one before it: from the image of itself
 * that executed it (handoff.h), or from the service manager that kept what a
 * killed one had stored there (fdstore.h).  Supervisor only.
 *
 * Every descriptor in here is close-on-exec and belongs to the inheritance
 * until somebody takes it, which sets it to -1 here.
 */
#ifndef MCRELAY_INHERITANCE_H
#define MCRELAY_INHERITANCE_H

#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"
#include "common/util.h"
#include "supervisor/child.h"
#include "supervisor/conf/conf.h"
#include "supervisor/images.h"
#include "supervisor/querier.h"
#include "supervisor/reasons.h"
#include "supervisor/silence.h"

struct events;

/* What a socket was opened for, as text. */
#define INHERITED_PURPOSE_SIZE	(2 * ADDRESS_TEXT_SIZE + IF_NAMESIZE + 80)

/* One that is sent to. */
struct inherited_socket {
	int		fd;		/* -1: none, or taken */
	int		index;		/* as in struct attachment */
	int		error;
	char		purpose[INHERITED_PURPOSE_SIZE];
};

/* An input of a channel. */
struct inherited_input {
	int		fd;		/* -1: none, or taken */
	bool		unbound;	/* it is, as far as is known */
	int		error;		/* as in struct attachment */
};

struct inherited {
	char			 name[CHANNEL_NAME_MAX + 1];
	bool			 taken;		/* a channel has it */
	struct inherited_input	 input[INPUTS_MAX];
	int			 feed;		/* -1: none */
	int			 xdp_socket;	/* -1: none */
	int			 xdp_memory;
	int			 segment;	/* -1: none */
	/* These by an upgrade only. */
	int			 archive;	/* its directory; -1: none */
	char			 archive_path[PATH_MAX];	/* "": none */
	char			 archive_away[256];
	bool			 archive_remote;
	struct inherited_socket	 socket[OUTPUTS_MAX + STREAMS_MAX];
	size_t			 sockets;
	int			 decimator_event;	/* -1: none */
	uint32_t		 number;
	int			 decimator;	 /* decimators; -1: none */
	int			 holder;
	bool			 leaving;
	bool			 told;		/* the holder knows it */
	struct privdrop		 user;		/* uid 0: ours, or not said */
	uint32_t		 paused;	/* as in struct channel */
	struct child_image	 worker;
	struct reasons		 reasons;
	struct silence		 silence;
	const char		*told_state;	/* as an event; NULL: none */
};

struct inheritance {
	struct inherited	*channel;
	size_t			 channels;
	struct images		 images;	/* of its version, and older */
	int			*place;		/* sockets (fanout.h) */
	size_t			 places;
	/* By an upgrade; everything below is unset without it. */
	bool			 upgrade;
	char			*version;	/* the old image's */
	char			*run_dir;
	char			*user;		/* NULL: not said */
	int			 lock;		/* of mcrelayd.pid */
	int			 control;	/* the listening socket */
	int			 client;	/* who asked; -1: nobody */
	int			 log_target;	/* enum log_target */
	int			 log_level;
	uint64_t		 layout;	/* of its segments; 0: not
						 * said, or it was none */
	uint32_t		 next_number;
	uint64_t		 started_ns;
	uint64_t		 given_up;	/* capabilities, by bit */
	uint64_t		 drained_ns;	/* fleet_inherit() */
	struct querier_link	*querier;
	size_t			 queriers;
	unsigned		 decimators;	/* in use */
	struct child_image	 decimator[DECIMATORS_MAX];
	/* Of the segments that it can read; as in struct image. */
	uint64_t		 decimator_layout[DECIMATORS_MAX];
	size_t			 answers[DECIMATORS_MAX]; /* decimator.h */
	const char		*told_state[DECIMATORS_MAX];
	struct events		*events;	/* NULL: none, or taken */
};

struct inheritance	*inheritance_new(void);
/* Closes what nobody has taken.  NULL is allowed. */
void	inheritance_free(struct inheritance *inheritance);

/* The entry of this name, made if need be. */
struct inherited	*inheritance_add(struct inheritance *inheritance,
			    const char *name) ATTR_NONNULL;
/* Adds a socket to `place'; -1: none. */
void	inheritance_add_place(struct inheritance *inheritance, int fd)
	    ATTR_NONNULL;
/* Closes what nobody has taken of it. */
void	inheritance_drop(struct inherited *each) ATTR_NONNULL;
/* The entry of this name, or NULL. */
struct inherited	*inheritance_find(struct inheritance *inheritance,
			    const char *name) ATTR_NONNULL;

/* Returns the descriptor, which is the caller's now. */
int	inheritance_take(int *fd) ATTR_NONNULL;

#endif /* MCRELAY_INHERITANCE_H */
