/* SPDX-License-Identifier: ISC */
/*
 * Fork and exec.  Supervisor only; what follows the fork runs in the child,
 * which must not return, run handlers of ours or touch the event loop.
 */
#include <sys/socket.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "supervisor/spawn.h"
#include "supervisor/spawn_priv.h"

/*
 * Sources may lie where the targets are: move them all out of the way first.
 * dup2() clears close-on-exec.
 */
int
spawn_place(const int *fds, size_t count)
{
	int moved[SPAWN_FDS_MAX], first_free = MESSAGE_FD + (int)count;
	size_t i;

	log_close();
	for (i = 0; i < count; i++) {
		moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, first_free);
		if (moved[i] == -1)
			return -1;
	}
	for (i = 0; i < count; i++)
		if (dup2(moved[i], MESSAGE_FD + (int)i) == -1)
			return -1;
	return process_close_from(first_free);
}

void
spawn_reset_signals(void)
{
	sigset_t none;
	int sig;

	/* Fails for those that cannot be changed, which is well. */
	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Descriptors are in their places: the image's behind all that the program is
 * to have. */
static void
execute(const struct spawn_settings *settings, struct spawn_request *request,
    size_t fd_count)
{
	int image = MESSAGE_FD + (int)fd_count - 1;
	char path[PATH_MAX];
	char *argv[] = {request->program,
	    request->argument[0] != '\0' ? request->argument : NULL, NULL};

	snprintf(path, sizeof(path), "%s/%s", settings->directory,
	    request->program);
	if (!request->image)
		execv(path, argv);
	else if (fcntl(image, F_SETFD, FD_CLOEXEC) == 0)
		fexecve(image, argv, environ);
	log_warn("cannot execute %s%s", path, request->image ?
	    " as it was" : "");
}

_Noreturn void
spawn_run_child(const struct spawn_settings *settings,
    struct spawn_request *request, const int *fds, size_t fd_count)
{
	const char *program = request->program;

	spawn_reset_signals();
	/* The last one; before anything can go wrong that is to be said. */
	if (dup2(fds[--fd_count], STDERR_FILENO) == -1)
		_exit(SPAWN_CANNOT_EXEC);
	/* The service manager is the supervisor's business. */
	unsetenv("NOTIFY_SOCKET");
	/* The supervisor's terminal is not the child's, which could type there
	 * what the shell executes; nor are its keys for the child. */
	if (setsid() == -1)
		log_warn("%s: no session of its own", program);
	/* While we have the right to: its user has not. */
	sandbox_bound();
	if (spawn_place(fds, fd_count) == -1)
		log_warn("%s: cannot arrange its descriptors", program);
	else if (request->user.uid != 0 && privdrop_now(&request->user) == -1)
		log_warn("%s: cannot become its user", program);
	else
		execute(settings, request, fd_count);
	_exit(SPAWN_CANNOT_EXEC);
}

pid_t
spawn_fork(int *end)
{
	sigset_t all, before;
	int pair[2], saved;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return -1;
	/* No handler of ours may run in there. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	*end = pair[pid == 0];
	if (pid == 0)
		return 0;
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(pair[1]);
	if (pid == -1)
		close(pair[0]);
	errno = saved;
	return pid;
}

pid_t
spawn_image(struct spawn_settings *settings, int image, const char *program,
    const char *argument, const struct privdrop *user, int stderr_fd,
    const int *fds, size_t fd_count)
{
	struct spawn_request request;
	int all[SPAWN_FDS_MAX];
	pid_t pid;
	size_t i;

	assert(fd_count + 1 < SPAWN_FDS_MAX);
	for (i = 0; i < fd_count; i++)
		all[i] = fds[i];
	if (image != -1)
		all[fd_count++] = image;
	all[fd_count] = stderr_fd;
	assert(strlen(program) < sizeof(request.program));
	memset(&request, 0, sizeof(request));
	snprintf(request.program, sizeof(request.program), "%s", program);
	snprintf(request.argument, sizeof(request.argument), "%s",
	    argument != NULL ? argument : "");
	request.user = *user;
	request.image = image != -1;
	pid = spawn_begin(settings, &request, all, fd_count + 1);
	if (pid == -1) {
		log_warn("cannot start %s", program);
		spawn_end(settings);
	}
	return pid;
}

pid_t
spawn_program(struct spawn_settings *settings, const char *program,
    const char *argument, const struct privdrop *user, int stderr_fd,
    const int *fds, size_t fd_count)
{
	return spawn_image(settings, -1, program, argument, user, stderr_fd,
	    fds, fd_count);
}

int
spawn_check(const struct spawn_settings *settings, const char *program)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", settings->directory, program);
	return access(path, X_OK);
}
