/* SPDX-License-Identifier: ISC */
/*
 * Where a channel sends to and archives, as part of the handoff (handoff.h):
 * what is open stays, also when it could not be opened now.  Supervisor only.
 */
#ifndef MCRELAY_HANDOFF_PARTS_H
#define MCRELAY_HANDOFF_PARTS_H

#include <jansson.h>

#include "common/compiler.h"
#include "supervisor/inheritance.h"
#include "supervisor/parts.h"

struct channel;
struct handoff;

/* All that there are of an input's sockets. */
json_t	*handoff_inputs(struct handoff *handoff,
	    const struct channel *channel) ATTR_NONNULL;
/* Of relay and streams. */
json_t	*handoff_sockets(struct handoff *handoff,
	    const struct channel *channel) ATTR_NONNULL;
/* What is known of the archive directory, beside its descriptor. */
json_t	*handoff_directory(const struct channel *channel) ATTR_NONNULL;

/* NULL, of an older image: it has one. */
void	handoff_get_inputs(struct inherited *inherited,
	    const json_t *inputs);
/* NULL, of an older image: all is opened anew. */
void	handoff_get_sockets(struct inherited *inherited,
	    const json_t *sockets);
void	handoff_get_directory(struct inherited *inherited,
	    const json_t *directory);

/* The sockets of ports that channels share (fanout.h). */
void	handoff_put_places(struct handoff *handoff, json_t *state)
	    ATTR_NONNULL;
void	handoff_get_places(struct inheritance *inheritance,
	    const json_t *state) ATTR_NONNULL;

/* Into empty parts: what the configuration still asks for.  parts_open() adds
 * what is missing. */
void	handoff_take_parts(struct parts *parts,
	    const struct channel_conf *conf, struct inherited *from)
	    ATTR_NONNULL;

#endif /* MCRELAY_HANDOFF_PARTS_H */
