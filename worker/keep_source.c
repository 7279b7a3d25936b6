/* SPDX-License-Identifier: ISC */
/*
 * Outputs that send with the sender's address and port.  See keep_source.h.
 * Worker, relay thread only.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <string.h>

#include "common/udp.h"
#include "worker/keep_source.h"

static int
get_int(int fd, int level, int option)
{
	socklen_t size = sizeof(int);
	int value = 0;

	return getsockopt(fd, level, option, &value, &size) == -1 ? 0 : value;
}

static void
learn_v4(struct ip_header *header, int fd, const struct sockaddr_in *to,
    bool group)
{
	memcpy(header->to, &to->sin_addr, 4);
	header->to_port = ntohs(to->sin_port);
	header->hops = (uint8_t)get_int(fd, IPPROTO_IP,
	    group ? IP_MULTICAST_TTL : IP_TTL);
	header->traffic_class = (uint8_t)get_int(fd, IPPROTO_IP, IP_TOS);
	header->may_fragment = true;
}

static void
learn_v6(struct ip_header *header, int fd, const struct sockaddr_in6 *to,
    bool group)
{
	header->v6 = true;
	memcpy(header->to, &to->sin6_addr, 16);
	header->to_port = ntohs(to->sin6_port);
	header->hops = (uint8_t)get_int(fd, IPPROTO_IPV6,
	    group ? IPV6_MULTICAST_HOPS : IPV6_UNICAST_HOPS);
	header->traffic_class = (uint8_t)get_int(fd, IPPROTO_IPV6,
	    IPV6_TCLASS);
}

/* SO_PEERNAME is getpeername(), which a worker's sandbox does not have; it
 * wants no more than there is. */
static bool
get_peer(int fd, struct sockaddr_storage *peer)
{
	socklen_t size = get_int(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET6 ?
	    sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

	memset(peer, 0, sizeof(*peer));
	return getsockopt(fd, SOL_SOCKET, SO_PEERNAME, peer, &size) == 0;
}

void
keep_source_learn(struct keep_source *keep, int socket)
{
	struct sockaddr_storage to;

	if (keep->known || !get_peer(socket, &to))
		return;
	if (to.ss_family == AF_INET6)
		learn_v6(&keep->header, socket, (const void *)&to,
		    udp_is_group(&to));
	else
		learn_v4(&keep->header, socket, (const void *)&to,
		    udp_is_group(&to));
	keep->known = true;
}

size_t
keep_source_header(const struct keep_source *keep,
    const struct ring_record *record, const uint8_t *payload, size_t size,
    uint8_t header[static IP_HEADER_MAX])
{
	struct ip_header filled = keep->header;

	if (record->family != (filled.v6 ? 6 : 4))
		return 0;
	memcpy(filled.from, record->address, sizeof(filled.from));
	filled.from_port = record->port;
	return ip_header_write(header, &filled, payload, size);
}
