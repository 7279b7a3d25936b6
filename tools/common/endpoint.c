/* SPDX-License-Identifier: ISC */
/*
 * Addresses and sockets.  Tools.
 */
#include <sys/socket.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/udp.h"
#include "common/util.h"
#include "tools/common/endpoint.h"

/* For the sink not to be the place where datagrams are lost. */
#define RECEIVE_BUFFER_BYTES	(64 * 1024 * 1024)
#define SEND_BUFFER_BYTES	(4 * 1024 * 1024)

/* linux/in6.h has it, but cannot be included together with netinet/in.h. */
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL	29
#endif

static const struct sockaddr *
generic(const struct sockaddr_storage *address)
{
	return (const struct sockaddr *)address;
}

static bool
is_v6(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6;
}

static bool
resolve(const char *host, const char *port, struct sockaddr_storage *address)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_DGRAM,
	};
	struct addrinfo *found;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return false;
	memset(address, 0, sizeof(*address));
	memcpy(address, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return true;
}

static bool
is_port(const char *text)
{
	const size_t digits = strspn(text, "0123456789");
	unsigned port;

	return digits > 0 && digits < 6 && text[digits] == '\0' &&
	    sscanf(text, "%u", &port) == 1 && port <= UINT16_MAX;
}

bool
endpoint_parse(const char *text, struct sockaddr_storage *address)
{
	char host[ADDRESS_TEXT_SIZE];
	const char *colon = strrchr(text, ':');
	size_t length;

	if (colon == NULL || !is_port(colon + 1))
		return false;
	length = (size_t)(colon - text);
	if (text[0] == '[') {
		if (length < 2 || text[length - 1] != ']')
			return false;
		text++;
		length -= 2;
	} else if (memchr(text, ':', length) != NULL)
		return false;
	if (length == 0 || length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	return resolve(host, colon + 1, address);
}

bool
endpoint_parse_host(const char *text, struct sockaddr_storage *address)
{
	return resolve(text, "0", address);
}

uint16_t
endpoint_port(const struct sockaddr_storage *address)
{
	/* At the same place in both families. */
	return ntohs(((const struct sockaddr_in *)address)->sin_port);
}

bool
endpoint_set_interface(struct endpoint *endpoint, const char *name)
{
	endpoint->interface = if_nametoindex(name);
	if (endpoint->interface == 0)
		return false;
	snprintf(endpoint->interface_name, sizeof(endpoint->interface_name),
	    "%s", name);
	return true;
}

static bool
set_int(int fd, int level, int option, int value, const char *what)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) == 0)
		return true;
	log_warn("cannot set %s", what);
	return false;
}

/* Past the system's limit when we may, else up to it. */
static void
set_buffer(int fd, int force, int plain, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) == -1)
		setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

/* Unicast leaves and enters by the interface that was asked for. */
static bool
bind_device(int fd, const struct endpoint *endpoint)
{
	if (endpoint->interface == 0)
		return true;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE,
	    endpoint->interface_name,
	    (socklen_t)strlen(endpoint->interface_name)) == 0)
		return true;
	log_warn("cannot bind to interface %s", endpoint->interface_name);
	return false;
}

static int
open_socket(const struct endpoint *endpoint)
{
	const int fd = socket(endpoint->address.ss_family,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		log_warn("socket");
	return fd;
}

/* Interface and hop limit of what we send, to groups or hosts. */
static bool
set_route(int fd, const struct endpoint *endpoint, bool group)
{
	const bool v6 = is_v6(&endpoint->address);
	const struct ip_mreqn by = {
		.imr_ifindex = (int)endpoint->interface
	};

	if (endpoint->ttl >= 0 && !set_int(fd,
	    v6 ? IPPROTO_IPV6 : IPPROTO_IP,
	    v6 ? (group ? IPV6_MULTICAST_HOPS : IPV6_UNICAST_HOPS) :
	    (group ? IP_MULTICAST_TTL : IP_TTL), endpoint->ttl, "the TTL"))
		return false;
	if (!group)
		return bind_device(fd, endpoint);
	if (endpoint->interface == 0)
		return true;
	if (v6)
		return set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF,
		    (int)endpoint->interface, "the interface");
	if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)) == 0)
		return true;
	log_warn("cannot send by interface %s", endpoint->interface_name);
	return false;
}

