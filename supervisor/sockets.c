/* SPDX-License-Identifier: ISC */
/*
 * Opens input sockets, and says what theirs and others' have in common.
 * Supervisor only.  Never reads a datagram but to throw it away.
 */
#include <sys/socket.h>
#include <linux/filter.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/fanout.h"
#include "supervisor/sockets.h"
#include "supervisor/sockets_priv.h"

/* Linux 4.20; the C library's headers may be older. */
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL	29
#endif

/* More messages than a receive buffer of usual size holds; there must be an
 * end when they come in as fast as they go. */
#define DISCARD_MAX	(1U << 20)

int
sockets_set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

int
sockets_fail(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

int
sockets_interface(const char *name)
{
	unsigned index;

	if (name[0] == '\0')
		return 0;
	index = if_nametoindex(name);
	/* Or there is no descriptor to ask with. */
	if (index == 0)
		return -1;
	return (int)index;
}

struct sockaddr_storage
sockets_scoped(const struct sockaddr_storage *address, int index)
{
	struct sockaddr_storage copy = *address;
	struct sockaddr_in6 *in6 = (void *)&copy;

	if (copy.ss_family == AF_INET6 && in6->sin6_scope_id == 0 &&
	    (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) ||
	    IN6_IS_ADDR_MC_LINKLOCAL(&in6->sin6_addr)))
		in6->sin6_scope_id = (uint32_t)index;
	return copy;
}

int
sockets_bind_device(int fd, const char *name)
{
	/* Without privileges since Linux 5.7. */
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name,
	    (socklen_t)strlen(name) + 1);
}

uint64_t
sockets_receive_buffer(int fd, uint64_t wanted)
{
	/* The kernel doubles the value, and wants it to fit in an int. */
	int value = (int)MIN_OF(wanted, (uint64_t)INT_MAX / 2);
	socklen_t size = sizeof(value);

	if (sockets_set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, value) == -1)
		sockets_set_int(fd, SOL_SOCKET, SO_RCVBUF, value);
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &size) == -1)
		return 0;
	return (uint64_t)value / 2;
}

void
sockets_busy_poll(int fd, uint64_t ns)
{
	(void)sockets_set_int(fd, SOL_SOCKET, SO_BUSY_POLL,
	    (int)(ns / NS_PER_US));
	(void)sockets_set_int(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, ns != 0);
}

/* Groups that somebody else on this host has joined are not for us. */
static int
only_own_groups(int fd, int family)
{
	if (family == AF_INET)
		return sockets_set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	/* An older kernel does not know it: then it is the bound address
	 * that keeps groups apart. */
	(void)sockets_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	return sockets_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
}

bool
sockets_input_bound(const struct listen_config *listen)
{
	/* For v4 groups the membership says which interface; for v6 it
	 * does not keep out what comes in by another one. */
	return listen->interface[0] != '\0' &&
	    (!udp_is_group(&listen->address) ||
	    listen->address.ss_family == AF_INET6);
}

int
sockets_adapt(int fd, const struct listen_config *listen)
{
	/* Coalescing is a matter of speed only. */
	(void)udp_coalesce(fd, !listen->one_by_one);
	/* Never taken back: what is marked may wait in it.  Where it cannot be
	 * had no program is told to mark (kernel_route.c). */
	if (listen->marked)
		(void)sockets_set_int(fd, SOL_SOCKET, SO_RCVMARK, 1);
	return sockets_set_int(fd, SOL_SOCKET, SO_REUSEADDR,
	    listen->share || udp_is_group(&listen->address));
}

static int
input_options(int fd, const struct listen_config *listen, const char **what)
{
	int family = listen->address.ss_family;

	*what = "set the input's options";
	if (only_own_groups(fd, family) == -1)
		return -1;
	if (sockets_adapt(fd, listen) == -1)
		return -1;
	return udp_ask_times(fd);
}

