/* SPDX-License-Identifier: ISC */
/*
 * What the kernel says of a UDP socket and of what came by it.  Any process.
 * Runs once a message on the path of a datagram: must not allocate or wait.
 */
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "common/udp.h"
#include "common/util.h"

bool
udp_is_group(const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_in *in = (const void *)address;

	if (address->ss_family == AF_INET6)
		return IN6_IS_ADDR_MULTICAST(&in6->sin6_addr);
	return IN_MULTICAST(ntohl(in->sin_addr.s_addr));
}

static void
read_one(const struct cmsghdr *cmsg, struct udp_arrival *arrival)
{
	struct timespec ts;
	int size;	/* the kernel's type for UDP_GRO, see udp(7) */

	if (cmsg->cmsg_level == IPPROTO_UDP && cmsg->cmsg_type == UDP_GRO &&
	    cmsg->cmsg_len >= CMSG_LEN(sizeof(size))) {
		memcpy(&size, CMSG_DATA(cmsg), sizeof(size));
		arrival->datagram_size = size > 0 ? (uint32_t)size : 0;
	} else if (cmsg->cmsg_level == SOL_SOCKET &&
	    cmsg->cmsg_type == SCM_TIMESTAMPNS &&
	    cmsg->cmsg_len >= CMSG_LEN(sizeof(ts))) {
		memcpy(&ts, CMSG_DATA(cmsg), sizeof(ts));
		arrival->received_ns = (uint64_t)ts.tv_sec * NS_PER_S +
		    (uint64_t)ts.tv_nsec;
	} else if (cmsg->cmsg_level == SOL_SOCKET &&
	    cmsg->cmsg_type == SO_MARK &&
	    cmsg->cmsg_len >= CMSG_LEN(sizeof(arrival->mark)))
		memcpy(&arrival->mark, CMSG_DATA(cmsg),
		    sizeof(arrival->mark));
}

void
udp_read_arrival(struct msghdr *header, struct udp_arrival *arrival)
{
	struct cmsghdr *cmsg;

	*arrival = (struct udp_arrival){ 0 };
	for (cmsg = CMSG_FIRSTHDR(header); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(header, cmsg))
		read_one(cmsg, arrival);
}

bool
udp_read_memory(int fd, struct udp_memory *memory)
{
	uint32_t meminfo[SK_MEMINFO_VARS];
	socklen_t size = sizeof(meminfo);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, meminfo, &size) == -1 ||
	    size <= SK_MEMINFO_DROPS * sizeof(uint32_t))
		return false;
	memory->drops = meminfo[SK_MEMINFO_DROPS];
	memory->queued_bytes = meminfo[SK_MEMINFO_RMEM_ALLOC];
	memory->buffer_bytes = meminfo[SK_MEMINFO_RCVBUF];
	return true;
}
