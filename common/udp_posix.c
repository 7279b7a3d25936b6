/* SPDX-License-Identifier: ISC */
/*
 * What any system says of a UDP socket and of what came by it.  Any process.
 * Runs once a message on the path of a datagram: must not allocate or wait.
 */
#include <sys/time.h>
#include <errno.h>
#include <string.h>

#include "common/udp.h"
#include "common/udp_priv.h"
#include "common/util.h"

void
udp_read_control(const struct cmsghdr *cmsg, struct udp_arrival *arrival)
{
	struct timeval tv;

	if (cmsg->cmsg_level != SOL_SOCKET ||
	    cmsg->cmsg_type != SCM_TIMESTAMP ||
	    cmsg->cmsg_len < CMSG_LEN(sizeof(tv)))
		return;
	memcpy(&tv, CMSG_DATA(cmsg), sizeof(tv));
	arrival->received_ns = (uint64_t)tv.tv_sec * NS_PER_S +
	    (uint64_t)tv.tv_usec * NS_PER_US;
}

bool
udp_read_memory(int fd ATTR_UNUSED, struct udp_memory *memory ATTR_UNUSED)
{
	errno = ENOTSUP;
	return false;
}

int
udp_ask_times(int fd)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on));
}

int
udp_coalesce(int fd ATTR_UNUSED, bool want ATTR_UNUSED)
{
	return 0;
}

bool
udp_sends_runs(void)
{
	return false;
}

void
udp_put_segment(struct msghdr *header ATTR_UNUSED, void *control ATTR_UNUSED,
    uint16_t size ATTR_UNUSED)
{
}