int
sockets_input(const struct listen_config *listen, const char **what)
{
	int fd;

	*what = "open an input socket";
	fd = socket(listen->address.ss_family,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (input_options(fd, listen, what) == -1)
		return sockets_fail(fd);
	return fd;
}

/* Whether the join is for certain sources only. */
static bool
source_specific(const struct listen_config *listen)
{
	size_t i;

	if (!udp_is_group(&listen->address) || listen->sources == 0)
		return false;
	for (i = 0; i < listen->sources; i++)
		if (listen->source[i].bits != 128)
			return false;
	return true;
}

static struct sockaddr_storage
source_address(const struct source_prefix *source, int family)
{
	struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
	struct sockaddr_in6 *in6 = (void *)&address;
	struct sockaddr_in *in = (void *)&address;

	if (family == AF_INET6)
		memcpy(&in6->sin6_addr, source->address, 16);
	else
		memcpy(&in->sin_addr, source->address + 12, 4);
	return address;
}

static int
join_sources(int fd, const struct listen_config *listen, int index)
{
	int family = listen->address.ss_family;
	int level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
	struct group_source_req request;
	size_t i;

	for (i = 0; i < listen->sources; i++) {
		memset(&request, 0, sizeof(request));
		request.gsr_interface = (uint32_t)index;
		request.gsr_group = listen->address;
		request.gsr_source = source_address(&listen->source[i],
		    family);
		if (setsockopt(fd, level, MCAST_JOIN_SOURCE_GROUP, &request,
		    sizeof(request)) == -1)
			return -1;
	}
	return 0;
}

int
sockets_join(int fd, const struct listen_config *listen, int index)
{
	int level = listen->address.ss_family == AF_INET6 ?
	    IPPROTO_IPV6 : IPPROTO_IP;
	struct group_req request;

	if (source_specific(listen))
		return join_sources(fd, listen, index);
	memset(&request, 0, sizeof(request));
	request.gr_interface = (uint32_t)index;
	request.gr_group = listen->address;
	return setsockopt(fd, level, MCAST_JOIN_GROUP, &request,
	    sizeof(request));
}

void
sockets_leave(int fd, const struct listen_config *listen, int index)
{
	int level = listen->address.ss_family == AF_INET6 ?
	    IPPROTO_IPV6 : IPPROTO_IP;
	struct group_req request;

	memset(&request, 0, sizeof(request));
	request.gr_interface = (uint32_t)index;
	request.gr_group = listen->address;
	(void)setsockopt(fd, level, MCAST_LEAVE_GROUP, &request,
	    sizeof(request));
}

/* A second time takes a privilege. */
static int
bind_interface(int fd, const struct listen_config *listen, int index)
{
	if (!sockets_input_bound(listen) ||
	    (index > 0 && sockets_bound_index(fd) == index))
		return 0;
	return sockets_bind_device(fd, listen->interface);
}

/* It may have come as far as this before. */
static bool
has_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	memset(&address, 0, sizeof(address));
	return getsockname(fd, (void *)&address, &size) == 0 &&
	    ((struct sockaddr_in *)(void *)&address)->sin_port != 0;
}

/* Of several sources some may have been joined. */
static int
leave_part(int fd, const struct listen_config *listen, int index)
{
	int saved = errno;

	sockets_leave(fd, listen, index);
	errno = saved;
	return -1;
}

static int
bind_address(int fd, const struct listen_config *listen,
    const struct sockaddr_storage *address)
{
	if (!udp_is_group(address) && !sockets_input_bound(listen))
		return fanout_bind(fd, address);
	return bind(fd, sockets_generic(address),
	    sockaddr_size(sockets_generic(address)));
}

int
sockets_bind(int fd, const struct listen_config *listen, const char **what)
{
	int index = sockets_interface(listen->interface);
	struct sockaddr_storage address;

	*what = "receive on the interface";
	if (bind_interface(fd, listen, index) == -1)
		return -1;
	*what = "find the interface";
	if (index == -1)
		return -1;
	address = sockets_scoped(&listen->address, index);
	*what = "bind";
	if (!has_port(fd) && bind_address(fd, listen, &address) == -1)
		return -1;
	*what = "join the group";
	if (udp_is_group(&listen->address) &&
	    sockets_join(fd, listen, index) == -1)
		return leave_part(fd, listen, index);
	return 0;
}

void
sockets_share(int fd, bool on)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (fd == -1 || getsockname(fd, (void *)&address, &size) == -1 ||
	    udp_is_group(&address))
		return;
	/* Nothing is lost if it fails: then the other one cannot bind. */
	(void)sockets_set_int(fd, SOL_SOCKET, SO_REUSEADDR, on);
}

