/* SPDX-License-Identifier: ISC */
/*
 * What says the numbers of many segments, one after the other: `mcrelayd
 * --account' with a socket in the place of a segment.  It has the rights of the
 * supervisor, which was this very program, and so reads nothing that a worker
 * wrote: each segment has a process of its own, which becomes its user before.
 */
#include <sys/socket.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/process.h"
#include "common/util.h"
#include "supervisor/account_priv.h"
#include "supervisor/spawn.h"

/* A number, and what follows it. */
static bool
take_number(const char **text, unsigned *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(*text, &end, 10);
	if (end == *text || errno != 0 || value > UINT_MAX)
		return false;
	*text = end;
	*number = (unsigned)value;
	return true;
}

static bool
parse_user(const char *text, struct privdrop *user)
{
	memset(user, 0, sizeof(*user));
	if (!take_number(&text, &user->uid) || !take_number(&text, &user->gid))
		return false;
	while (*text != '\0') {
		if (user->groups == NITEMS(user->group) ||
		    !take_number(&text, &user->group[user->groups]))
			return false;
		user->groups++;
	}
	return true;
}

static _Noreturn void
run_child(const struct privdrop *user, const int *fds, int (*print)(void))
{
	int status = 1;

	spawn_reset_signals();
	/* They lie behind it; the socket goes. */
	if (dup2(fds[1], STDOUT_FILENO) != -1 &&
	    dup2(fds[0], ACCOUNT_FD) != -1 &&
	    process_close_from(ACCOUNT_FD + 1) == 0 && setsid() != -1 &&
	    account_become(user) == 0)
		status = print();
	_exit(status);
}

static enum account_answer
answer_one(const char *text, const int *fds, int (*print)(void))
{
	struct privdrop user;
	pid_t pid;

	if (!parse_user(text, &user))
		return ACCOUNT_NONSENSE;
	pid = account_fork();
	if (pid == 0)
		run_child(&user, fds, print);
	return pid == -1 ? ACCOUNT_NONSENSE : account_await(pid);
}

int
account_serve(int (*print)(void))
{
	char text[ACCOUNT_REQUEST_MAX + 1];
	unsigned char said;
	size_t count, i;
	ssize_t got;
	int fds[2];

	for (;;) {
		count = NITEMS(fds);
		got = fd_receive(ACCOUNT_FD, text, sizeof(text) - 1, fds,
		    &count);
		if (got <= 0)
			return got == 0 ? 0 : 1;
		text[got] = '\0';
		said = ACCOUNT_NONSENSE;
		if (count == NITEMS(fds))
			said = (unsigned char)answer_one(text, fds, print);
		for (i = 0; i < count; i++)
			close(fds[i]);
		if (send(ACCOUNT_FD, &said, sizeof(said), MSG_NOSIGNAL) != 1)
			return 1;
	}
}
