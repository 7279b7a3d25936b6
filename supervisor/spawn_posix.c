/* SPDX-License-Identifier: ISC */
/*
 * Starting programs: forked by the supervisor itself, with all that it has.
 * Supervisor only.
 */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "supervisor/spawn_priv.h"

static _Noreturn void
run(const struct spawn_settings *settings, struct spawn_request *request,
    const int *fds, size_t fd_count)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd == -1 || dup2(null_fd, STDIN_FILENO) == -1 ||
	    dup2(null_fd, STDOUT_FILENO) == -1)
		_exit(SPAWN_CANNOT_EXEC);
	spawn_run_child(settings, request, fds, fd_count);
}

pid_t
spawn_begin(struct spawn_settings *settings, struct spawn_request *request,
    const int *fds, size_t fd_count)
{
	sigset_t all, before;
	pid_t pid;

	/* No handler of ours may run in there. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		run(settings, request, fds, fd_count);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

void
spawn_end(struct spawn_settings *settings ATTR_UNUSED)
{
}
