/* SPDX-License-Identifier: ISC */
/*
 * No program in the kernel asks for a way.  See kernel_hop.h.  Supervisor only.
 */
#include "supervisor/kernel_hop.h"

enum hop_state
hop_find(const struct sockaddr_storage *from ATTR_UNUSED,
    const struct sockaddr_storage *to ATTR_UNUSED,
    uint32_t ifindex ATTR_UNUSED, uint8_t tos ATTR_UNUSED,
    struct hop *hop ATTR_UNUSED)
{
	return HOP_NO_ROUTE;
}