bool
sockets_same_input(const struct listen_config *a, const struct listen_config *b)
{
	socklen_t size = sockaddr_size(sockets_generic(&a->address));

	if (a->address.ss_family != b->address.ss_family ||
	    memcmp(&a->address, &b->address, size) != 0 ||
	    strcmp(a->interface, b->interface) != 0 ||
	    source_specific(a) != source_specific(b))
		return false;
	if (!source_specific(a) && !fanout_has(&a->address))
		return true;
	return a->sources == b->sources && memcmp(a->source, b->source,
	    a->sources * sizeof(a->source[0])) == 0;
}

bool
sockets_bound_to(int fd, const struct listen_config *listen)
{
	struct sockaddr_storage bound, wanted;
	socklen_t size = sizeof(bound);
	int protocol;
	socklen_t protocol_size = sizeof(protocol);

	memset(&bound, 0, sizeof(bound));
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol,
	    &protocol_size) == -1 || protocol != IPPROTO_UDP ||
	    getsockname(fd, (void *)&bound, &size) == -1)
		return false;
	/* The interface may have another number by now. */
	wanted = sockets_scoped(&listen->address, 0);
	if (wanted.ss_family == AF_INET &&
	    ((struct sockaddr_in *)(void *)&wanted)->sin_port == 0)
		((struct sockaddr_in *)(void *)&wanted)->sin_port =
		    ((struct sockaddr_in *)(void *)&bound)->sin_port;
	if (bound.ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)&bound)->sin6_scope_id =
		    ((struct sockaddr_in6 *)(void *)&wanted)->sin6_scope_id;
	size = sockaddr_size(sockets_generic(&wanted));
	return bound.ss_family == wanted.ss_family &&
	    memcmp(&bound, &wanted, size) == 0;
}

bool
sockets_same_group(int a, int b)
{
	struct sockaddr_storage one, other;
	socklen_t one_size = sizeof(one), other_size = sizeof(other);

	memset(&one, 0, sizeof(one));
	memset(&other, 0, sizeof(other));
	return getsockname(a, (void *)&one, &one_size) == 0 &&
	    getsockname(b, (void *)&other, &other_size) == 0 &&
	    memcmp(&one, &other, sizeof(one)) == 0 && udp_is_group(&one);
}

/* Looks at the next message, whatever its length, or takes it, and says how
 * many datagrams are in it.  False: there is none. */
static bool
next_message(int fd, int flags, struct udp_arrival *arrival,
    uint64_t *datagrams)
{
	union {
		char		buffer[256];
		struct cmsghdr	align;
	} control;
	struct msghdr msg;
	ssize_t length;

	memset(&msg, 0, sizeof(msg));
	*arrival = (struct udp_arrival){ 0 };
	*datagrams = 0;
	msg.msg_control = control.buffer;
	msg.msg_controllen = sizeof(control.buffer);
	length = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_TRUNC | flags);
	if (length == -1)
		return errno != EAGAIN;
	udp_read_arrival(&msg, arrival);
	*datagrams = arrival->datagram_size == 0 || length == 0 ? 1 :
	    ((uint64_t)length + arrival->datagram_size - 1) /
	    arrival->datagram_size;
	return true;
}

uint64_t
sockets_discard(int fd, uint64_t until_ns)
{
	struct udp_arrival arrival;
	uint64_t datagrams, count = 0;
	unsigned i;

	for (i = 0; i < DISCARD_MAX; i++) {
		if (until_ns != UINT64_MAX &&
		    (!next_message(fd, MSG_PEEK, &arrival, &datagrams) ||
		    arrival.received_ns > until_ns))
			break;
		if (!next_message(fd, 0, &arrival, &datagrams))
			break;
		count += datagrams;
	}
	return count;
}

uint64_t
sockets_close_door(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {.len = 1, .filter = &nothing};

	(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
	    sizeof(program));
	return sockets_discard(fd, UINT64_MAX);
}

uint32_t
sockets_drops(int fd)
{
	struct udp_memory memory;

	return udp_read_memory(fd, &memory) ? memory.drops : 0;
}
