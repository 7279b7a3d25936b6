/* SPDX-License-Identifier: ISC */
/*
 * Going into the background.  Supervisor only.
 */
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "supervisor/daemon.h"

void
daemon_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd == -1)
		exit(1);
	close(fd);
}

/* The process that the shell waits for.  Its child ends at once. */
static _Noreturn void
wait_for_start(int pipe_fd, pid_t child)
{
	uint8_t status;
	ssize_t got;

	(void)waitpid(child, NULL, 0);
	do {
		got = read(pipe_fd, &status, 1);
	} while (got == -1 && errno == EINTR);
	if (got != 1) {
		log_warnx("the daemon ended before it was up");
		_exit(1);
	}
	_exit(status);
}

int
daemon_begin(void)
{
	int fds[2];
	pid_t pid;

	/* What the caller has open is none of a daemon's business. */
	(void)process_close_from(STDERR_FILENO + 1);
	if (pipe2(fds, O_CLOEXEC) == -1)
		fatal("pipe");
	if ((pid = fork()) == -1)
		fatal("cannot fork");
	if (pid != 0) {
		close(fds[1]);
		wait_for_start(fds[0], pid);
	}
	close(fds[0]);
	if (setsid() == -1)
		fatal("setsid");
	/* Not a session leader: can never get a terminal again. */
	if ((pid = fork()) == -1)
		fatal("cannot fork");
	if (pid != 0)
		_exit(0);
	if (chdir("/") == -1)
		fatal("cannot change to /");
	return fds[1];
}

void
daemon_started(int pipe_fd, int status, bool keep_stderr)
{
	uint8_t byte = (uint8_t)status;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd != -1) {
		dup2(null_fd, STDIN_FILENO);
		dup2(null_fd, STDOUT_FILENO);
		if (!keep_stderr)
			dup2(null_fd, STDERR_FILENO);
		close(null_fd);
	}
	/* Nobody may be waiting any more: the shell's part was killed. */
	if (write(pipe_fd, &byte, 1) == -1)
		log_debug("nobody waits for the start");
	close(pipe_fd);
}
