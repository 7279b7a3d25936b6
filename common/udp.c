/* SPDX-License-Identifier: ISC */
/*
 * What the kernel says of a UDP socket and of what came by it.  Any process.
 * Runs once a message on the path of a datagram: must not allocate or wait.
 */
#include <netinet/in.h>
#include <stddef.h>

#include "common/udp.h"
#include "common/udp_priv.h"

bool
udp_is_group(const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_in *in = (const void *)address;

	if (address->ss_family == AF_INET6)
		return IN6_IS_ADDR_MULTICAST(&in6->sin6_addr);
	return IN_MULTICAST(ntohl(in->sin_addr.s_addr));
}

void
udp_read_arrival(struct msghdr *header, struct udp_arrival *arrival)
{
	struct cmsghdr *cmsg;

	*arrival = (struct udp_arrival){ 0 };
	for (cmsg = CMSG_FIRSTHDR(header); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(header, cmsg))
		udp_read_control(cmsg, arrival);
}
