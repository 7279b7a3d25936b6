/* SPDX-License-Identifier: ISC */
/*
 * Asks the kernel about its network.  See netlink.h.  Supervisor only.
 */
#include <string.h>
#include <unistd.h>

#include "supervisor/netlink.h"

void
netlink_begin(union netlink_message *message, uint16_t type, uint16_t flags,
    size_t size)
{
	memset(message, 0, sizeof(*message));
	message->header.nlmsg_type = type;
	message->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	message->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
}

void
netlink_put(union netlink_message *message, uint16_t type, const void *value,
    size_t size)
{
	size_t at = NLMSG_ALIGN(message->header.nlmsg_len);
	struct rtattr *attribute = (void *)(message->bytes + at);

	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), value, size);
	message->header.nlmsg_len = (uint32_t)(at + RTA_ALIGN(
	    attribute->rta_len));
}

static const void *
get(const void *first, size_t left, uint16_t type, size_t size)
{
	const struct rtattr *attribute = first;

	for (; RTA_OK(attribute, left);
	    attribute = RTA_NEXT(attribute, left))
		if ((attribute->rta_type & NLA_TYPE_MASK) == type)
			return RTA_PAYLOAD(attribute) >= size ?
			    RTA_DATA(attribute) : NULL;
	return NULL;
}

const void *
netlink_find(const union netlink_message *message, size_t header,
    uint16_t type, size_t size)
{
	return get(message->bytes + NLMSG_LENGTH(NLMSG_ALIGN(header)),
	    message->header.nlmsg_len - NLMSG_LENGTH(NLMSG_ALIGN(header)),
	    type, size);
}

const void *
netlink_find_in(const void *value, uint16_t type, size_t size)
{
	if (value == NULL)
		return NULL;
	return get(value, RTA_PAYLOAD((const struct rtattr *)value - 1), type,
	    size);
}

/* It is there when send() comes back. */
bool
netlink_ask(union netlink_message *message, uint16_t answer, size_t size)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n = -1;

	if (fd == -1)
		return false;
	if (send(fd, message, message->header.nlmsg_len, 0) != -1)
		n = recv(fd, message, sizeof(*message), MSG_DONTWAIT);
	close(fd);
	return n >= (ssize_t)NLMSG_LENGTH(size) &&
	    message->header.nlmsg_len >= NLMSG_LENGTH(size) &&
	    message->header.nlmsg_len <= (size_t)n &&
	    message->header.nlmsg_type == answer;
}
