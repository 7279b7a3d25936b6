/* SPDX-License-Identifier: ISC */
/*
 * Mends sockets after the network has changed.  See sockets_heal.h.
 * Supervisor only.  Never reads or writes a datagram.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/sockets.h"
#include "supervisor/sockets_heal.h"
#include "supervisor/sockets_priv.h"

/* Linux 5.1; the C library's headers may be older. */
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX	62
#endif

int
sockets_interface_flags(int fd, int index)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	request.ifr_ifindex = index;
	if (ioctl(fd, SIOCGIFNAME, &request) == -1 ||
	    ioctl(fd, SIOCGIFFLAGS, &request) == -1)
		return 0;
	return request.ifr_flags;
}

int
sockets_bound_index(int fd)
{
	int index = 0;
	socklen_t size = sizeof(index);

	if (getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, &size) == -1)
		return 0;
	return index;
}

/* A datagram socket forgets its peer, its interface, and an address that the
 * kernel chose for it. */
static int
disconnect(int fd)
{
	struct sockaddr_storage none = {.ss_family = AF_UNSPEC};

	return connect(fd, (const void *)&none, sizeof(none));
}

/*** Outputs. ***/

/* The address that the socket sends from, without its port. */
static bool
source_of(int fd, struct sockaddr_storage *source)
{
	struct sockaddr_in6 *in6 = (void *)source;
	struct sockaddr_in *in = (void *)source;
	socklen_t size = sizeof(*source);

	memset(source, 0, sizeof(*source));
	if (getsockname(fd, (void *)source, &size) == -1)
		return false;
	if (source->ss_family == AF_INET6)
		in6->sin6_port = 0;
	else
		in->sin_port = 0;
	return true;
}

static bool
same_source(int fd, int other)
{
	struct sockaddr_storage one, two;

	return source_of(fd, &one) && source_of(other, &two) &&
	    memcmp(&one, &two, sizeof(one)) == 0;
}

/* For a group of IPv4 the kernel does not tell. */
static int
output_index(int fd, const struct destination_conf *to,
    const struct attachment *at)
{
	int index = 0;
	socklen_t size = sizeof(index);

	if (!udp_is_group(&to->address))
		return sockets_bound_index(fd);
	if (to->address.ss_family != AF_INET6)
		return at->index;
	(void)getsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, &size);
	return index;
}

/* A second connect() looks for the route again, and leaves all as it was when
 * there is none: for the socket's address, on its interface. */
static bool
has_route(int fd)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);

	return getpeername(fd, (void *)&peer, &size) == 0 &&
	    connect(fd, (const void *)&peer, size) == 0;
}

/* Whether the socket has what `fresh', just opened on this interface, has. */
static bool
as_fresh(int fd, int fresh, const struct destination_conf *to, int index,
    const struct attachment *at)
{
	int had = output_index(fd, to, at);

	return (index == 0 || had == 0 || had == index) &&
	    same_source(fd, fresh) && has_route(fd);
}

/* Whether the kernel has to take the address of another interface, which it
 * does without a word: receivers that look at the source, or check the way
 * back to it, hear nothing then. */
static bool
lacks_address(int fd, const struct destination_conf *to)
{
	struct ifreq request;

	if (to->keep_source || to->address.ss_family != AF_INET ||
	    to->interface[0] == '\0' || !udp_is_group(&to->address))
		return false;
	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, to->interface, sizeof(request.ifr_name));
	return ioctl(fd, SIOCGIFADDR, &request) == -1 &&
	    errno == EADDRNOTAVAIL;
}

enum healed
sockets_heal_output(int fd, const struct destination_conf *to,
    struct attachment *at, const char **what)
{
	int index = sockets_interface(to->interface);
	int fresh = sockets_output(to, what);
	bool same;

	/* There is no better one to be had. */
	if (fresh == -1)
		return HEALED_FAILED;
	same = as_fresh(fd, fresh, to, index, at);
	close(fresh);
	if (!same && (disconnect(fd) == -1 ||
	    sockets_connect(fd, to, index, what) == -1))
		return HEALED_FAILED;
	at->index = index;
	*what = "send from an address of the interface, which has none";
	if (lacks_address(fd, to))
		return HEALED_FAILED;
	return same ? HEALED_NOTHING : HEALED_DONE;
}

/*** Inputs. ***/

/*
 * To another interface, which takes a privilege once the socket has one; but
 * everybody may disconnect it, which leaves its address and port.
 */
