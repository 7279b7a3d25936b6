/* SPDX-License-Identifier: ISC */
/*
 * What spawn*.c share.
 */
#ifndef MCRELAY_SPAWN_PRIV_H
#define MCRELAY_SPAWN_PRIV_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"
#include "common/segment.h"
#include "supervisor/spawn.h"

/* Control, segment, input, outputs, archive, eventfd; the image; standard
 * error. */
#define SPAWN_FDS_MAX		(INPUTS_MAX + OUTPUTS_MAX + 6)

#define SPAWN_CANNOT_EXEC	127

/* What is to be started. */
struct spawn_request {
	char		program[32];
	char		argument[CHANNEL_NAME_MAX + 1];	/* "": none */
	bool		image;		/* the last descriptor but one is it */
	struct privdrop	user;
};

/* The pid of a child that becomes it; -1 with errno. */
pid_t	spawn_begin(struct spawn_settings *settings,
	    struct spawn_request *request, const int *fds, size_t fd_count)
	    ATTR_NONNULL;

/* In the child: executes what is asked for.  The last descriptor is its
 * standard error. */
_Noreturn void	spawn_run_child(const struct spawn_settings *settings,
		    struct spawn_request *request, const int *fds,
		    size_t fd_count) ATTR_NONNULL;
/* In a child: these become MESSAGE_FD and what follows, nothing else stays
 * open behind standard error.  0, or -1 with errno. */
int	spawn_place(const int *fds, size_t count) ATTR_NONNULL;

#endif /* MCRELAY_SPAWN_PRIV_H */
