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
	char		detail[256];	/* for people */
};

struct parts {
	unsigned	have;		/* of enum part */
	int		input;		/* -1: none */
	bool		bound;		/* input is */
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
	struct attachment input_at;
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

/* Binds an input that is not bound yet.  False: its address is in use;
 * whatever else fails leaves it out. */
bool	parts_bind(struct parts *parts, const struct channel_conf *conf,
	    struct conf_problems *problems) ATTR_NONNULL;
/* Gives an input that stays all that is configured now and takes no other
 * socket: its buffer, whether it is shared, whether it coalesces. */
void	parts_adapt(const struct parts *parts,
	    const struct channel_conf *conf, struct conf_problems *problems)
	    ATTR_NONNULL;
/* Leaves an input out whose address is in use. */
void	parts_leave_input(struct parts *parts, const struct channel_conf *conf)
	    ATTR_NONNULL;

/* Moves what `from' has to `to', in place of what that had. */
void	parts_move(struct parts *to, struct parts *from) ATTR_NONNULL;
void	parts_close(struct parts *parts, unsigned which) ATTR_NONNULL;

#endif /* MCRELAY_PARTS_H */
