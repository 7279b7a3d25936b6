/* SPDX-License-Identifier: ISC */
/*
 * Processes that do what may take for ever.  Supervisor only; what follows the
 * fork runs in the child, which must not return or touch the event loop.
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "supervisor/dirs.h"
#include "supervisor/errand.h"
#include "supervisor/spawn.h"

/* How long one may take, in seconds, if it can be ended at all. */
#define ERRAND_S	10U

/* Once in so long the loop may stand still for an answer, and how long. */
#define PATIENCE_MS	100
#define IMPATIENT_NS	(10 * NS_PER_S)

enum {
	FD_ANSWER = STDERR_FILENO + 1,
	FD_KEPT,
	FD_OTHERS,
};

static uint64_t	impatient_until_ns;

/* Everything else would stay open, and bound, for as long as it takes. */
static int
arrange(int answer, int keep)
{
	log_close();
	answer = fcntl(answer, F_DUPFD_CLOEXEC, FD_OTHERS);
	if (keep != -1)
		keep = fcntl(keep, F_DUPFD_CLOEXEC, FD_OTHERS);
	if (answer == -1 || dup2(answer, FD_ANSWER) == -1 ||
	    (keep != -1 && dup2(keep, FD_KEPT) == -1))
		return -1;
	if (keep == -1)
		close(FD_KEPT);
	return close_range(FD_OTHERS, UINT_MAX, 0);
}

int
errand_start(struct errand *errand, void (*run)(int, int, const void *),
    int keep, const void *argument)
{
	int end;
	pid_t pid = spawn_fork(&end);

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		spawn_reset_signals();
		(void)alarm(ERRAND_S);
		if (arrange(end, keep) == 0)
			run(FD_ANSWER, keep == -1 ? -1 : FD_KEPT, argument);
		_exit(0);
	}
	if (pid == -1)
		return -1;
	/* The event loop reaps it, which does not run before we return: its
	 * number is its own still. */
	errand->process = (int)syscall(SYS_pidfd_open, pid, 0);
	errand->answer = end;
	return 0;
}

static int
patience_ms(void)
{
	return clock_monotonic_ns() < impatient_until_ns ? 0 : PATIENCE_MS;
}

bool
errand_done(struct errand *errand, void *answer, size_t size, int *fd,
    bool *answered)
{
	struct pollfd poller = {.fd = errand->answer, .events = POLLIN};
	size_t count = 1;
	int wait_ms = patience_ms();

	if (poll(&poller, 1, wait_ms) != 1) {
		if (wait_ms > 0)
			impatient_until_ns = clock_monotonic_ns() +
			    IMPATIENT_NS;
		return false;
	}
	*answered = fd_receive(errand->answer, answer, size, fd, &count) ==
	    (ssize_t)size;
	if (count == 0)
		*fd = -1;
	errand_forget(errand);
	return true;
}

void
errand_forget(struct errand *errand)
{
	if (errand->answer == 0)
		return;
	close(errand->answer);
	if (errand->process != -1) {
		(void)syscall(SYS_pidfd_send_signal, errand->process, SIGKILL,
		    NULL, 0);
		close(errand->process);
	}
	errand->answer = 0;
}

static void
run_stat(int answer, int kept ATTR_UNUSED, const void *path)
{
	struct stat st;

	(void)stat(path, &st);
	(void)send(answer, "", 1, MSG_NOSIGNAL);
}

static bool
ask(const char *path)
{
	struct errand errand = {0, -1};
	bool answered = false;
	char byte;
	int fd;

	if (errand_start(&errand, run_stat, -1, path) == -1)
		return false;
	if (!errand_done(&errand, &byte, sizeof(byte), &fd, &answered))
		errand_forget(&errand);
	return answered;
}

bool
errand_answers(const char *path)
{
	static struct {
		char		*path;
		uint64_t	 at_ns;
		bool		 answers;
	} last;
	uint64_t now = clock_monotonic_ns();

	if (dirs_is_near(path))
		return true;
	if (last.path == NULL || strcmp(last.path, path) != 0 ||
	    now > last.at_ns + NS_PER_S) {
		free(last.path);
		last.path = xstrdup(path);
		last.answers = ask(path);
		last.at_ns = now;
	}
	return last.answers;
}
