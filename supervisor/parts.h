/* SPDX-License-Identifier: ISC */
/*
 * The descriptors that a channel's configuration asks for.  Supervisor only.
 *
 * At a reload the new ones are opened before an old one is touched: so they
 * are kept apart from the channel until all of the configuration is known to
 * work.
 */
#ifndef MCRELAY_PARTS_H
#define MCRELAY_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"
#include "supervisor/errand.h"
#include "supervisor/silence.h"
#include "supervisor/sockets_heal.h"

enum part {
	PART_INPUT	= 1 << 0,
	PART_WORKER	= 1 << 1,	/* outputs and archive directory */
	PART_STREAMS	= 1 << 2,
	PART_ALL	= PART_INPUT | PART_WORKER | PART_STREAMS,
};

/* What a channel does not have and waits for: the first that was found. */
struct lack {
	int		error;		/* errno; 0: nothing */
	bool		archive;	/* its directory */
	bool		memory;		/* its segment */
	bool		program;	/* its user cannot execute it */
	bool		kernel;		/* the program that is to relay */
	bool		stream;		/* a stream's, which keeps no worker */
	char		detail[256];	/* for people */
};

/*
 * An input's socket.  Of a channel with several, one that cannot be bound now
 * is there all the same: its worker has it, and hears when it is bound.
 */
struct input {
	int		fd;		/* -1: none */
	bool		bound;		/* and joined to its group */
	bool		in_use;		/* not bound: somebody else is */
	struct attachment at;
	struct listen_config listen;	/* what it is made for */
	struct silence	silence;	/* one of several */
};

struct parts {
	unsigned	have;		/* of enum part */
	struct input	*input;		/* inputs of them, allocated */
	size_t		inputs;		/* 0: none */
	int		feed;		/* sends to input; -1: others do */
	int		output[OUTPUTS_MAX];
	size_t		outputs;
	int		archive;	/* -1: none; locked (dirs_lock) */
	/* Why `archive' is no directory (directory.h); "": it is one. */
	char		archive_away[256];
	bool		archive_remote;	/* on a file system that may hang */
	/* By which path it was opened: directory_path_hash(). */
	uint64_t	archive_path;
	struct errand	errand;		/* looks for the directory */
	struct errand	schemas;	/* writes into it */
	bool		schemas_due;	/* it has not got there yet */
	int		stream[STREAMS_MAX];
	size_t		streams;
	/* What the sockets hold on to. */
	struct attachment output_at[OUTPUTS_MAX];
	struct attachment stream_at[STREAMS_MAX];
	struct lack	lack;
};

void	parts_init(struct parts *parts) ATTR_NONNULL;

/* Whether this is an errno of descriptors or memory, which we lack. */
bool	parts_exhausted(int error);

/*
 * Opens what `which' says.  What cannot be had now is left out, and told in
 * parts->lack; an address that is in use leaves the input unbound, for
 * parts_bind().  What this process has run out of is reported as well.
 */
void	parts_open(struct parts *parts, const struct channel_conf *conf,
	    unsigned which, struct conf_problems *problems);

/* Tries again what parts_open() has left out. */
void	parts_fill(struct parts *parts, const struct channel_conf *conf,
	    unsigned which, struct conf_problems *problems);
/* Whether nothing of `which' was left out. */
bool	parts_complete(const struct parts *parts,
	    const struct channel_conf *conf, unsigned which) ATTR_NONNULL;

/* Binds inputs that are not bound yet.  False: the address of one is in use;
 * whatever else fails leaves it out. */
bool	parts_bind(struct parts *parts, const struct channel_conf *conf,
	    struct conf_problems *problems)
	    __attribute__((__nonnull__(1, 2)));
/* Gives inputs that stay all that is configured now and takes no other
 * socket: their buffers, whether they are shared, whether they coalesce. */
void	parts_adapt(struct parts *parts,
	    const struct channel_conf *conf, struct conf_problems *problems)
	    ATTR_NONNULL;
/* Leaves inputs out that are not bound, as their addresses are in use. */
void	parts_leave_inputs(struct parts *parts,
	    const struct channel_conf *conf) ATTR_NONNULL;
/* Whether there is the socket of any; of the first. */
bool	parts_has_input(const struct parts *parts) ATTR_NONNULL;
int	parts_first_input(const struct parts *parts) ATTR_NONNULL;
/* Whether one is there and not bound. */
bool	parts_unbound(const struct parts *parts) ATTR_NONNULL;
/* For the moment, or as it is configured. */
void	parts_share(const struct parts *parts, bool now) ATTR_NONNULL;
/* Makes room for the inputs of `listen', none of which is there yet. */
void	parts_expect_inputs(struct parts *parts,
	    const struct listen_config *listen, size_t inputs) ATTR_NONNULL;
/* Has those inputs of a configuration that are to come use the sockets that
 * `from' has for the very same: by descriptors of their own. */
void	parts_keep_inputs(struct parts *parts,
	    const struct channel_conf *conf, const struct parts *from)
	    ATTR_NONNULL;
/* Whether the input has a socket that is one of `parts', too. */
bool	parts_keep(const struct parts *parts, const struct input *input)
	    ATTR_NONNULL;

/* Moves what `from' has to `to', in place of what that had. */
void	parts_move(struct parts *to, struct parts *from) ATTR_NONNULL;
void	parts_close(struct parts *parts, unsigned which) ATTR_NONNULL;

#endif /* MCRELAY_PARTS_H */
