/* SPDX-License-Identifier: ISC */
/*
 * Questions to the kernel about its network (rtnetlink), which it answers at
 * once.  Supervisor only.
 */
#ifndef MCRELAY_NETLINK_H
#define MCRELAY_NETLINK_H

#include <sys/socket.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

/* One message, asked or answered. */
union netlink_message {
	struct {
		struct nlmsghdr	header;
		union {
			struct rtmsg		route;
			struct ndmsg		neighbour;
			struct ifinfomsg	link;
			struct nlmsgerr		error;
		};
	};
	char	bytes[8192];
};

/* A question, with so much before its attributes. */
void	netlink_begin(union netlink_message *message, uint16_t type,
	    uint16_t flags, size_t size) ATTR_NONNULL;
void	netlink_put(union netlink_message *message, uint16_t type,
	    const void *value, size_t size) ATTR_NONNULL;
/* The answer, in place of the question, is of this type, with so much before
 * its attributes. */
bool	netlink_ask(union netlink_message *message, uint16_t answer,
	    size_t size) ATTR_NONNULL;
/* The value of an attribute, with at least so many bytes; NULL: there is
 * none. */
const void	*netlink_find(const union netlink_message *message,
		    size_t header, uint16_t type, size_t size) ATTR_NONNULL;
/* The same of the attributes that are the value of another one; NULL: of
 * none. */
const void	*netlink_find_in(const void *value, uint16_t type,
		    size_t size);

#endif /* MCRELAY_NETLINK_H */
