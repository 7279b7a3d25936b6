/* SPDX-License-Identifier: ISC */
/*
 * Fork and exec.  Supervisor only; what follows the fork runs in the child,
 * which must not return, run handlers of ours or touch the event loop.
 */
#include <sys/resource.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#include "common/control.h"
#include "common/log.h"
#include "common/segment.h"
#include "supervisor/spawn.h"

/* Control, segment, input, outputs, archive, eventfd. */
#define FDS_MAX		(OUTPUTS_MAX + 5)

#define EXIT_CANNOT_EXEC	127

/*
 * Sources may lie where the targets are: move them all out of the way first.
 * dup2() clears close-on-exec.
 */
static int
place_descriptors(const int *fds, size_t count)
{
	int moved[FDS_MAX], first_free = CONTROL_FD + (int)count;
	size_t i;

	for (i = 0; i < count; i++) {
		moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, first_free);
		if (moved[i] == -1)
			return -1;
	}
	for (i = 0; i < count; i++)
		if (dup2(moved[i], CONTROL_FD + (int)i) == -1)
			return -1;
	return close_range((unsigned)first_free, UINT_MAX, 0);
}

static int
place_standard(int stderr_fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd == -1 || dup2(null_fd, STDIN_FILENO) == -1 ||
	    dup2(null_fd, STDOUT_FILENO) == -1)
		return -1;
	if (stderr_fd != -1 && dup2(stderr_fd, STDERR_FILENO) == -1)
		return -1;
	return 0;
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

static _Noreturn void
run_child(const struct spawn_settings *settings, const char *program,
    const char *argument, const int *fds, size_t fd_count)
{
	static const struct rlimit nice_limit = {40, 40};
	char path[PATH_MAX];
	char *argv[] = {(char *)(uintptr_t)program,
	    (char *)(uintptr_t)argument, NULL};

	spawn_reset_signals();
	/* `priority' in the configuration; only root can grant it. */
	(void)setrlimit(RLIMIT_NICE, &nice_limit);
	/* The service manager is the supervisor's business. */
	unsetenv("NOTIFY_SOCKET");
	/* The terminal's interrupt key is for the supervisor alone. */
	setpgid(0, 0);
	/* Its descriptor may be one that is about to become another. */
	closelog();
	snprintf(path, sizeof(path), "%s/%s", settings->directory, program);
	if (place_standard(settings->stderr_fd) == -1 ||
	    place_descriptors(fds, fd_count) == -1)
		log_warn("%s: cannot arrange its descriptors", program);
	else if (settings->drop != NULL && privdrop_now(settings->drop) == -1)
		log_warn("%s: cannot become its user", program);
	else {
		execv(path, argv);
		log_warn("cannot execute %s", path);
	}
	_exit(EXIT_CANNOT_EXEC);
}

pid_t
spawn_program(const struct spawn_settings *settings, const char *program,
    const char *argument, const int *fds, size_t fd_count)
{
	sigset_t all, before;
	pid_t pid;

	assert(fd_count <= FDS_MAX);
	/* No handler of ours may run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		run_child(settings, program, argument, fds, fd_count);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid == -1)
		log_warn("cannot start %s", program);
	return pid;
}

int
spawn_check(const struct spawn_settings *settings, const char *program)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", settings->directory, program);
	return access(path, X_OK);
}
