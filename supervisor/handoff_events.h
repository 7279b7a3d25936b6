/* SPDX-License-Identifier: ISC */
/*
 * Events as part of the handoff (handoff.h): their numbers go on, the newest
 * are handed over, and nobody is told again of a state that was told.
 * Supervisor only.
 */
#ifndef MCRELAY_HANDOFF_EVENTS_H
#define MCRELAY_HANDOFF_EVENTS_H

#include <jansson.h>

#include "common/compiler.h"

struct events;
struct inheritance;
struct supervisor;

json_t	*handoff_events_write(const struct supervisor *supervisor)
	    ATTR_NONNULL;
/* Reads it into the inheritance, which has its channels.  NULL, of an older
 * image: there were no events. */
void	handoff_events_read(struct inheritance *inheritance,
	    const json_t *object);
/* The events to go on with: the inherited ones, or new ones.  NULL: nothing is
 * inherited. */
struct events	*handoff_events_take(struct inheritance *inheritance);

#endif /* MCRELAY_HANDOFF_EVENTS_H */
