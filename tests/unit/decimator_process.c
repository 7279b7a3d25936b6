/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-decimator as a process of its own, seen from outside.  Tests only.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/message.h"
#include "decimator/decimator.h"
#include "tests/unit/decimator_process.h"
#include "tests/unit/reader_support.h"

pid_t
decimator_start(int *control)
{
	struct message message;
	struct pollfd ready = {.events = POLLIN};
	int pair[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    pair), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		/* Only root looks into a process in its sandbox; a system
		 * call that this does not have ends it. */
		setenv("MCRELAY_SANDBOX", geteuid() == 0 ? "kill" : "none",
		    0);
		if (dup2(pair[1], MESSAGE_FD) == -1 ||
		    close_range(MESSAGE_FD + 1, UINT32_MAX, 0) == -1)
			_exit(99);
		_exit(decimator_run());
	}
	close(pair[1]);
	*control = ready.fd = pair[0];
	assert_int_equal(poll(&ready, 1, 10000), 1);
	assert_int_equal(recv(*control, &message, sizeof(message), 0),
	    sizeof(message));
	assert_int_equal(message.type, MESSAGE_READY);
	return pid;
}

int
decimator_reap(pid_t *pid)
{
	pid_t got = 0;
	int status = -1;

	WAIT_FOR((got = waitpid(*pid, &status, WNOHANG)) != 0);
	assert_int_equal(got, *pid);
	*pid = 0;
	return status;
}

unsigned
process_fds(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	return directory_entries(path);
}

long
process_fact(pid_t pid, const char *key)
{
	char path[64], line[256];
	long value = -1;
	char *p;
	FILE *file;
	size_t length = strlen(key);

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, length) == 0) {
			for (p = line + length; *p == '\t'; p++)
				continue;
			value = *p >= '0' && *p <= '9' ?
			    strtol(p, NULL, 10) : *p;
		}
	fclose(file);
	assert_int_not_equal(value, -1);
	return value;
}
