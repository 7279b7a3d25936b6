/* SPDX-License-Identifier: ISC */
/*
 * What a child says on its standard error: a pipe, which the supervisor reads
 * and logs line by line, each with the child's name before it and all escaped
 * that is no text.  Supervisor only; never waits.
 *
 * A child cannot be heard for more than VOICE_LINES_S lines a second in the
 * long run; what it says beyond is left out, and how much that was is said.
 * The pipe is not read meanwhile: a child that asks whether there is room, as
 * log.h does, drops its lines itself and counts them.
 */
#ifndef MCRELAY_VOICE_H
#define MCRELAY_VOICE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

/* At once, after having been silent. */
#define VOICE_LINES	1000U
#define VOICE_LINES_S	100U
/* Of a process that has ended, however much it has said before. */
#define VOICE_LAST_LINES	50U
/* Longer lines become two. */
#define VOICE_LINE_SIZE	1000U

struct voice {
	struct ev_loop	*loop;
	char		 name[96];	/* as its own log lines begin */
	int		 fd;		/* we read; -1: there is no child */
	ev_io		 io;
	ev_timer	 pause;		/* active: it is not listened to */
	unsigned	 lines;		/* that may be logged */
	uint64_t	 counted_ns;	/* CLOCK_MONOTONIC, of `lines' */
	uint64_t	 left_out;	/* lines, not said yet */
	size_t		 length;	/* of what has no end yet */
	char		 line[VOICE_LINE_SIZE];
};

void	voice_init(struct voice *voice, struct ev_loop *loop, const char *name)
	    ATTR_NONNULL;
/* A pipe for the next process.  Returns its standard error, close-on-exec and
 * non-blocking, which is the caller's; -1 with errno. */
int	voice_open(struct voice *voice) ATTR_NONNULL;
/* Goes on with a pipe that an image before has opened; takes it over. */
void	voice_adopt(struct voice *voice, int fd) ATTR_NONNULL;
/* Logs what has no end yet: whoever reads on will not know it. */
void	voice_flush(struct voice *voice) ATTR_NONNULL;
/* The process has ended: logs the rest of what it has said.  Whoever has
 * inherited the pipe from it is not heard any more. */
void	voice_end(struct voice *voice) ATTR_NONNULL;

#endif /* MCRELAY_VOICE_H */
