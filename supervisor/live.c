/* SPDX-License-Identifier: ISC */
/*
 * Pairs of sockets that streams are shown by.  Supervisor only.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/live.h"

/* So much may wait to be seen, if the kernel lets us. */
#define LIVE_BUFFER	(1024 * 1024)

bool
live_pair_open(struct live_pair *pair)
{
	int fds[2], size = LIVE_BUFFER;

	if (pair->out != -1)
		return true;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0, fds) == -1)
		return false;
	if (setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &size,
	    sizeof(size)) == -1)
		(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size,
		    sizeof(size));
	pair->out = fds[0];
	pair->in = fds[1];
	return true;
}

bool
live_pair_close(struct live_pair *pair)
{
	if (pair->out == -1)
		return false;
	close(pair->out);
	close(pair->in);
	pair->out = pair->in = -1;
	return true;
}
