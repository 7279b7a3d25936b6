/* SPDX-License-Identifier: ISC */
/*
 * Processes by their numbers.  Any process.
 *
 * As long as nobody has reaped a child its number is no other process's: so
 * whether it is still a child is asked before it is signalled.
 */
#include <sys/resource.h>
#include <sys/wait.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/process.h"
#include "common/util.h"

#define LOOK_NS		NS_PER_MS

/* *over: it has ended, and waits to be reaped. */
static bool
is_child(pid_t pid, bool *over)
{
	siginfo_t info = {.si_pid = 0};
	int result;

	do
		result = waitid(P_PID, (id_t)pid, &info,
		    WEXITED | WNOHANG | WNOWAIT);
	while (result == -1 && errno == EINTR);
	*over = result == 0 && info.si_pid != 0;
	return result == 0;
}

int
process_open(pid_t pid)
{
	return (int)pid;
}

void
process_close(int process ATTR_UNUSED)
{
}

int
process_kill(int process)
{
	bool over;

	if (process == -1 || !is_child((pid_t)process, &over)) {
		errno = ESRCH;
		return -1;
	}
	return kill((pid_t)process, SIGKILL);
}

void
process_reap(int process)
{
	while (waitpid((pid_t)process, NULL, 0) == -1 && errno == EINTR)
		continue;
}

bool
process_ends_within(int process, unsigned ms)
{
	const struct timespec pause = {.tv_nsec = LOOK_NS};
	uint64_t end_ns = clock_monotonic_ns() + ms * NS_PER_MS;
	bool over;

	while (is_child((pid_t)process, &over) && !over) {
		if (clock_monotonic_ns() >= end_ns)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

int
process_end_with_parent(void)
{
	return 0;
}

int
process_gain_nothing(void)
{
	return 0;
}

void
process_hide(void)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
}

void
process_sleep_exactly(void)
{
}

void
process_share_heap(void)
{
}

/* The greatest of those that are open; -1: not to be known. */
static int
last_open(void)
{
	DIR *directory = opendir("/dev/fd");
	struct dirent *entry;
	int last = -1;

	if (directory == NULL)
		return -1;
	while ((entry = readdir(directory)) != NULL)
		last = MAX_OF(last, atoi(entry->d_name));
	closedir(directory);
	return last;
}

int
process_close_from(int first)
{
	int last = last_open();

	if (last == -1)
		return -1;
	for (; last >= first; last--)
		(void)close(last);
	return 0;
}
