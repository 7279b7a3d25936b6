/* SPDX-License-Identifier: ISC */
/*
 * Many messages by one call, and what a process that is killed in it leaves
 * behind.  Any process; on the path of a datagram: never waits.
 *
 * The worker keeps the messages in memory that its successor has.  Where the
 * kernel takes many it stores each one's length there itself, before it acts on
 * a signal.  Where it takes one at a time the length would be in a register of
 * the dead.  So a message is looked at first, its length noted with
 * MESSAGE_LOOKED_AT, a mark put where its sender's address goes, and only then
 * taken: whether the mark is still there says whether it was.
 *
 * Nothing says so of a message that is sent by itself: the one that was just on
 * its way when its sender was killed is sent again.
 */
#ifndef MCRELAY_MESSAGES_H
#define MCRELAY_MESSAGES_H

#include <sys/socket.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

#define MESSAGE_NONE		UINT32_MAX	/* before there is one */
#define MESSAGE_LOOKED_AT	(UINT32_C(1) << 31)

/*
 * As recvmmsg(2) and sendmmsg(2), with MSG_DONTWAIT, and to send MSG_NOSIGNAL.
 * To receive, each message has room for a sender's address of IPv6, or for
 * none.
 */
int	messages_receive(int fd, struct mmsghdr *message, unsigned count)
	    ATTR_NONNULL;
int	messages_send(int fd, struct mmsghdr *message, unsigned count)
	    ATTR_NONNULL;

/* Whether there is a message, in a dead process's memory: where the addresses
 * point is not looked at, `name' is where the sender's was to go. */
bool	messages_has(const struct mmsghdr *message,
	    const struct sockaddr_in6 *name) ATTR_NONNULL;

/* Of one that there is. */
static inline uint32_t
messages_length(const struct mmsghdr *message)
{
	return message->msg_len & ~MESSAGE_LOOKED_AT;
}

#endif /* MCRELAY_MESSAGES_H */
