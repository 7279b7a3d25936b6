/* SPDX-License-Identifier: ISC */
/*
 * Asks where frames come in.  See xdp_where.h.  Supervisor only.
 */
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/ethtool.h"
#include "supervisor/netlink.h"
#include "supervisor/xdp_where.h"

/* What the kernel says of an interface. */
struct link {
	uint32_t	ifindex;
	bool		up;
	uint8_t		mac[6];
	char		kind[16];	/* "": a card */
	uint32_t	lower;		/* what it is a VLAN of; 0: not here */
	uint32_t	vlan;
	uint16_t	protocol;	/* of its tags */
};

static bool ATTR_PRINTF(2, 3)
cannot(char why[XDP_WHY_SIZE], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, XDP_WHY_SIZE, fmt, ap);
	va_end(ap);
	return false;
}

/*** Interfaces. ***/

static uint32_t
number_of(const void *value)
{
	uint32_t number = 0;

	if (value != NULL)
		memcpy(&number, value, sizeof(number));
	return number;
}

static uint16_t
short_of(const void *value)
{
	uint16_t number = 0;

	if (value != NULL)
		memcpy(&number, value, sizeof(number));
	return number;
}

static bool
read_link(const char *name, struct link *link, char why[XDP_WHY_SIZE])
{
	const size_t size = sizeof(struct ifinfomsg);
	const uint32_t filter = RTEXT_FILTER_SKIP_STATS;
	union netlink_message message;
	const void *value, *info;

	memset(link, 0, sizeof(*link));
	link->ifindex = if_nametoindex(name);
	netlink_begin(&message, RTM_GETLINK, 0, size);
	message.link.ifi_index = (int)link->ifindex;
	netlink_put(&message, IFLA_EXT_MASK, &filter, sizeof(filter));
	if (link->ifindex == 0 || !netlink_ask(&message, RTM_NEWLINK, size))
		return cannot(why, "there is no interface %s", name);
	link->up = (message.link.ifi_flags & IFF_UP) != 0;
	value = netlink_find(&message, size, IFLA_ADDRESS, sizeof(link->mac));
	if (value != NULL)
		memcpy(link->mac, value, sizeof(link->mac));
	if (netlink_find(&message, size, IFLA_LINK_NETNSID, 0) == NULL)
		link->lower = number_of(netlink_find(&message, size, IFLA_LINK,
		    sizeof(uint32_t)));
	info = netlink_find(&message, size, IFLA_LINKINFO, 0);
	value = netlink_find_in(info, IFLA_INFO_KIND, 1);
	if (value != NULL)
		(void)snprintf(link->kind, sizeof(link->kind), "%s",
		    (const char *)value);
	info = netlink_find_in(info, IFLA_INFO_DATA, 0);
	if (strcmp(link->kind, "vlan") != 0)
		return true;
	link->vlan = short_of(netlink_find_in(info, IFLA_VLAN_ID,
	    sizeof(uint16_t)));
	link->protocol = short_of(netlink_find_in(info, IFLA_VLAN_PROTOCOL,
	    sizeof(uint16_t)));
	return true;
}

/* In *link whose VLAN it is. */
static bool
go_below(const char *interface, struct xdp_where *where, struct link *link,
    char why[XDP_WHY_SIZE])
{
	/* 0 is a priority alone, which all of the kernel takes for no tag. */
	if (link->protocol != htons(ETH_P_8021Q) || link->vlan == 0)
		return cannot(why, "interface %s is of no VLAN of 802.1Q",
		    interface);
	where->vlan = link->vlan;
	if (link->lower == 0 || if_indextoname(link->lower, where->name) ==
	    NULL)
		return cannot(why, "interface %s is a VLAN of one of another "
		    "namespace", interface);
	return read_link(where->name, link, why);
}

/*** Tags. ***/

/* How many features the kernel knows by name; 0: it does not say. */
static uint32_t
count_features(const char *name)
{
	struct ethtool_sset_info *sets = xcalloc(1, sizeof(*sets) +
	    sizeof(sets->data[0]));
	uint32_t count;

	sets->cmd = ETHTOOL_GSSET_INFO;
	sets->sset_mask = UINT64_C(1) << ETH_SS_FEATURES;
	count = ethtool_ask(name, sets) == -1 || sets->sset_mask == 0 ? 0 :
	    sets->data[0];
	free(sets);
	return count;
}

static bool
is_active(const struct ethtool_gfeatures *features, uint32_t feature)
{
	return (features->features[feature / 32].active >> feature % 32 & 1) !=
	    0;
}

/* Whether a driver says that it gives tags to the kernel beside the frames,
 * inner or outer ones; and who cannot be asked may do so. */
static bool
takes_tags_off(const char *name)
{
	static const char *const what[] = {
	    "rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"};
	uint32_t count = count_features(name), words = (count + 31) / 32, i;
	struct ethtool_gstrings *names = xcalloc(1, sizeof(*names) +
	    (size_t)count * ETH_GSTRING_LEN);
	struct ethtool_gfeatures *features = xcalloc(1, sizeof(*features) +
	    words * sizeof(features->features[0]));
	unsigned known = 0;
	bool takes = false;
	size_t j;

	*names = (struct ethtool_gstrings){.cmd = ETHTOOL_GSTRINGS,
	    .string_set = ETH_SS_FEATURES, .len = count};
	*features = (struct ethtool_gfeatures){.cmd = ETHTOOL_GFEATURES,
	    .size = words};
	if (count > 0 && ethtool_ask(name, names) == 0 &&
	    ethtool_ask(name, features) == 0)
		for (i = 0; i < MIN_OF(count, names->len); i++)
			for (j = 0; j < NITEMS(what); j++)
				if (strncmp((const char *)names->data +
				    (size_t)i * ETH_GSTRING_LEN, what[j],
				    ETH_GSTRING_LEN) == 0) {
					known++;
					takes |= is_active(features, i);
				}
	free(names);
	free(features);
	return takes || known != NITEMS(what);
}

/* Whatever is above another interface gets frames without tags from there. */
static bool
is_lowest(const struct link *link)
{
	return link->kind[0] == '\0' || strcmp(link->kind, "veth") == 0 ||
	    strcmp(link->kind, "tun") == 0;
}

bool
xdp_where(const char *interface, struct xdp_where *where,
    char why[XDP_WHY_SIZE])
{
	struct link link;

	memset(where, 0, sizeof(*where));
	(void)snprintf(where->name, sizeof(where->name), "%s", interface);
	if (!read_link(interface, &link, why))
		return false;
	where->up = link.up;
	memcpy(where->mac, link.mac, sizeof(where->mac));
	if (strcmp(link.kind, "vlan") == 0 &&
	    !go_below(interface, where, &link, why))
		return false;
	where->ifindex = link.ifindex;
	if (!is_lowest(&link))
		return cannot(why, "interface %s (%s) gets frames without the "
		    "tags of their VLANs", where->name, link.kind);
	if (takes_tags_off(where->name))
		return cannot(why, "interface %s takes off the tags of VLANs: "
		    "ethtool -K %s rx-vlan-hw-parse off "
		    "rx-vlan-stag-hw-parse off", where->name, where->name);
	return true;
}
