/* SPDX-License-Identifier: ISC */
/*
 * Hears who asks for members of groups.  See querier.h.  Supervisor only.
 * Reads what anybody in the network may send: a false query can only keep
 * quiet what would be said of a missing one.
 */
#include <sys/socket.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/igmp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/querier.h"
#include "supervisor/sockets_priv.h"

/* What one turn of the loop may take in. */
#define MESSAGES_MAX	64

/* The protocols, as people know them; by the place in struct querier. */
static const char protocol[][5] = {"IGMP", "MLD"};

static size_t
place_of(int family)
{
	return family == AF_INET6 ? 1 : 0;
}

/*** What is known. ***/

static struct querier_link *
find(const struct querier *querier, int index, int family)
{
	size_t i;

	for (i = 0; i < querier->links; i++)
		if (querier->link[i].index == index &&
		    querier->link[i].family == family)
			return &querier->link[i];
	return NULL;
}

static void
say_heard(const struct querier_link *link, const struct sockaddr *source)
{
	char address[ADDRESS_TEXT_SIZE], interface[IF_NAMESIZE] = "?";

	format_address(source, address);
	(void)if_indextoname((unsigned)link->index, interface);
	log_info("%s queries come in on %s from %s", protocol[place_of(
	    link->family)], interface, address);
}

static void
say_missing(const struct querier_link *link)
{
	const char *name = protocol[place_of(link->family)];
	char interface[IF_NAMESIZE] = "?";

	(void)if_indextoname((unsigned)link->index, interface);
	log_warnx("no %s query came in on %s for %u s: if a switch there "
	    "snoops, it will stop sending groups: turn on the querier of a "
	    "switch or router", name, interface, QUERIER_SILENCE_S);
}

void
querier_heard(struct querier *querier, int index,
    const struct sockaddr *source, uint64_t now_ns)
{
	struct querier_link *link = find(querier, index, source->sa_family);

	if (link == NULL)
		return;
	if (link->heard_ns == 0 || link->missing)
		say_heard(link, source);
	link->heard_ns = now_ns;
	link->missing = false;
}

void
querier_begin(struct querier *querier)
{
	size_t i;

	for (i = 0; i < querier->links; i++)
		querier->link[i].joined = false;
}

/* Groups that no switch may filter, or that stay in this host. */
static bool
is_exempt(const struct sockaddr_storage *group)
{
	static const struct in6_addr all_nodes = {{{0xff, 0x02, [15] = 1}}};
	const struct sockaddr_in6 *in6 = (const void *)group;
	const struct sockaddr_in *in = (const void *)group;

	if (group->ss_family == AF_INET6)
		return IN6_IS_ADDR_MC_NODELOCAL(&in6->sin6_addr) ||
		    IN6_ARE_ADDR_EQUAL(&in6->sin6_addr, &all_nodes);
	return (ntohl(in->sin_addr.s_addr) & 0xffffff00) == 0xe0000000;
}

void
querier_joined(struct querier *querier, int index,
    const struct sockaddr_storage *group, bool up, uint64_t now_ns)
{
	struct querier_link *link = find(querier, index, group->ss_family);

	if (!querier->hears[place_of(group->ss_family)] || is_exempt(group))
		return;
	if (link == NULL) {
		querier->link = xrealloc(querier->link,
		    (querier->links + 1) * sizeof(*querier->link));
		link = &querier->link[querier->links++];
		*link = (struct querier_link){.index = index,
		    .family = group->ss_family, .since_ns = now_ns};
	}
	/* Nobody can be heard then. */
	if (!up)
		link->since_ns = now_ns;
	link->joined = true;
}

void
querier_end(struct querier *querier, uint64_t now_ns)
{
	struct querier_link *link;
	uint64_t last_ns;
	size_t i, kept = 0;
	bool missing;

	for (i = 0; i < querier->links; i++) {
		link = &querier->link[i];
		if (!link->joined)
			continue;
		last_ns = MAX_OF(link->heard_ns, link->since_ns);
		missing = now_ns > last_ns &&
		    now_ns - last_ns > QUERIER_SILENCE_S * NS_PER_S;
		if (missing && !link->missing)
			say_missing(link);
		link->missing = missing;
		querier->link[kept++] = *link;
	}
	querier->links = kept;
}

