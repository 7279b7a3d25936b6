/* SPDX-License-Identifier: ISC */
/*
 * Going into the background without leaving the shell in the dark: the
 * process that the shell waits for ends when start-up has been decided, with
 * its result.  Supervisor only.
 */
#ifndef MCRELAY_DAEMON_H
#define MCRELAY_DAEMON_H

#include <stdbool.h>

/*
 * Makes sure that descriptors 0, 1 and 2 are open: nothing else must ever
 * get these numbers.
 */
void	daemon_standard_descriptors(void);

/*
 * Forks; returns in the daemon, with the write end of a pipe.  The process
 * that called does not return: it waits for daemon_started() and exits.
 * Errors are fatal.  Until then standard error is the caller's.
 */
int	daemon_begin(void);

/*
 * Start-up has ended with this exit status, 0 for success.  Lets go of the
 * terminal; keeps standard error if the log goes there.
 */
void	daemon_started(int pipe_fd, int status, bool keep_stderr);

#endif /* MCRELAY_DAEMON_H */
