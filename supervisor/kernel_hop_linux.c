/* SPDX-License-Identifier: ISC */
/*
 * Asks the kernel for routes and neighbours.  See kernel_hop.h.  Supervisor
 * only.
 */
#include <sys/socket.h>
#include <linux/neighbour.h>
#include <netinet/in.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/kernel_hop.h"
#include "supervisor/netlink.h"

/* As ip(8): all of these have an address that packets are sent to. */
#define NUD_VALID	(NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | \
			    NUD_PROBE | NUD_STALE | NUD_DELAY)

struct place {
	int		family;
	const void	*address;
	size_t		size;
	uint16_t	port;		/* network byte order */
};

static struct place
place_of(const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_in *in = (const void *)address;

	if (address->ss_family == AF_INET6)
		return (struct place){AF_INET6, &in6->sin6_addr, 16,
		    in6->sin6_port};
	return (struct place){AF_INET, &in->sin_addr, 4, in->sin_port};
}

/* *next is the one who takes the packet on the interface. */
static bool
find_route(const struct place *from, const struct place *to, uint32_t ifindex,
    uint8_t tos, struct hop *hop, uint8_t next[16], int *family)
{
	const size_t size = sizeof(struct rtmsg);
	const uint8_t udp = IPPROTO_UDP;
	const struct rtvia *via;
	union netlink_message message;
	const void *value, *metrics;

	netlink_begin(&message, RTM_GETROUTE, 0, size);
	message.route.rtm_family = (uint8_t)to->family;
	message.route.rtm_dst_len = (uint8_t)(to->size * 8);
	message.route.rtm_src_len = message.route.rtm_dst_len;
	message.route.rtm_tos = to->family == AF_INET ? tos : 0;
	netlink_put(&message, RTA_DST, to->address, to->size);
	netlink_put(&message, RTA_SRC, from->address, from->size);
	/* Of several ways of one route these choose. */
	netlink_put(&message, RTA_IP_PROTO, &udp, sizeof(udp));
	netlink_put(&message, RTA_SPORT, &from->port, sizeof(from->port));
	netlink_put(&message, RTA_DPORT, &to->port, sizeof(to->port));
	if (ifindex != 0)
		netlink_put(&message, RTA_OIF, &ifindex, sizeof(ifindex));
	if (!netlink_ask(&message, RTM_NEWROUTE, size) ||
	    message.route.rtm_type != RTN_UNICAST ||
	    netlink_find(&message, size, RTA_ENCAP_TYPE, 0) != NULL ||
	    (value = netlink_find(&message, size, RTA_OIF, 4)) == NULL)
		return false;
	memcpy(&hop->ifindex, value, sizeof(hop->ifindex));
	metrics = netlink_find(&message, size, RTA_METRICS, 0);
	value = netlink_find_in(metrics, RTAX_MTU, 4);
	if (value != NULL)
		memcpy(&hop->mtu, value, sizeof(hop->mtu));
	*family = to->family;
	memcpy(next, to->address, to->size);
	value = netlink_find(&message, size, RTA_GATEWAY, to->size);
	if (value != NULL)
		memcpy(next, value, to->size);
	via = netlink_find(&message, size, RTA_VIA, sizeof(*via) + 16);
	if (via != NULL && via->rtvia_family == AF_INET6) {
		*family = AF_INET6;
		memcpy(next, via->rtvia_addr, 16);
	}
	return true;
}

static void
begin_neighbour(union netlink_message *message, uint16_t type, int family,
    uint32_t ifindex, const uint8_t address[16])
{
	netlink_begin(message, type, 0, sizeof(message->neighbour));
	message->neighbour.ndm_family = (uint8_t)family;
	message->neighbour.ndm_ifindex = (int)ifindex;
	netlink_put(message, NDA_DST, address, family == AF_INET6 ? 16 : 4);
}

/* As if a packet had been sent to it. */
static void
use_neighbour(int family, uint32_t ifindex, const uint8_t address[16])
{
	union netlink_message message;

	begin_neighbour(&message, RTM_NEWNEIGH, family, ifindex, address);
	message.neighbour.ndm_flags = NTF_USE;
	(void)netlink_ask(&message, NLMSG_ERROR, 0);
}

enum hop_state
hop_find(const struct sockaddr_storage *from,
    const struct sockaddr_storage *to, uint32_t ifindex, uint8_t tos,
    struct hop *hop)
{
	struct place source = place_of(from), destination = place_of(to);
	const size_t size = sizeof(struct ndmsg);
	union netlink_message message;
	uint8_t next[16];
	const void *mac;
	int family;

	memset(hop, 0, sizeof(*hop));
	if (!find_route(&source, &destination, ifindex, tos, hop, next,
	    &family))
		return HOP_NO_ROUTE;
	begin_neighbour(&message, RTM_GETNEIGH, family, hop->ifindex, next);
	if (!netlink_ask(&message, RTM_NEWNEIGH, size) ||
	    (message.neighbour.ndm_state & NUD_VALID) == 0 ||
	    (mac = netlink_find(&message, size, NDA_LLADDR,
	    sizeof(hop->mac))) == NULL)
		return HOP_NO_NEIGHBOUR;
	memcpy(hop->mac, mac, sizeof(hop->mac));
	if ((message.neighbour.ndm_state & NUD_STALE) != 0)
		use_neighbour(family, hop->ifindex, next);
	return HOP_FOUND;
}