bool
querier_missing(const struct querier *querier, int index,
    const struct sockaddr_storage *group)
{
	const struct querier_link *link = find(querier, index,
	    group->ss_family);

	return link != NULL && link->missing && !is_exempt(group);
}

/*** Sockets. ***/

/* Whether the packet, with its IP header for IPv4, is a query. */
static bool
is_query(int family, const unsigned char *packet, size_t size)
{
	size_t head;

	if (family == AF_INET6)
		return size >= sizeof(struct mld_hdr) &&
		    packet[0] == MLD_LISTENER_QUERY;
	if (size < sizeof(struct iphdr))
		return false;
	head = (packet[0] & 15U) * 4;
	return size >= head + sizeof(struct igmp) &&
	    packet[head] == IGMP_MEMBERSHIP_QUERY;
}

/* The interface that it came in by; 0: not known. */
static int
index_of(struct msghdr *header)
{
	struct cmsghdr *cmsg;
	struct in6_pktinfo in6;
	struct in_pktinfo in;

	for (cmsg = CMSG_FIRSTHDR(header); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(header, cmsg))
		if (cmsg->cmsg_level == IPPROTO_IP &&
		    cmsg->cmsg_type == IP_PKTINFO) {
			memcpy(&in, CMSG_DATA(cmsg), sizeof(in));
			return in.ipi_ifindex;
		} else if (cmsg->cmsg_level == IPPROTO_IPV6 &&
		    cmsg->cmsg_type == IPV6_PKTINFO) {
			memcpy(&in6, CMSG_DATA(cmsg), sizeof(in6));
			return (int)in6.ipi6_ifindex;
		}
	return 0;
}

/* False: there is none. */
static bool
hear(struct querier *querier, int fd)
{
	struct sockaddr_storage source = {.ss_family = AF_UNSPEC};
	unsigned char packet[256];
	union {
		char		buffer[256];
		struct cmsghdr	align;
	} control;
	struct iovec iov = {.iov_base = packet, .iov_len = sizeof(packet)};
	struct msghdr header = {.msg_name = &source,
	    .msg_namelen = sizeof(source), .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control.buffer,
	    .msg_controllen = sizeof(control.buffer)};
	ssize_t size = recvmsg(fd, &header, 0);

	if (size == -1)
		return errno == EINTR;
	if (is_query(source.ss_family, packet, (size_t)size))
		querier_heard(querier, index_of(&header),
		    (const void *)&source, clock_monotonic_ns());
	return true;
}

static void
on_packets(struct ev_loop *loop ATTR_UNUSED, ev_io *io, int events ATTR_UNUSED)
{
	unsigned i;

	for (i = 0; i < MESSAGES_MAX; i++)
		if (!hear(io->data, io->fd))
			break;
}

static int
set_options(int fd, int family)
{
	struct icmp6_filter filter;

	if (family == AF_INET)
		return sockets_set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(MLD_LISTENER_QUERY, &filter);
	if (setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter,
	    sizeof(filter)) == -1)
		return -1;
	return sockets_set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

static int
open_raw(int family)
{
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_IGMP);

	if (fd == -1)
		return -1;
	return set_options(fd, family) == -1 ? sockets_fail(fd) : fd;
}

void
querier_inherit(struct querier *querier, struct querier_link *link,
    size_t links)
{
	querier->link = link;
	querier->links = links;
}

void
querier_start(struct querier *querier, struct ev_loop *loop)
{
	static const int family[] = {AF_INET, AF_INET6};
	size_t i;
	int fd;

	querier->loop = loop;
	for (i = 0; i < NITEMS(family); i++) {
		fd = open_raw(family[i]);
		querier->hears[i] = fd != -1;
		if (fd == -1) {
			log_debug("a missing %s querier cannot be noticed: "
			    "%s", protocol[i], strerror(errno));
			continue;
		}
		ev_io_init(&querier->io[i], on_packets, fd, EV_READ);
		querier->io[i].data = querier;
		ev_io_start(loop, &querier->io[i]);
	}
}

void
querier_stop(struct querier *querier)
{
	size_t i;

	for (i = 0; i < NITEMS(querier->io); i++) {
		if (!querier->hears[i])
			continue;
		ev_io_stop(querier->loop, &querier->io[i]);
		close(querier->io[i].fd);
		querier->hears[i] = false;
	}
	free(querier->link);
	querier->link = NULL;
	querier->links = 0;
}