/* A link-local address says by itself nothing about the interface. */
struct sockaddr_storage
endpoint_scoped(const struct endpoint *endpoint)
{
	struct sockaddr_storage address = endpoint->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;

	if (is_v6(&address) && v6->sin6_scope_id == 0 &&
	    (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) ||
	    IN6_IS_ADDR_MC_LINKLOCAL(&v6->sin6_addr)))
		v6->sin6_scope_id = endpoint->interface;
	return address;
}

int
endpoint_open_source(const struct endpoint *endpoint)
{
	const struct sockaddr_storage to = endpoint_scoped(endpoint);
	char text[ADDRESS_TEXT_SIZE];
	const int fd = open_socket(endpoint);

	if (fd == -1)
		return -1;
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER_BYTES);
	if (!set_route(fd, endpoint, udp_is_group(&to))) {
		close(fd);
		return -1;
	}
	if (connect(fd, generic(&to), sockaddr_size(generic(&to))) == 0)
		return fd;
	format_address(generic(&to), text);
	log_warn("cannot send to %s%s", text, endpoint->interface == 0 &&
	    udp_is_group(&to) ? " (choose an interface with -i)" :
	    "");
	close(fd);
	return -1;
}

int
endpoint_open_sources(const struct endpoint *endpoint, bool hosts, bool groups)
{
	const int fd = open_socket(endpoint);

	if (fd == -1)
		return -1;
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER_BYTES);
	if ((!hosts || set_route(fd, endpoint, false)) &&
	    (!groups || set_route(fd, endpoint, true)))
		return fd;
	close(fd);
	return -1;
}

static bool
join(int fd, const struct endpoint *endpoint)
{
	const int level = is_v6(&endpoint->address) ? IPPROTO_IPV6 :
	    IPPROTO_IP;
	struct group_source_req specific;
	struct group_req any;
	int rc;

	/* Holes and all: the kernel reads them whole. */
	memset(&specific, 0, sizeof(specific));
	memset(&any, 0, sizeof(any));
	if (endpoint->from.ss_family == AF_UNSPEC) {
		any.gr_interface = endpoint->interface;
		any.gr_group = endpoint->address;
		rc = setsockopt(fd, level, MCAST_JOIN_GROUP, &any,
		    sizeof(any));
	} else {
		specific.gsr_interface = endpoint->interface;
		specific.gsr_group = endpoint->address;
		specific.gsr_source = endpoint->from;
		rc = setsockopt(fd, level, MCAST_JOIN_SOURCE_GROUP,
		    &specific, sizeof(specific));
	}
	if (rc == 0)
		return true;
	log_warn("cannot join the group%s", endpoint->interface == 0 ?
	    " (choose an interface with -i)" : "");
	return false;
}

static bool
prepare_sink(int fd, const struct endpoint *endpoint)
{
	const bool v6 = is_v6(&endpoint->address);
	const bool group = udp_is_group(&endpoint->address);

	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
	if (udp_ask_times(fd) == -1 || udp_coalesce(fd, true) == -1) {
		log_warn("cannot set time stamps and coalescing");
		return false;
	}
	if (v6 && !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPv6 only"))
		return false;
	if (!group)
		return bind_device(fd, endpoint);
	/* Several sinks of one host may listen to a group, and none of them
	 * hears a group that only somebody else has joined. */
	return set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1, "address reuse") &&
	    set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
	    v6 ? IPV6_MULTICAST_ALL : IP_MULTICAST_ALL, 0,
	    "the group filter");
}

int
endpoint_open_sink(const struct endpoint *endpoint)
{
	const struct sockaddr_storage at = endpoint_scoped(endpoint);
	char text[ADDRESS_TEXT_SIZE];
	const int fd = open_socket(endpoint);

	if (fd == -1)
		return -1;
	if (!prepare_sink(fd, endpoint)) {
		close(fd);
		return -1;
	}
	if (bind(fd, generic(&at), sockaddr_size(generic(&at))) == -1) {
		format_address(generic(&at), text);
		log_warn("cannot listen on %s", text);
	} else if (!udp_is_group(&at) || join(fd, endpoint))
		return fd;
	close(fd);
	return -1;
}
