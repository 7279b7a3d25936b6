/* SPDX-License-Identifier: ISC */
/*
 * Asks another version's program for a segment's numbers.  Supervisor only.
 *
 * That program has run as this supervisor until now; but it reads what a worker
 * wrote, so it does that as the worker's user, without capabilities, and may
 * neither gain any nor write more than it has to.  It is waited for, for a
 * second at most; what it says is checked in account_read.c.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "supervisor/account.h"
#include "supervisor/spawn.h"

#define ASK_NS			(1 * NS_PER_S)
/* All that it may print, several times what it does. */
#define ANSWER_MAX		(1U << 20)
#define EXIT_CANNOT_EXEC	127

/*** The program's process. ***/

/* The descriptors are moved out of each other's way first.  The image's is
 * behind the segment's. */
static int
place(int *image, int fd, int output)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int first_free = ACCOUNT_FD + 2;

	*image = fcntl(*image, F_DUPFD_CLOEXEC, first_free);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, first_free);
	output = fcntl(output, F_DUPFD_CLOEXEC, first_free);
	if (null_fd == -1 || *image == -1 || fd == -1 || output == -1 ||
	    dup2(null_fd, STDIN_FILENO) == -1 ||
	    dup2(null_fd, STDERR_FILENO) == -1 ||
	    dup2(output, STDOUT_FILENO) == -1 || dup2(fd, ACCOUNT_FD) == -1 ||
	    dup3(*image, ACCOUNT_FD + 1, O_CLOEXEC) == -1)
		return -1;
	*image = ACCOUNT_FD + 1;
	return close_range((unsigned)first_free, UINT_MAX, 0);
}

static int
confine(const struct privdrop *user)
{
	const struct rlimit answer = {ANSWER_MAX, ANSWER_MAX}, none = {0, 0};

	sandbox_bound();
	if (setsid() == -1 || setrlimit(RLIMIT_FSIZE, &answer) == -1 ||
	    setrlimit(RLIMIT_CORE, &none) == -1)
		return -1;
	if (user->uid != 0 && privdrop_now(user) == -1)
		return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static _Noreturn void
run_image(int image, const struct privdrop *user, int fd, int output)
{
	char name[] = "mcrelayd", option[] = "--account";
	char *argv[] = {name, option, NULL};

	spawn_reset_signals();
	log_close();
	unsetenv("NOTIFY_SOCKET");
	if (place(&image, fd, output) == 0 && confine(user) == 0)
		fexecve(image, argv, environ);
	_exit(EXIT_CANNOT_EXEC);
}

/*** The supervisor. ***/

static pid_t
start(int image, const struct privdrop *user, int fd, int output)
{
	sigset_t all, before;
	pid_t pid;

	/* No handler of ours may run in there. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		run_image(image, user, fd, output);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static bool
ends_in_time(int process)
{
	struct pollfd poller = {.fd = process, .events = POLLIN};
	uint64_t end_ns = clock_monotonic_ns() + ASK_NS, now_ns;
	int ready = 0;

	while (ready == 0 && (now_ns = clock_monotonic_ns()) < end_ns) {
		ready = poll(&poller, 1,
		    (int)((end_ns - now_ns) / NS_PER_MS) + 1);
		if (ready == -1 && errno == EINTR)
			ready = 0;
	}
	return ready == 1;
}

/* One that does not even end when it is killed waits for a disk: the event loop
 * reaps it some time. */
static enum account_answer
await(pid_t pid)
{
	int process = (int)syscall(SYS_pidfd_open, pid, 0), status = 0;
	enum account_answer answer = ACCOUNT_NONSENSE;

	if (process == -1 || !ends_in_time(process)) {
		kill(pid, SIGKILL);
		answer = ACCOUNT_LATE;
	}
	if (process != -1 && ends_in_time(process) &&
	    waitpid(pid, &status, 0) == pid && answer != ACCOUNT_LATE &&
	    WIFEXITED(status)) {
		if (WEXITSTATUS(status) == 0)
			answer = ACCOUNT_GIVEN;
		else if (WEXITSTATUS(status) == ACCOUNT_EXIT_DAMAGED)
			answer = ACCOUNT_DAMAGED;
	}
	if (process != -1)
		close(process);
	return answer;
}

static json_t *
read_back(int output)
{
	json_t *account = NULL;
	char *text = xcalloc(1, ANSWER_MAX);
	ssize_t got = pread(output, text, ANSWER_MAX, 0);

	if (got > 0)
		account = json_loadb(text, (size_t)got, JSON_REJECT_DUPLICATES,
		    NULL);
	free(text);
	if (account != NULL && account_makes_sense(account))
		return account;
	json_decref(account);
	return NULL;
}

enum account_answer
account_ask(int image, const struct privdrop *user, int fd, json_t **account)
{
	int output = memfd_create("mcrelay:account", MFD_CLOEXEC);
	enum account_answer answer = ACCOUNT_NONSENSE;
	pid_t pid;

	*account = NULL;
	if (output == -1)
		return answer;
	pid = start(image, user, fd, output);
	if (pid != -1)
		answer = await(pid);
	if (answer == ACCOUNT_GIVEN)
		*account = read_back(output);
	close(output);
	return answer == ACCOUNT_GIVEN && *account == NULL ? ACCOUNT_NONSENSE :
	    answer;
}

const char *
account_answer_text(enum account_answer answer)
{
	switch (answer) {
	case ACCOUNT_GIVEN:
		return "it says what was counted";
	case ACCOUNT_DAMAGED:
		return "the memory is damaged";
	case ACCOUNT_LATE:
		return "the old version's program does not answer";
	case ACCOUNT_NONSENSE:
		break;
	}
	return "the old version's program does not say what was counted";
}
