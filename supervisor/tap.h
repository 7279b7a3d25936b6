/* SPDX-License-Identifier: ISC */
/*
 * The decimator process and what it is told.  Runs while a channel has
 * streams.  Supervisor only.
 */
#ifndef MCRELAY_TAP_H
#define MCRELAY_TAP_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/child.h"

struct channel;
struct supervisor;

struct tap {
	struct supervisor	*supervisor;
	struct child		 child;
	ev_timer		 retry;		/* its socket was full */
	uint32_t		*forget;	/* channels to be taken back */
	size_t			 forgets;
	bool			 log_told;
	pid_t			 old_process;	/* of an older image; 0 */
};

void	tap_init(struct tap *tap, struct supervisor *supervisor) ATTR_NONNULL;
void	tap_done(struct tap *tap) ATTR_NONNULL;

/* Starts or ends the process as the channels need it, and tells it what it
 * does not know yet. */
void	tap_update(struct tap *tap) ATTR_NONNULL;
/* The channel's streams or segment are other ones. */
void	tap_tell(struct tap *tap, struct channel *channel) ATTR_NONNULL;
/* The channel has no streams any more. */
void	tap_forget(struct tap *tap, struct channel *channel) ATTR_NONNULL;
/* The log level is another one. */
void	tap_log_level(struct tap *tap) ATTR_NONNULL;

#endif /* MCRELAY_TAP_H */
