/* SPDX-License-Identifier: ISC */
/*
 * Opens output sockets: options, source address, connect.  Supervisor only.
 * Never sends a datagram.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/sockets.h"
#include "supervisor/sockets_priv.h"

/*
 * Left alone, the kernel takes the source address for a group on the loopback
 * interface from another interface; from none at all, if there is no other,
 * and then nobody receives it.
 */
static struct in_addr
source_on(int fd, const char *interface)
{
	struct in_addr any = {INADDR_ANY};
	struct sockaddr_in in;
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, interface, sizeof(request.ifr_name));
	if (ioctl(fd, SIOCGIFFLAGS, &request) == -1 ||
	    (request.ifr_flags & IFF_LOOPBACK) == 0 ||
	    ioctl(fd, SIOCGIFADDR, &request) == -1)
		return any;
	memcpy(&in, &request.ifr_addr, sizeof(in));
	return in.sin_addr;
}

static int
group_output(int fd, const struct destination_conf *to, int index)
{
	struct ip_mreqn mreqn = {.imr_ifindex = index};

	if (to->address.ss_family == AF_INET6) {
		if (index != 0 && sockets_set_int(fd, IPPROTO_IPV6,
		    IPV6_MULTICAST_IF,
		    index) == -1)
			return -1;
		if (sockets_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS,
		    to->ttl) ==
		    -1)
			return -1;
		return sockets_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP,
		    to->loop);
	}
	mreqn.imr_address = source_on(fd, to->interface);
	if (index != 0 && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &mreqn,
	    sizeof(mreqn)) == -1)
		return -1;
	if (sockets_set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, to->ttl) == -1)
		return -1;
	return sockets_set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, to->loop);
}

static int
unicast_output(int fd, const struct destination_conf *to)
{
	if (to->interface[0] != '\0' &&
	    sockets_bind_device(fd, to->interface) == -1)
		return -1;
	if (to->address.ss_family == AF_INET6)
		return sockets_set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS,
		    to->ttl);
	return sockets_set_int(fd, IPPROTO_IP, IP_TTL, to->ttl);
}

/* The two bits below are the kernel's, for congestion. */
static int
mark(int fd, const struct destination_conf *to)
{
	int field = to->dscp << 2;

	if (to->dscp == 0)
		return 0;
	return to->address.ss_family == AF_INET6 ?
	    sockets_set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, field) :
	    sockets_set_int(fd, IPPROTO_IP, IP_TOS, field);
}

static int
output_options(int fd, const struct destination_conf *to, int index)
{
	if (sockets_set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE,
	    SOCKETS_SEND_BUFFER) == -1)
		(void)sockets_set_int(fd, SOL_SOCKET, SO_SNDBUF,
		    SOCKETS_SEND_BUFFER);
	if (to->broadcast &&
	    sockets_set_int(fd, SOL_SOCKET, SO_BROADCAST, 1) == -1)
		return -1;
	if (mark(fd, to) == -1)
		return -1;
	if (udp_is_group(&to->address))
		return group_output(fd, to, index);
	return unicast_output(fd, to);
}

int
sockets_connect(int fd, const struct destination_conf *to, int index,
    const char **what)
{
	struct sockaddr_storage address = sockets_scoped(&to->address, index);

	*what = "set the output's options";
	if (output_options(fd, to, index) == -1)
		return -1;
	*what = "connect";
	return connect(fd, sockets_generic(&address),
	    sockaddr_size(sockets_generic(&address)));
}

/* Once: a socket keeps it when it is connected anew.  Several outputs may have
 * one port, and one that is opened to compare with the first. */
static int
bind_source(int fd, const struct destination_conf *to, int index)
{
	struct sockaddr_storage source;

	if (to->source.ss_family == AF_UNSPEC)
		return 0;
	source = sockets_scoped(&to->source, index);
	if (sockets_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1)
		return -1;
	return bind(fd, sockets_generic(&source),
	    sockaddr_size(sockets_generic(&source)));
}

/* Takes packets with their headers, and receives nothing. */
static int
raw_socket(int family)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {.len = 1, .filter = &none};
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    IPPROTO_RAW);

	if (fd != -1 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
	    sizeof(program)) == -1)
		return sockets_fail(fd);
	return fd;
}

static int
open_output(const struct destination_conf *to)
{
	if (to->keep_source)
		return raw_socket(to->address.ss_family);
	return socket(to->address.ss_family,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int
sockets_output(const struct destination_conf *to, const char **what)
{
	int fd, index;

	*what = "find the interface";
	index = sockets_interface(to->interface);
	if (index == -1)
		return -1;
	*what = to->keep_source ? "open a raw socket, for `keep_source' "
	    "(CAP_NET_RAW)" : "open an output socket";
	fd = open_output(to);
	if (fd == -1)
		return -1;
	*what = "send from the source address and port";
	if (bind_source(fd, to, index) == -1)
		return sockets_fail(fd);
	if (sockets_connect(fd, to, index, what) == -1)
		return sockets_fail(fd);
	return fd;
}
