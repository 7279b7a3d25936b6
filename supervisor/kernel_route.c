/* SPDX-License-Identifier: ISC */
/*
 * From a channel's sockets to what the program in the kernel is told.
 * Supervisor only.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/kernel_hop.h"
#include "supervisor/kernel_route.h"
#include "supervisor/segment_spec.h"
#include "supervisor/sockets.h"

_Static_assert(KERNEL_TARGETS == OUTPUTS_MAX &&
    KERNEL_SOURCES == SOURCES_MAX, "as many");

/* Those of the configuration in force, which a worker may not have yet. */
static const struct parts *
parts_of(const struct channel *channel, unsigned part)
{
	return (channel->next.have & part) != 0 ? &channel->next :
	    &channel->parts;
}

/* The v4 or v6 address and the port of a socket address. */
static void
take_address(const struct sockaddr_storage *address, uint8_t bytes[16],
    __be16 *port)
{
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_in *in = (const void *)address;

	if (address->ss_family == AF_INET6) {
		memcpy(bytes, &in6->sin6_addr, 16);
		*port = in6->sin6_port;
	} else {
		memcpy(bytes, &in->sin_addr, 4);
		*port = in->sin_port;
	}
}

/* Its number and hardware address; false: it is not up, or of a kind whose
 * packets have no header of Ethernet. */
static bool
find_interface(int fd, const char *name, uint32_t *index, uint8_t mac[6])
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) == -1 ||
	    (request.ifr_flags & IFF_UP) == 0 ||
	    ioctl(fd, SIOCGIFINDEX, &request) == -1)
		return false;
	*index = (uint32_t)request.ifr_ifindex;
	if (ioctl(fd, SIOCGIFHWADDR, &request) == -1 ||
	    (request.ifr_hwaddr.sa_family != ARPHRD_ETHER &&
	    request.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK))
		return false;
	memcpy(mac, request.ifr_hwaddr.sa_data, 6);
	return true;
}

/* RFC 1112, RFC 2464. */
static void
set_group_mac(const struct sockaddr_storage *group, const uint8_t address[16],
    uint8_t mac[6])
{
	if (group->ss_family == AF_INET6) {
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, address + 12, 4);
		return;
	}
	mac[0] = 0x01;
	mac[1] = 0x00;
	mac[2] = 0x5e;
	mac[3] = address[1] & 0x7f;
	memcpy(mac + 4, address + 2, 2);
}

static enum hop_state
aim_at_group(struct kernel_target *target, const struct destination_conf *to,
    int fd)
{
	set_group_mac(&to->address, target->to, target->to_mac);
	return find_interface(fd, to->interface, &target->ifindex,
	    target->from_mac) ? HOP_FOUND : HOP_NO_ROUTE;
}

static enum hop_state
aim_at_host(struct kernel_target *target, const struct destination_conf *to,
    const struct sockaddr_storage *from, int fd)
{
	uint32_t index = if_nametoindex(to->interface);
	char name[IF_NAMESIZE];
	enum hop_state state;
	struct hop hop;

	if (to->interface[0] != '\0' && index == 0)
		return HOP_NO_ROUTE;
	state = hop_find(from, &to->address, index, target->tos, &hop);
	if (state != HOP_FOUND)
		return state;
	if (if_indextoname(hop.ifindex, name) == NULL || !find_interface(fd,
	    name, &target->ifindex, target->from_mac))
		return HOP_NO_ROUTE;
	memcpy(target->to_mac, hop.mac, sizeof(hop.mac));
	target->mtu = hop.mtu <= UINT16_MAX ? (uint16_t)hop.mtu : 0;
	return HOP_FOUND;
}

/* What a datagram that the worker sends by this output looks like. */
static enum hop_state
fill_target(struct kernel_target *target, const struct destination_conf *to,
    int fd, uint32_t slot)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);

	memset(&from, 0, sizeof(from));
	memset(target, 0, sizeof(*target));
	if (getsockname(fd, (void *)&from, &size) == -1 ||
	    from.ss_family != to->address.ss_family)
		return HOP_NO_ROUTE;
	take_address(&from, target->from, &target->from_port);
	take_address(&to->address, target->to, &target->to_port);
	target->slot = slot;
	target->ttl = (uint8_t)to->ttl;
	target->tos = (uint8_t)(to->dscp << 2);
	if (target->from_port == 0)
		return HOP_NO_ROUTE;
	return udp_is_group(&to->address) ? aim_at_group(target, to, fd) :
	    aim_at_host(target, to, &from, fd);
}

