/* SPDX-License-Identifier: ISC */
/*
 * A mcrelay-web that has been taken over, for tests of everybody else: it asks
 * for the status as often as it may, keeps what it gets, and tries to have more
 * memory by it.  Started by mcrelayd in place of mcrelay-web.  Says what it has
 * got after each answer.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/message.h"

#define KEPT_MAX	1000

/* -1: what came was no answer.  (The list of streams, which comes unasked, is
 * one of its own.) */
static int
receive_file(void)
{
	static struct message message;
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&message, sizeof(message)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg;
	int fd = -1;

	if (recvmsg(MESSAGE_FD, &msg, 0) <= 0)
		_exit(0);
	cmsg = CMSG_FIRSTHDR(&msg);
	if (message.type != MESSAGE_STATUS)
		return -1;
	if (cmsg != NULL && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

static bool
can_grow(int fd)
{
	struct stat st;

	return fstat(fd, &st) == -1 || ftruncate(fd, st.st_size + 4096) == 0 ||
	    pwrite(fd, "x", 1, st.st_size) == 1;
}

static void
tell(const int *fds, int count)
{
	long long bytes = 0;
	struct stat st;
	int i;

	for (i = 0; i < count - 1; i++)
		if (fstat(fds[i], &st) == 0)
			bytes += st.st_size;
	fprintf(stderr, "hoards %d files, %lld bytes of earlier ones%s%s\n",
	    count, bytes, can_grow(fds[count - 1]) ? ", grows it" : "",
	    pwrite(fds[count - 1], "x", 1, 0) == 1 ? ", changes it" : "");
}

int
main(void)
{
	static const struct message ready = {.type = MESSAGE_READY},
	    ask = {.type = MESSAGE_STATUS};
	int fds[KEPT_MAX], count = 0;

	signal(SIGTERM, SIG_DFL);
	(void)send(MESSAGE_FD, &ready, sizeof(ready), MSG_NOSIGNAL);
	while (count < KEPT_MAX) {
		if (send(MESSAGE_FD, &ask, sizeof(ask), MSG_NOSIGNAL) == -1)
			return 0;
		fds[count] = receive_file();
		if (fds[count] != -1)
			tell(fds, ++count);
	}
	return 0;
}
