/* SPDX-License-Identifier: ISC */
/*
 * Which groups the interfaces of this host are members of, as the kernel tells
 * it in /proc/net.  A socket says what it has joined, also when the interface
 * has been made again under its index since and knows nothing of it.
 * Supervisor only.
 */
#ifndef MCRELAY_MEMBERSHIPS_H
#define MCRELAY_MEMBERSHIPS_H

#include <sys/socket.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"

struct memberships {
	struct membership {
		int		index;
		struct in6_addr	group;	/* of IPv4: mapped */
	}	*list;
	size_t	 count;
	bool	 v4, v6;	/* could be read */
};

/* As they are now; but of a list that changes meanwhile the kernel may leave
 * out some. */
void	memberships_read(struct memberships *memberships) ATTR_NONNULL;
/* True as well when that is not known. */
bool	memberships_have(const struct memberships *memberships, int index,
	    const struct sockaddr_storage *group) ATTR_NONNULL;
void	memberships_free(struct memberships *memberships) ATTR_NONNULL;

#endif /* MCRELAY_MEMBERSHIPS_H */