/* An output that the worker does not know yet has no slot in its segment. */
static void
fill_targets(const struct channel *channel, struct kernel_entry *entry)
{
	const struct parts *parts = parts_of(channel, PART_WORKER);
	const struct channel_conf *conf = channel->conf;
	struct kernel_route *route = &entry->route;
	enum hop_state state;
	size_t i;
	int slot;

	for (i = 0; i < MIN_OF(conf->relays, parts->outputs); i++) {
		slot = segment_spec_slot(&channel->segment, &conf->relay[i]);
		if (!conf->relay[i].kernel || slot == -1 ||
		    parts->output[i] == -1 || parts->output_at[i].error != 0)
			continue;
		state = fill_target(&route->target[route->targets],
		    &conf->relay[i], parts->output[i], (uint32_t)slot);
		if (state == HOP_FOUND) {
			route->targets++;
			entry->outputs.there |= 1U << i;
		} else if (state == HOP_NO_ROUTE)
			entry->outputs.unrouted |= 1U << i;
		else
			entry->outputs.unheard |= 1U << i;
	}
	/* What the last one in vain has left. */
	if (route->targets < KERNEL_TARGETS)
		memset(&route->target[route->targets], 0,
		    sizeof(route->target[0]));
}

static void
fill_sources(const struct listen_config *listen, struct kernel_route *route)
{
	struct kernel_source *source;
	uint32_t i, bit;

	route->sources = listen->sources;
	for (i = 0; i < listen->sources; i++) {
		source = &route->source[i];
		for (bit = 0; bit < listen->source[i].bits; bit++)
			source->mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		for (bit = 0; bit < 16; bit++)
			source->address[bit] = listen->source[i].address[bit] &
			    source->mask[bit];
	}
}

static bool
hears_marks(int fd)
{
	int on = 0;
	socklen_t size = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_RCVMARK, &on, &size) == 0 &&
	    on != 0;
}

bool
kernel_route_hears_marks(const struct channel *channel)
{
	const struct parts *parts = parts_of(channel, PART_INPUT);
	size_t i;

	for (i = 0; i < parts->inputs; i++)
		if (parts->input[i].fd != -1 &&
		    !hears_marks(parts->input[i].fd))
			return false;
	return true;
}

uint32_t
kernel_route_interface(const struct channel *channel, size_t input)
{
	const struct parts *parts = parts_of(channel, PART_INPUT);

	return input < parts->inputs ? if_nametoindex(
	    parts->input[input].listen.interface) : UINT32_MAX;
}

size_t
kernel_route_inputs(const struct channel *channel)
{
	/* A worker of another version may not know of marks. */
	if (channel->conf == NULL ||
	    !kernel_path_wanted(channel->conf, false) ||
	    !channel->child.wanted || channel->foreign.worker ||
	    channel->kernel.error != 0 || channel->segment.base == NULL ||
	    (channel->paused & RING_NO_RELAY) != 0)
		return 0;
	return parts_of(channel, PART_INPUT)->inputs;
}

bool
kernel_route(const struct channel *channel, size_t input,
    struct kernel_entry *entry)
{
	const struct input *from = &parts_of(channel, PART_INPUT)->
	    input[input];
	const struct listen_config *listen = &from->listen;
	uint8_t mac[6];

	memset(entry, 0, sizeof(*entry));
	if (from->fd == -1 || !from->bound || from->at.error != 0 ||
	    !hears_marks(from->fd) || !find_interface(from->fd,
	    listen->interface, &entry->key.ifindex, mac))
		return false;
	take_address(&listen->address, entry->key.address, &entry->key.port);
	entry->key.family = listen->address.ss_family == AF_INET6 ? 6 : 4;
	fill_targets(channel, entry);
	fill_sources(listen, &entry->route);
	return entry->route.targets > 0;
}
