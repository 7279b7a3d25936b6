/* SPDX-License-Identifier: ISC */
/*
 * What mcrelayctl can ask for.  Supervisor only.
 *
 * A request is an object with the member "command" and, as the command needs
 * them, others: "channel" and "stream", "channels" and "since" (follow.h).  An
 * answer is an object: "ok" is true, or it
 * is false and "error" says why.
 */
#ifndef MCRELAY_COMMANDS_H
#define MCRELAY_COMMANDS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "common/growing.h"
#include "common/segment.h"

struct follower;
struct supervisor;

/* A request that is answered later. */
struct command_wait {
	char		channel[CHANNEL_NAME_MAX + 1];
	bool		upgrade;	/* for another image, else: */
	bool		drain;		/* for other hosts to have all, else: */
	bool		up;		/* for a new worker; else for none */
	unsigned	spawns;		/* before */
	/* Not NULL: the answer is yes, and is followed by events.  The
	 * client's. */
	struct follower	*follower;
	/* Not empty: the answer, where there is no other; the caller's. */
	struct growing	 text;
};

/* The answer, which is the caller's; NULL: not yet, or as text; `wait' is
 * filled. */
json_t	*command_run(struct supervisor *supervisor, const json_t *request,
	    struct command_wait *wait) ATTR_NONNULL;
/* The answer to one that waits, or NULL. */
json_t	*command_check(struct supervisor *supervisor,
	    const struct command_wait *wait) ATTR_NONNULL;

/* { "ok": false, "error": ... } */
json_t	*command_error(const char *fmt, ...) ATTR_PRINTF(1, 2);
json_t	*command_no_channel(const struct supervisor *supervisor,
	    const char *name) ATTR_NONNULL;

#endif /* MCRELAY_COMMANDS_H */
