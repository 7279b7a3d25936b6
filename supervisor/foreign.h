/* SPDX-License-Identifier: ISC */
/*
 * Segments that have the layout of another version, which only its programs can
 * use, until nobody does (HACKING.md, "Upgrades across layouts").  Supervisor
 * only.
 */
#ifndef MCRELAY_FOREIGN_H
#define MCRELAY_FOREIGN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/channel_config.h"
#include "common/compiler.h"
#include "supervisor/privdrop.h"

struct channel;
struct conf;
struct decimator;
struct inherited;
struct supervisor;

struct foreign {
	int	segment;	/* -1: none */
	uint64_t	layout;	/* of it */
	/* A worker of that version has it, or is to store what it holds. */
	bool	worker;
	bool	page;		/* a decimator of that version has its page */
	bool	mute;		/* its workers know none of our messages */
	bool	new_socket;	/* the channel does not go on with the old */
	/* What its workers have descriptors of. */
	bool	archive;
	size_t	outputs;
	size_t	inputs;
	/* Which of its sockets each input of ours has been; 0 of zeros, as
	 * where there is one. */
	int	was[INPUTS_MAX];
	struct privdrop	user;	/* whom they run as */
};

/* False: it is of no other layout, or its numbers cannot be had.  Else the
 * channel has a new segment with these numbers. */
bool	foreign_take(struct channel *channel, const struct conf *conf,
	    struct inherited *from) ATTR_NONNULL;
/* The same of a channel that is not configured any more, and gets none. */
bool	foreign_take_leaving(struct channel *channel, struct inherited *from)
	    ATTR_NONNULL;

/* The drops of a new socket count from zero. */
void	foreign_forget_drops(struct channel *channel) ATTR_NONNULL;

/* The program for a worker that stores what is left; -1: there cannot be
 * one. */
int	foreign_worker(const struct channel *channel) ATTR_NONNULL;
/* Its descriptors of inputs, in its order: the first, and the others; returns
 * how many. */
size_t	foreign_list_inputs(const struct channel *channel,
	    int fds[static INPUTS_MAX]) ATTR_NONNULL;
/* Whether nothing is left to be stored, or nobody can say so. */
bool	foreign_drained(struct channel *channel) ATTR_NONNULL;
/* Its worker has ended.  False: another one is to store what is left.  Else the
 * numbers are final. */
bool	foreign_worker_ended(struct channel *channel) ATTR_NONNULL;
/* The same, whatever is left. */
void	foreign_give_up(struct channel *channel) ATTR_NONNULL;
void	foreign_decimator_ended(struct decimator *decimator) ATTR_NONNULL;
void	foreign_drop(struct channel *channel) ATTR_NONNULL;

/* Which segment a supervisor that follows is to have of it. */
int	foreign_or_own(const struct channel *channel) ATTR_NONNULL;

/* Closes images that no segment needs. */
void	foreign_settle(struct supervisor *supervisor) ATTR_NONNULL;

#endif /* MCRELAY_FOREIGN_H */
