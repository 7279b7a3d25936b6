/* SPDX-License-Identifier: ISC */
/*
 * Processes that say a segment's numbers: what they may do, and how long they
 * are waited for.  Supervisor, and the program that it asks.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "common/util.h"
#include "supervisor/account_priv.h"
#include "supervisor/privdrop.h"

#define ASK_NS			(1 * NS_PER_S)

int
account_confine(void)
{
	const struct rlimit answer = {ACCOUNT_MAX, ACCOUNT_MAX}, none = {0, 0};

	if (setsid() == -1 || setrlimit(RLIMIT_FSIZE, &answer) == -1 ||
	    setrlimit(RLIMIT_CORE, &none) == -1)
		return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int
account_become(const struct privdrop *user)
{
	sandbox_bound();
	return user->uid == 0 ? 0 : privdrop_now(user);
}

pid_t
account_fork(void)
{
	sigset_t all, before;
	pid_t pid;

	/* No handler of ours may run in there. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid != 0)
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
enum account_answer
account_await(pid_t pid)
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
