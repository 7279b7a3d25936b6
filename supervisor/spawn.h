/* SPDX-License-Identifier: ISC */
/*
 * Fork and exec of a child with exactly the descriptors it is to have.
 * Supervisor only.
 */
#ifndef MCRELAY_SPAWN_H
#define MCRELAY_SPAWN_H

#include <sys/types.h>
#include <stddef.h>

#include "common/compiler.h"
#include "supervisor/privdrop.h"

/* What all children have in common. */
struct spawn_settings {
	const char		*directory;	/* of the programs */
	int			 launcher;	/* -1: none */
	int			 process;	/* of it, as a descriptor */
};

/*
 * Starts `program' with fds[i] as descriptor 3 + i, nothing else open but
 * standard input and output (/dev/null) and `stderr_fd', in a session of its
 * own without a terminal, no signal blocked or ignored, as `user'.  `argument'
 * may be NULL.  Returns the pid, or -1 after
 * having logged why not.  A program that cannot be executed is a child
 * that says why and exits with status 127.
 *
 * The first call starts a launcher, a process that knows settings, log and
 * environment as they are then; spawn_end() lets it end.  Nobody has to wait
 * for it, but somebody has to reap it.  One that does not answer for some
 * seconds is killed, and the start has failed.
 */
pid_t	spawn_program(struct spawn_settings *settings, const char *program,
	    const char *argument, const struct privdrop *user, int stderr_fd,
	    const int *fds, size_t fd_count);
/* The same, of the program behind the descriptor `image', whose name is
 * `program'; -1: spawn_program(). */
pid_t	spawn_image(struct spawn_settings *settings, int image,
	    const char *program, const char *argument,
	    const struct privdrop *user, int stderr_fd, const int *fds,
	    size_t fd_count);
void	spawn_end(struct spawn_settings *settings) ATTR_NONNULL;

/*
 * Forks; *end is the caller's end of a socket pair for whole packets, in either
 * process.  All signals are blocked in the child, whose descriptors are ours.
 * -1 with errno.
 */
pid_t	spawn_fork(int *end) ATTR_NONNULL;

/* In a child: no signal is blocked, ignored or handled. */
void	spawn_reset_signals(void);

/* Whether `program' is there and may be executed; -1 with errno. */
int	spawn_check(const struct spawn_settings *settings,
	    const char *program) ATTR_NONNULL;

#endif /* MCRELAY_SPAWN_H */
