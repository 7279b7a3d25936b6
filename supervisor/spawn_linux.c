/* SPDX-License-Identifier: ISC */
/*
 * Starting programs by way of a launcher.  Supervisor only.
 *
 * With a thousand channels the supervisor has thousands of descriptors and
 * mappings, and a fork copies and closes them all.  So it forks a launcher,
 * which closes them once and then forks the programs of a whole burst, each as
 * a child of the supervisor.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/process.h"
#include "common/util.h"
#include "supervisor/spawn_priv.h"

/* A launcher that does not answer in so long (it was stopped, say) never
 * does. */
#define ANSWER_MS		3000

static int
place_standard(void)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd == -1 || dup2(null_fd, STDIN_FILENO) == -1 ||
	    dup2(null_fd, STDOUT_FILENO) == -1)
		return -1;
	return 0;
}

/* Like fork(), but the child is our parent's. */
static pid_t
fork_sibling(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL,
	    NULL, 0);
}

/* The child does nothing before the supervisor knows it: it would be one too
 * many if the launcher was killed in between. */
static void
await_go(int go)
{
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(SPAWN_CANNOT_EXEC);
}

/* Answers with a pid, or -errno.  False: the supervisor does not listen any
 * more. */
static bool
launch(const struct spawn_settings *settings, struct spawn_request *request,
    const int *fds, size_t fd_count)
{
	bool told;
	int go[2];
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) == -1)
		return false;
	pid = fork_sibling();
	if (pid == 0) {
		close(go[1]);
		await_go(go[0]);
		spawn_run_child(settings, request, fds, fd_count);
	}
	if (pid == -1)
		pid = -errno;
	told = send(MESSAGE_FD, &pid, sizeof(pid), MSG_NOSIGNAL) ==
	    (ssize_t)sizeof(pid);
	if (told && write(go[1], "", 1) == -1)
		log_debug("a child has ended early");
	close(go[0]);
	close(go[1]);
	return told;
}

/* False: no more is to be launched. */
static bool
serve(const struct spawn_settings *settings)
{
	struct spawn_request request;
	int fds[SPAWN_FDS_MAX];
	size_t fd_count = NITEMS(fds), i;
	bool more;

	if (fd_receive(MESSAGE_FD, &request, sizeof(request), fds,
	    &fd_count) != (ssize_t)sizeof(request))
		return false;
	more = launch(settings, &request, fds, fd_count);
	for (i = 0; i < fd_count; i++)
		close(fds[i]);
	return more;
}

/* All signals are blocked: it ends with the supervisor, not before. */
static _Noreturn void
run_launcher(const struct spawn_settings *settings, int supervisor)
{
	if (place_standard() == -1 ||
	    spawn_place(&supervisor, 1) == -1)
		log_warn("cannot arrange the launcher's descriptors");
	else
		while (serve(settings))
			continue;
	_exit(0);
}

static int
start_launcher(struct spawn_settings *settings)
{
	int end;
	pid_t pid = spawn_fork(&end);

	if (pid == 0)
		run_launcher(settings, end);
	if (pid == -1)
		return -1;
	settings->launcher = end;
	/* Nobody has reaped it yet: its number is its own still. */
	settings->process = process_open(pid);
	return 0;
}

/* False, with errno: it does not answer.  It is killed then, and a program that
 * it has just forked ends without having begun. */
static bool
await_answer(const struct spawn_settings *settings)
{
	if (fd_wait_readable(settings->launcher, ANSWER_MS))
		return true;
	(void)process_kill(settings->process);
	errno = ETIMEDOUT;
	return false;
}

pid_t
spawn_begin(struct spawn_settings *settings, struct spawn_request *request,
    const int *fds, size_t fd_count)
{
	ssize_t got;
	pid_t pid;

	if (settings->launcher == -1 && start_launcher(settings) == -1)
		return -1;
	if (fd_send(settings->launcher, request, sizeof(*request), fds,
	    fd_count) == -1)
		return -1;
	if (!await_answer(settings))
		return -1;
	do
		got = recv(settings->launcher, &pid, sizeof(pid), 0);
	while (got == -1 && errno == EINTR);
	if (got != (ssize_t)sizeof(pid)) {
		errno = got == -1 ? errno : ECHILD;
		return -1;
	}
	if (pid > 0)
		return pid;
	errno = -pid;
	return -1;
}

void
spawn_end(struct spawn_settings *settings)
{
	if (settings->launcher == -1)
		return;
	close(settings->launcher);
	settings->launcher = -1;
	process_close(settings->process);
}
