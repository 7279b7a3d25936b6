/* SPDX-License-Identifier: ISC */
/*
 * A channel's configuration in the flat form that its segment holds.
 * Supervisor only.
 */
#ifndef MCRELAY_FLAT_H
#define MCRELAY_FLAT_H

#include "common/compiler.h"
#include "common/segment.h"
#include "supervisor/conf.h"

/* Fills all of `spec' but the predecessor; it refers to `channel', which
 * must live until the segment has been made. */
void	flat_fill(struct segment_spec *spec, const struct conf *conf,
	    const struct channel_conf *channel) ATTR_NONNULL;

#endif /* MCRELAY_FLAT_H */
