/* SPDX-License-Identifier: ISC */
/*
 * Asks the kernel for routes and neighbours.  See kernel_hop.h.  Supervisor
 * only.
 */
#include <sys/socket.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/kernel_hop.h"

/* As ip(8): all of these have an address that packets are sent to. */
#define NUD_VALID	(NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | \
			    NUD_PROBE | NUD_STALE | NUD_DELAY)
#define ROOM		4096

/* One message, asked or answered. */
union message {
	struct {
		struct nlmsghdr	header;
		union {
			struct rtmsg	route;
			struct ndmsg	neighbour;
			struct nlmsgerr	error;
		};
	};
	char	bytes[ROOM];
};

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

/*** Messages. ***/

static void
begin(union message *message, uint16_t type, uint16_t flags, size_t size)
{
	memset(message, 0, sizeof(*message));
	message->header.nlmsg_type = type;
	message->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	message->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
}

static void
put(union message *message, uint16_t type, const void *value, size_t size)
{
	size_t at = NLMSG_ALIGN(message->header.nlmsg_len);
	struct rtattr *attribute = (void *)(message->bytes + at);

	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), value, size);
	message->header.nlmsg_len = (uint32_t)(at + RTA_ALIGN(
	    attribute->rta_len));
}

/* The value of an attribute, with at least so many bytes; NULL: there is
 * none. */
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

static const void *
find(const union message *message, size_t header, uint16_t type, size_t size)
{
	return get(message->bytes + NLMSG_LENGTH(NLMSG_ALIGN(header)),
	    message->header.nlmsg_len - NLMSG_LENGTH(NLMSG_ALIGN(header)),
	    type, size);
}

/* The answer, in place of the question, is of this type, with so much before
 * its attributes.  It is there when send() comes back. */
static bool
ask(union message *message, uint16_t answer, size_t size)
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

/*** What is asked. ***/

/* *next is the one who takes the packet on the interface. */
static bool
find_route(const struct place *from, const struct place *to, uint32_t ifindex,
    uint8_t tos, struct hop *hop, uint8_t next[16], int *family)
{
	const size_t size = sizeof(struct rtmsg);
	const uint8_t udp = IPPROTO_UDP;
	const struct rtvia *via;
	union message message;
	const void *value, *metrics;

	begin(&message, RTM_GETROUTE, 0, size);
	message.route.rtm_family = (uint8_t)to->family;
	message.route.rtm_dst_len = (uint8_t)(to->size * 8);
	message.route.rtm_src_len = message.route.rtm_dst_len;
	message.route.rtm_tos = to->family == AF_INET ? tos : 0;
	put(&message, RTA_DST, to->address, to->size);
	put(&message, RTA_SRC, from->address, from->size);
	/* Of several ways of one route these choose. */
	put(&message, RTA_IP_PROTO, &udp, sizeof(udp));
	put(&message, RTA_SPORT, &from->port, sizeof(from->port));
	put(&message, RTA_DPORT, &to->port, sizeof(to->port));
	if (ifindex != 0)
		put(&message, RTA_OIF, &ifindex, sizeof(ifindex));
	if (!ask(&message, RTM_NEWROUTE, size) ||
	    message.route.rtm_type != RTN_UNICAST ||
	    find(&message, size, RTA_ENCAP_TYPE, 0) != NULL ||
	    (value = find(&message, size, RTA_OIF, 4)) == NULL)
		return false;
	memcpy(&hop->ifindex, value, sizeof(hop->ifindex));
	metrics = find(&message, size, RTA_METRICS, 0);
	if (metrics != NULL && (value = get(metrics, RTA_PAYLOAD(
	    (const struct rtattr *)metrics - 1), RTAX_MTU, 4)) != NULL)
		memcpy(&hop->mtu, value, sizeof(hop->mtu));
	*family = to->family;
	memcpy(next, to->address, to->size);
	value = find(&message, size, RTA_GATEWAY, to->size);
	if (value != NULL)
		memcpy(next, value, to->size);
	via = find(&message, size, RTA_VIA, sizeof(*via) + 16);
	if (via != NULL && via->rtvia_family == AF_INET6) {
		*family = AF_INET6;
		memcpy(next, via->rtvia_addr, 16);
	}
	return true;
}

static void
begin_neighbour(union message *message, uint16_t type, int family,
    uint32_t ifindex, const uint8_t address[16])
{
	begin(message, type, 0, sizeof(message->neighbour));
	message->neighbour.ndm_family = (uint8_t)family;
	message->neighbour.ndm_ifindex = (int)ifindex;
	put(message, NDA_DST, address, family == AF_INET6 ? 16 : 4);
}

/* As if a packet had been sent to it. */
static void
use_neighbour(int family, uint32_t ifindex, const uint8_t address[16])
{
	union message message;

	begin_neighbour(&message, RTM_NEWNEIGH, family, ifindex, address);
	message.neighbour.ndm_flags = NTF_USE;
	(void)ask(&message, NLMSG_ERROR, 0);
}

enum hop_state
hop_find(const struct sockaddr_storage *from,
    const struct sockaddr_storage *to, uint32_t ifindex, uint8_t tos,
    struct hop *hop)
{
	struct place source = place_of(from), destination = place_of(to);
	const size_t size = sizeof(struct ndmsg);
	union message message;
	uint8_t next[16];
	const void *mac;
	int family;

	memset(hop, 0, sizeof(*hop));
	if (!find_route(&source, &destination, ifindex, tos, hop, next,
	    &family))
		return HOP_NO_ROUTE;
	begin_neighbour(&message, RTM_GETNEIGH, family, hop->ifindex, next);
	if (!ask(&message, RTM_NEWNEIGH, size) ||
	    (message.neighbour.ndm_state & NUD_VALID) == 0 ||
	    (mac = find(&message, size, NDA_LLADDR, sizeof(hop->mac))) == NULL)
		return HOP_NO_NEIGHBOUR;
	memcpy(hop->mac, mac, sizeof(hop->mac));
	if ((message.neighbour.ndm_state & NUD_STALE) != 0)
		use_neighbour(family, hop->ifindex, next);
	return HOP_FOUND;
}
