/* SPDX-License-Identifier: ISC */
/*
 * Where a packet to a host goes: the interface, the hardware address that it
 * has there, and how long it may be.  Asks the kernel (rtnetlink), which
 * answers at once.  Supervisor only.
 *
 * Nobody but the kernel finds out a hardware address, and only for packets that
 * it routes itself: one that is not known yet comes to be by what a worker
 * sends, and one that is in use by others only is asked for anew from here, as
 * it would be for them.
 */
#ifndef MCRELAY_KERNEL_HOP_H
#define MCRELAY_KERNEL_HOP_H

#include <sys/socket.h>
#include <stdint.h>

#include "common/compiler.h"

enum hop_state {
	HOP_FOUND,
	HOP_NO_ROUTE,		/* to it as to a host elsewhere */
	HOP_NO_NEIGHBOUR	/* its hardware address is not known now */
};

struct hop {
	uint32_t	ifindex;
	uint32_t	mtu;		/* of the way; 0: the interface's */
	uint8_t		mac[6];
};

/* A packet of UDP between these, by the interface (0: by any), with this type
 * of service. */
enum hop_state	hop_find(const struct sockaddr_storage *from,
		    const struct sockaddr_storage *to, uint32_t ifindex,
		    uint8_t tos, struct hop *hop) ATTR_NONNULL;

#endif /* MCRELAY_KERNEL_HOP_H */