static int
bind_again(int fd, const struct listen_config *listen)
{
	if (sockets_bind_device(fd, listen->interface) == 0)
		return 0;
	if (errno != EPERM || disconnect(fd) == -1)
		return -1;
	return sockets_bind_device(fd, listen->interface);
}

static int
group_level(const struct listen_config *listen)
{
	return listen->address.ss_family == AF_INET6 ? IPPROTO_IPV6 :
	    IPPROTO_IP;
}

static bool
is_member(int fd, const struct listen_config *listen, int index)
{
	struct group_filter filter;
	socklen_t size = sizeof(filter);

	memset(&filter, 0, sizeof(filter));
	filter.gf_interface = (uint32_t)index;
	filter.gf_group = listen->address;
	return getsockopt(fd, group_level(listen), MCAST_MSFILTER, &filter,
	    &size) == 0;
}

bool
sockets_on_interface(int fd, const struct listen_config *listen)
{
	int index = sockets_interface(listen->interface);

	if (listen->interface[0] == '\0')
		return true;
	if (index == -1 || (sockets_input_bound(listen) &&
	    sockets_bound_index(fd) != index))
		return false;
	return !udp_is_group(&listen->address) || is_member(fd, listen, index);
}

/* Where the socket is a member, of the interfaces that exist; `likely' first.
 * 0: nowhere; -1 with errno: it cannot be told. */
static int
member_index(int fd, const struct listen_config *listen, int likely)
{
	struct if_nameindex *list, *each;
	int index = 0;

	if (likely != 0 && is_member(fd, listen, likely))
		return likely;
	list = if_nameindex();
	if (list == NULL)
		return -1;
	for (each = list; each->if_index != 0 && index == 0; each++)
		if (is_member(fd, listen, (int)each->if_index))
			index = (int)each->if_index;
	if_freenameindex(list);
	return index;
}

/* The interface on which the kernel joins the group if none is named; -1 with
 * errno.  Only the kernel knows: a socket for this alone is asked. */
static int
routed_index(int asked, const struct listen_config *listen, int likely)
{
	if (asked == -1 || sockets_join(asked, listen, 0) == -1)
		return -1;
	return member_index(asked, listen, likely);
}

/* There is one membership, but for a moment: a datagram is better received
 * twice than not at all. */
static enum healed
move_membership(int fd, const struct listen_config *listen, int index,
    struct attachment *at)
{
	if (!is_member(fd, listen, index) &&
	    sockets_join(fd, listen, index) == -1)
		return HEALED_FAILED;
	if (at->index != 0 && at->index != index)
		sockets_leave(fd, listen, at->index);
	at->index = index;
	return HEALED_DONE;
}

static enum healed
heal_membership(int fd, const struct listen_config *listen, int index,
    struct attachment *at)
{
	if (at->index == 0)
		at->index = member_index(fd, listen, index);
	if (at->index == -1) {
		at->index = 0;
		return HEALED_FAILED;
	}
	if (index == -1)
		return HEALED_FAILED;
	if (index == at->index && is_member(fd, listen, index))
		return HEALED_NOTHING;
	return move_membership(fd, listen, index, at);
}

/* What the one that is asked has joined comes to all that have joined the
 * group anywhere.  So it stays until they are there too: else a few datagrams
 * came, and then none for a while. */
static enum healed
heal_routed(int fd, const struct listen_config *listen,
    struct attachment *at)
{
	int asked = socket(listen->address.ss_family,
	    SOCK_DGRAM | SOCK_CLOEXEC, 0);
	enum healed healed = heal_membership(fd, listen,
	    routed_index(asked, listen, at->index), at);
	int saved = errno;

	if (asked != -1)
		close(asked);
	errno = saved;
	return healed;
}

enum healed
sockets_heal_input(int fd, const struct listen_config *listen,
    struct attachment *at, const char **what)
{
	int index = sockets_interface(listen->interface);
	enum healed healed = HEALED_NOTHING, joined = HEALED_NOTHING;

	*what = "find the interface";
	if (index == -1)
		return HEALED_FAILED;
	*what = "receive on the interface";
	if (sockets_input_bound(listen) && sockets_bound_index(fd) != index) {
		if (bind_again(fd, listen) == -1)
			return HEALED_FAILED;
		healed = HEALED_DONE;
	}
	*what = "join the group";
	if (udp_is_group(&listen->address))
		joined = index == 0 ? heal_routed(fd, listen, at) :
		    heal_membership(fd, listen, index, at);
	return joined == HEALED_NOTHING ? healed : joined;
}
