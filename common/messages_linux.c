/* SPDX-License-Identifier: ISC */
/*
 * Many messages by one system call.  Any process.
 */
#include <time.h>

#include "common/messages.h"

int
messages_receive(int fd, struct mmsghdr *message, unsigned count)
{
	return recvmmsg(fd, message, count, MSG_DONTWAIT, NULL);
}

int
messages_send(int fd, struct mmsghdr *message, unsigned count)
{
	return sendmmsg(fd, message, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool
messages_has(const struct mmsghdr *message,
    const struct sockaddr_in6 *name ATTR_UNUSED)
{
	return message->msg_len != MESSAGE_NONE;
}
