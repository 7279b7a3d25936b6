/* SPDX-License-Identifier: ISC */
/*
 * Many messages one by one.  Any process.
 *
 * Headers of our own are given to the kernel: some C libraries do that anyway,
 * and what is to be found by a successor is stored by us.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "common/messages.h"

/* No family. */
#define MARK	((sa_family_t)-1)

/*
 * A signal that kills finds the process's own stores in its memory in the order
 * in which they were made; only the compiler might have others.
 */
static void
in_order(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static bool
receive_one(int fd, struct mmsghdr *message)
{
	const struct msghdr before = message->msg_hdr;
	struct msghdr header = before, again = before;
	ssize_t length = recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT);

	if (length == -1)
		return false;
	message->msg_hdr.msg_controllen = header.msg_controllen;
	message->msg_hdr.msg_flags = header.msg_flags;
	if (header.msg_name != NULL)
		((struct sockaddr_in6 *)header.msg_name)->sin6_family = MARK;
	in_order();
	message->msg_len = (uint32_t)length | MESSAGE_LOOKED_AT;
	in_order();
	/* The same again, to the same places: nobody else takes messages from
	 * this socket. */
	length = recvmsg(fd, &again, MSG_DONTWAIT);
	in_order();
	if (length == -1) {
		message->msg_len = MESSAGE_NONE;
		message->msg_hdr = before;
		return false;
	}
	message->msg_len = (uint32_t)length;
	return true;
}

int
messages_receive(int fd, struct mmsghdr *message, unsigned count)
{
	unsigned i = 0;

	while (i < count && receive_one(fd, &message[i]))
		i++;
	return i == 0 && count > 0 ? -1 : (int)i;
}

int
messages_send(int fd, struct mmsghdr *message, unsigned count)
{
	ssize_t length;
	unsigned i;

	for (i = 0; i < count; i++) {
		length = sendmsg(fd, &message[i].msg_hdr,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (length == -1)
			break;
		message[i].msg_len = (uint32_t)length;
	}
	return i == 0 && count > 0 ? -1 : (int)i;
}

bool
messages_has(const struct mmsghdr *message, const struct sockaddr_in6 *name)
{
	return message->msg_len != MESSAGE_NONE &&
	    ((message->msg_len & MESSAGE_LOOKED_AT) == 0 ||
	    name->sin6_family != MARK);
}
