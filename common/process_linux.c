/* SPDX-License-Identifier: ISC */
/*
 * Processes by descriptors, and prctl().  Any process.
 */
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "common/process.h"
#include "common/util.h"

int
process_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

void
process_close(int process)
{
	if (process != -1)
		close(process);
}

int
process_kill(int process)
{
	return (int)syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
}

void
process_reap(int process)
{
	(void)waitid(P_PIDFD, (id_t)process, &(siginfo_t){.si_pid = 0},
	    WEXITED);
}

bool
process_ends_within(int process, unsigned ms)
{
	return fd_wait_readable(process, ms);
}

int
process_end_with_parent(void)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int
process_gain_nothing(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void
process_hide(void)
{
	(void)prctl(PR_SET_DUMPABLE, 0);
}

void
process_sleep_exactly(void)
{
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);	/* ns */
}

void
process_share_heap(void)
{
#ifdef M_ARENA_MAX			/* glibc */
	(void)mallopt(M_ARENA_MAX, 1);
#endif
}

int
process_close_from(int first)
{
	return close_range((unsigned)first, UINT_MAX, 0);
}
