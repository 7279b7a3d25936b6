/* SPDX-License-Identifier: ISC */
/*
 * Two UDP sockets on loopback, each connected to the other: the input of a
 * channel that archives a stream, and what the decimator feeds it by.
 * Supervisor only.
 */
#include <sys/socket.h>
#include <string.h>

#include "supervisor/sockets.h"
#include "supervisor/sockets_priv.h"

static int
connect_to(int fd, int other)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (getsockname(other, (void *)&address, &size) == -1)
		return -1;
	return connect(fd, (void *)&address, size);
}

static int
join_pair(const struct listen_config *listen, int input, int feed,
    const char **what)
{
	if (sockets_bind(input, listen, what) == -1 ||
	    sockets_bind(feed, listen, what) == -1)
		return -1;
	*what = "connect";
	if (connect_to(input, feed) == -1 || connect_to(feed, input) == -1)
		return -1;
	/* Until now anybody could send. */
	(void)sockets_discard(input, UINT64_MAX);
	if (sockets_set_int(feed, SOL_SOCKET, SO_SNDBUFFORCE,
	    SOCKETS_SEND_BUFFER) == -1)
		(void)sockets_set_int(feed, SOL_SOCKET, SO_SNDBUF,
		    SOCKETS_SEND_BUFFER);
	return 0;
}

int
sockets_pair(const struct listen_config *listen, int *input, int *feed,
    const char **what)
{
	*input = sockets_input(listen, what);
	if (*input == -1)
		return -1;
	*feed = socket(listen->address.ss_family,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*feed == -1)
		return sockets_fail(*input);
	if (join_pair(listen, *input, *feed, what) == 0)
		return 0;
	(void)sockets_fail(*feed);
	return sockets_fail(*input);
}

static bool
is_peer(int fd, int other)
{
	struct sockaddr_storage own, peer;
	socklen_t own_size = sizeof(own), peer_size = sizeof(peer);

	memset(&own, 0, sizeof(own));
	memset(&peer, 0, sizeof(peer));
	return getsockname(other, (void *)&own, &own_size) == 0 &&
	    getpeername(fd, (void *)&peer, &peer_size) == 0 &&
	    memcmp(&own, &peer, sizeof(own)) == 0;
}

bool
sockets_are_pair(int input, int feed)
{
	return is_peer(input, feed) && is_peer(feed, input);
}
