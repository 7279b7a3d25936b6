/* SPDX-License-Identifier: ISC */
/*
 * Fork and exec.  Supervisor only; what follows the fork runs in the child,
 * which must not return, run handlers of ours or touch the event loop.
 *
 * With a thousand channels the supervisor has thousands of descriptors and
 * mappings, and a fork copies and closes them all.  So it forks a launcher,
 * which closes them once and then forks the programs of a whole burst, each as
 * a child of the supervisor.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/sandbox.h"
#include "common/segment.h"
#include "common/util.h"
#include "supervisor/spawn.h"

/* Control, segment, input, outputs, archive, eventfd; the image; standard
 * error. */
#define FDS_MAX		(INPUTS_MAX + OUTPUTS_MAX + 6)

#define EXIT_CANNOT_EXEC	127

/* A launcher that does not answer in so long (it was stopped, say) never
 * does. */
#define ANSWER_MS		3000

/* What the launcher is asked for; it answers with a pid, or -errno. */
struct request {
	char		program[32];
	char		argument[CHANNEL_NAME_MAX + 1];	/* "": none */
	bool		image;		/* the last descriptor but one is it */
	struct privdrop	user;
};

/*
 * Sources may lie where the targets are: move them all out of the way first.
 * dup2() clears close-on-exec.
 */
static int
place_descriptors(const int *fds, size_t count)
{
	int moved[FDS_MAX], first_free = MESSAGE_FD + (int)count;
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
	return close_range((unsigned)first_free, UINT_MAX, 0);
}

static int
place_standard(void)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd == -1 || dup2(null_fd, STDIN_FILENO) == -1 ||
	    dup2(null_fd, STDOUT_FILENO) == -1)
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

/* Descriptors are in their places: the image's behind all that the program is
 * to have. */
static void
execute(const struct spawn_settings *settings, struct request *request,
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

static _Noreturn void
run_child(const struct spawn_settings *settings, struct request *request,
    const int *fds, size_t fd_count)
{
	const char *program = request->program;

	spawn_reset_signals();
	/* The last one; before anything can go wrong that is to be said. */
	if (dup2(fds[--fd_count], STDERR_FILENO) == -1)
		_exit(EXIT_CANNOT_EXEC);
	/* The service manager is the supervisor's business. */
	unsetenv("NOTIFY_SOCKET");
	/* The supervisor's terminal is not the child's, which could type there
	 * what the shell executes; nor are its keys for the child. */
	if (setsid() == -1)
		log_warn("%s: no session of its own", program);
	/* While we have the right to: its user has not. */
	sandbox_bound();
	if (place_descriptors(fds, fd_count) == -1)
		log_warn("%s: cannot arrange its descriptors", program);
	else if (request->user.uid != 0 && privdrop_now(&request->user) == -1)
		log_warn("%s: cannot become its user", program);
	else
		execute(settings, request, fd_count);
	_exit(EXIT_CANNOT_EXEC);
}

/*** The launcher. ***/

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
		_exit(EXIT_CANNOT_EXEC);
}

/* False: the supervisor does not listen any more. */
static bool
launch(const struct spawn_settings *settings, struct request *request,
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
		run_child(settings, request, fds, fd_count);
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
	struct request request;
	int fds[FDS_MAX];
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
	    place_descriptors(&supervisor, 1) == -1)
		log_warn("cannot arrange the launcher's descriptors");
	else
		while (serve(settings))
			continue;
	_exit(0);
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
	settings->process = (int)syscall(SYS_pidfd_open, pid, 0);
	return 0;
}

/* False, with errno: it does not answer.  It is killed then, and a program that
 * it has just forked ends without having begun. */
static bool
await_answer(const struct spawn_settings *settings)
{
	if (fd_wait_readable(settings->launcher, ANSWER_MS))
		return true;
	(void)syscall(SYS_pidfd_send_signal, settings->process, SIGKILL, NULL,
	    0);
	errno = ETIMEDOUT;
	return false;
}

/* -1 with errno. */
static pid_t
ask_launcher(struct spawn_settings *settings, const struct request *request,
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
	if (settings->process != -1)
		close(settings->process);
}

pid_t
spawn_image(struct spawn_settings *settings, int image, const char *program,
    const char *argument, const struct privdrop *user, int stderr_fd,
    const int *fds, size_t fd_count)
{
	struct request request;
	int all[FDS_MAX];
	pid_t pid;
	size_t i;

	assert(fd_count + 1 < FDS_MAX);
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
	pid = ask_launcher(settings, &request, all, fd_count + 1);
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
