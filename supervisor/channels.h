/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's channels, all together.  Supervisor only.
 */
#ifndef MCRELAY_CHANNELS_H
#define MCRELAY_CHANNELS_H

#include <stdbool.h>

#include "common/compiler.h"

struct channel;
struct supervisor;

/* The channel of this name, or NULL. */
struct channel	*channels_find(const struct supervisor *supervisor,
		    const char *name) ATTR_NONNULL;
/* Starts the channels that are new, but for those whose namesake is still
 * ending: there is never a second writer in one archive. */
void	channels_start_new(struct supervisor *supervisor) ATTR_NONNULL;
/* Tries what channels wait for; for whoever learns that it may be there. */
void	channels_retry(struct supervisor *supervisor) ATTR_NONNULL;
/* Asks the worker, or all, for a new file. */
void	channels_rotate(struct supervisor *supervisor, struct channel *only);
/* Forgets those that are removed and have ended. */
void	channels_free_leaving(struct supervisor *supervisor) ATTR_NONNULL;
/* Asks the workers to end, of the channels that archive streams or of the
 * others; true when there are none left. */
bool	channels_stop(struct supervisor *supervisor, bool stream_archives)
	    ATTR_NONNULL;

#endif /* MCRELAY_CHANNELS_H */
