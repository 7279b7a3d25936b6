/* SPDX-License-Identifier: ISC */
/*
 * The state of everything, as JSON.  Supervisor only.
 */
#ifndef MCRELAY_STATUS_H
#define MCRELAY_STATUS_H

#include <jansson.h>

#include "common/compiler.h"
#include "common/growing.h"

struct channel;
struct child;
struct supervisor;

/* The status of all channels, or of one, or of its shards (json_text.h). */
void	status_print(struct growing *out, const char *name,
	    const struct supervisor *supervisor, const char *only);
/* The same of all, to look into.  The caller's. */
json_t	*status_json(const struct supervisor *supervisor) ATTR_NONNULL;

/* starting, running, stale, backoff, stopped or failed. */
const char	*status_state(struct channel *channel) ATTR_NONNULL;
/* The same of a process. */
const char	*status_child_state(const struct child *child) ATTR_NONNULL;

#endif /* MCRELAY_STATUS_H */
