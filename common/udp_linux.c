/* SPDX-License-Identifier: ISC */
/*
 * What Linux says of a UDP socket and of what came by it, and runs of datagrams
 * in one message.  Any process.  Runs once a message on the path of a datagram:
 * must not allocate or wait.
 */
#include <linux/sock_diag.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "common/udp.h"
#include "common/udp_priv.h"
#include "common/util.h"

void
udp_read_control(const struct cmsghdr *cmsg, struct udp_arrival *arrival)
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

int
udp_ask_times(int fd)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
}

int
udp_coalesce(int fd, bool want)
{
	const int on = want;

	return setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
}

bool
udp_sends_runs(void)
{
	return true;
}

void
udp_put_segment(struct msghdr *header, void *control, uint16_t size)
{
	struct cmsghdr *cmsg;

	header->msg_control = control;
	header->msg_controllen = CMSG_SPACE(sizeof(size));
	cmsg = CMSG_FIRSTHDR(header);
	cmsg->cmsg_level = IPPROTO_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(cmsg), &size, sizeof(size));
}
