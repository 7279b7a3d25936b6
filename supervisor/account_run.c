/* SPDX-License-Identifier: ISC */
/*
 * Processes that say a segment's numbers: what they may do, and how long they
 * are waited for.  Supervisor, and the program that it asks.
 */
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "common/process.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "supervisor/account_priv.h"
#include "supervisor/privdrop.h"

#define ASK_MS			1000U

int
account_confine(void)
{
	const struct rlimit answer = {ACCOUNT_MAX, ACCOUNT_MAX}, none = {0, 0};

	if (setsid() == -1 || setrlimit(RLIMIT_FSIZE, &answer) == -1 ||
	    setrlimit(RLIMIT_CORE, &none) == -1)
		return -1;
	return process_gain_nothing();
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

/* One that does not even end when it is killed waits for a disk: the event loop
 * reaps it some time. */
enum account_answer
account_await(pid_t pid)
{
	int process = process_open(pid), status = 0;
	enum account_answer answer = ACCOUNT_NONSENSE;

	if (process == -1 || !process_ends_within(process, ASK_MS)) {
		kill(pid, SIGKILL);
		answer = ACCOUNT_LATE;
	}
	if (process != -1 && process_ends_within(process, ASK_MS) &&
	    waitpid(pid, &status, 0) == pid && answer != ACCOUNT_LATE &&
	    WIFEXITED(status)) {
		if (WEXITSTATUS(status) == 0)
			answer = ACCOUNT_GIVEN;
		else if (WEXITSTATUS(status) == ACCOUNT_EXIT_DAMAGED)
			answer = ACCOUNT_DAMAGED;
	}
	process_close(process);
	return answer;
}
