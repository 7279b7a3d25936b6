/* SPDX-License-Identifier: ISC */
/*
 * The interfaces of a configuration, and what the kernel says of them.  The
 * doctor's.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/doctor/doctor_priv.h"
#include "supervisor/netlink.h"

/*** Asking the kernel. ***/

static int
ask(const char *name, unsigned long what, struct ifreq *request)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result, saved;

	if (fd == -1)
		return -1;
	memcpy(request->ifr_name, name, IF_NAMESIZE);
	result = ioctl(fd, what, request);
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

int
links_flags(const char *name)
{
	struct ifreq request = {{{0}}, {{0}}};

	if (ask(name, SIOCGIFFLAGS, &request) == -1)
		return -1;
	return (unsigned short)request.ifr_flags;
}

unsigned
links_mtu(const char *name)
{
	struct ifreq request = {{{0}}, {{0}}};

	if (ask(name, SIOCGIFMTU, &request) == -1 || request.ifr_mtu < 0)
		return 0;
	return (unsigned)request.ifr_mtu;
}

static bool
is_refused(const union netlink_message *answer)
{
	return answer->header.nlmsg_type == NLMSG_ERROR &&
	    (answer->error.error == -ENETUNREACH ||
	    answer->error.error == -EHOSTUNREACH);
}

int
links_route(const struct sockaddr_storage *to)
{
	const struct sockaddr_in6 *in6 = (const void *)to;
	const struct sockaddr_in *in = (const void *)to;
	bool v6 = to->ss_family == AF_INET6;
	size_t length = v6 ? sizeof(in6->sin6_addr) : sizeof(in->sin_addr);
	union netlink_message message;
	const void *value;
	int index = 0;

	netlink_begin(&message, RTM_GETROUTE, 0, sizeof(message.route));
	message.route.rtm_family = (unsigned char)to->ss_family;
	message.route.rtm_dst_len = (unsigned char)(length * 8);
	netlink_put(&message, RTA_DST, v6 ? (const void *)&in6->sin6_addr :
	    (const void *)&in->sin_addr, length);
	if (!netlink_ask(&message, RTM_NEWROUTE, sizeof(message.route)))
		return is_refused(&message) ? 0 : -1;
	value = netlink_find(&message, sizeof(message.route), RTA_OIF,
	    sizeof(index));
	if (value != NULL)
		memcpy(&index, value, sizeof(index));
	return index;
}

/*** The configuration's. ***/

static void
name_of(int index, char name[static IF_NAMESIZE])
{
	if (index <= 0 || if_indextoname((unsigned)index, name) == NULL)
		memset(name, 0, IF_NAMESIZE);
}

/* The interface that has the address. */
static void
owner_of(const struct sockaddr_storage *address, char name[static IF_NAMESIZE])
{
	struct ifaddrs *all, *each;
	struct sockaddr_storage has, wanted = *address;

	memset(name, 0, IF_NAMESIZE);
	address_set_port(&wanted, 0);
	if (getifaddrs(&all) == -1)
		return;
	for (each = all; each != NULL; each = each->ifa_next) {
		if (each->ifa_addr == NULL ||
		    each->ifa_addr->sa_family != address->ss_family)
			continue;
		memset(&has, 0, sizeof(has));
		memcpy(&has, each->ifa_addr, sockaddr_size(each->ifa_addr));
		if (address_compare(&has, &wanted) == 0)
			snprintf(name, IF_NAMESIZE, "%s", each->ifa_name);
	}
	freeifaddrs(all);
}

void
links_input(const struct listen_config *listen,
    char name[static IF_NAMESIZE])
{
	if (listen->interface[0] != '\0')
		memcpy(name, listen->interface, IF_NAMESIZE);
	else if (udp_is_group(&listen->address))
		name_of(links_route(&listen->address), name);
	else
		owner_of(&listen->address, name);
}

void
links_output(const struct destination_conf *to,
    char name[static IF_NAMESIZE])
{
	if (to->interface[0] != '\0')
		memcpy(name, to->interface, IF_NAMESIZE);
	else
		name_of(links_route(&to->address), name);
}

struct uses {
	struct link_use	*use;
	size_t		 count;
};

static struct link_use *
use_of(struct uses *uses, const char *name)
{
	struct link_use *use;
	size_t i;
	int flags;

	for (i = 0; i < uses->count; i++)
		if (strcmp(uses->use[i].name, name) == 0)
			return &uses->use[i];
	uses->use = xgrow(uses->use, uses->count, sizeof(*uses->use));
	use = &uses->use[uses->count++];
	memset(use, 0, sizeof(*use));
	snprintf(use->name, sizeof(use->name), "%s", name);
	flags = links_flags(name);
	use->loopback = flags != -1 && (flags & IFF_LOOPBACK) != 0;
	return use;
}

static void
add_output(struct uses *uses, const struct destination_conf *to)
{
	char name[IF_NAMESIZE];
	struct link_use *use;

	links_output(to, name);
	if (name[0] == '\0')
		return;
	use = use_of(uses, name);
	use->output = true;
	use->named |= to->interface[0] != '\0';
	use->group |= udp_is_group(&to->address);
}

/* An input that hears on any interface may hear on each that is up. */
static void
add_any(struct uses *uses)
{
	struct if_nameindex *all = if_nameindex(), *each;
	int flags;

	for (each = all; each != NULL && each->if_name != NULL; each++) {
		flags = links_flags(each->if_name);
		if (flags != -1 && (flags & IFF_UP) != 0 &&
		    (flags & IFF_RUNNING) != 0 &&
		    (flags & IFF_LOOPBACK) == 0)
			use_of(uses, each->if_name)->input = true;
	}
	if (all != NULL)
		if_freenameindex(all);
}

static void
add_input(struct uses *uses, const struct listen_config *listen, bool *any)
{
	char name[IF_NAMESIZE];
	struct link_use *use;

	links_input(listen, name);
	if (name[0] == '\0') {
		if (address_is_any(&listen->address) && !*any)
			add_any(uses);
		*any |= address_is_any(&listen->address);
		return;
	}
	use = use_of(uses, name);
	use->input = true;
	use->named |= listen->interface[0] != '\0';
	use->group |= udp_is_group(&listen->address);
}

size_t
links_used(const struct conf *conf, struct link_use **links)
{
	struct uses uses = {NULL, 0};
	const struct channel_conf *channel;
	bool any = false;
	size_t i, j;

	for (i = 0; i < conf->channels; i++) {
		channel = &conf->channel[i];
		for (j = 0; j < channel->inputs; j++)
			if (!channel->archives_stream)
				add_input(&uses, &channel->listen[j], &any);
		for (j = 0; j < channel->relays; j++)
			add_output(&uses, &channel->relay[j]);
		for (j = 0; j < channel->decimates; j++)
			add_output(&uses, &channel->decimate[j].to);
	}
	*links = uses.use;
	return uses.count;
}
