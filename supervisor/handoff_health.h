/* SPDX-License-Identifier: ISC */
/*
 * What is known of the health of channels and of the network, as part of the
 * handoff (handoff.h).  Supervisor only.
 */
#ifndef MCRELAY_HANDOFF_HEALTH_H
#define MCRELAY_HANDOFF_HEALTH_H

#include <jansson.h>

#include "common/compiler.h"

struct channel;
struct inheritance;
struct inherited;
struct querier;

/* Why the channel's state is what it is, and since when it hears nothing. */
json_t	*health_reasons(const struct channel *channel) ATTR_NONNULL;
json_t	*health_silence(const struct channel *channel) ATTR_NONNULL;
/* Who asks for members of groups, on which interface. */
json_t	*health_queriers(const struct querier *querier) ATTR_NONNULL;

/* NULL, of an older image: nothing is known. */
void	health_get(struct inherited *inherited, const json_t *reasons,
	    const json_t *silence);
void	health_get_queriers(struct inheritance *inheritance,
	    const json_t *queriers);

#endif /* MCRELAY_HANDOFF_HEALTH_H */
