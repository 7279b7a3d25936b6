/* SPDX-License-Identifier: ISC */
/*
 * Steers streams to queues.  See xdp_steer.h.  Supervisor only.
 */
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/ethtool.h"
#include "supervisor/xdp_steer.h"

/* Of what a tag says. */
#define VLAN_NUMBER	0x0fff

static bool
cannot(char why[XDP_WHY_SIZE], const char *interface, const char *what)
{
	(void)snprintf(why, XDP_WHY_SIZE, "`steer': interface %s %s: %s",
	    interface, what, strerror(errno));
	return false;
}

/* How many rules there are, and whether it finds places by itself. */
static bool
count_rules(const char *interface, uint32_t *rules, bool *finds,
    char why[XDP_WHY_SIZE])
{
	struct ethtool_rxnfc count = {.cmd = ETHTOOL_GRXCLSRLCNT};

	if (ethtool_ask(interface, &count) == -1)
		return cannot(why, interface, "takes no rules");
	*rules = count.rule_cnt;
	*finds = (count.data & RX_CLS_LOC_SPECIAL) != 0;
	return true;
}

bool
xdp_steer_possible(const char *interface, char why[XDP_WHY_SIZE])
{
	uint32_t rules;
	bool finds;

	return count_rules(interface, &rules, &finds, why);
}

static void
make_rule(struct ethtool_rx_flow_spec *rule, const struct xdp_key *key,
    uint32_t queue)
{
	memset(rule, 0, sizeof(*rule));
	if (key->family == 4) {
		rule->flow_type = UDP_V4_FLOW;
		memcpy(&rule->h_u.udp_ip4_spec.ip4dst, key->address, 4);
		rule->h_u.udp_ip4_spec.pdst = key->port;
		memset(&rule->m_u.udp_ip4_spec.ip4dst, 0xff, 4);
		rule->m_u.udp_ip4_spec.pdst = UINT16_MAX;
	} else {
		rule->flow_type = UDP_V6_FLOW;
		memcpy(rule->h_u.udp_ip6_spec.ip6dst, key->address, 16);
		rule->h_u.udp_ip6_spec.pdst = key->port;
		memset(rule->m_u.udp_ip6_spec.ip6dst, 0xff, 16);
		rule->m_u.udp_ip6_spec.pdst = UINT16_MAX;
	}
	rule->ring_cookie = queue;
	if (key->vlan == 0)
		return;
	rule->flow_type |= FLOW_EXT;
	rule->h_ext.vlan_tci = htons((uint16_t)key->vlan);
	rule->m_ext.vlan_tci = htons(VLAN_NUMBER);
}

static bool
is_same(const struct ethtool_rx_flow_spec *one,
    const struct ethtool_rx_flow_spec *other)
{
	return one->flow_type == other->flow_type &&
	    one->ring_cookie == other->ring_cookie &&
	    memcmp(&one->h_u, &other->h_u, sizeof(one->h_u)) == 0 &&
	    memcmp(&one->m_u, &other->m_u, sizeof(one->m_u)) == 0 &&
	    one->h_ext.vlan_tci == other->h_ext.vlan_tci &&
	    one->m_ext.vlan_tci == other->m_ext.vlan_tci;
}

static bool
has(const struct ethtool_rxnfc *all, uint32_t location)
{
	uint32_t i;

	for (i = 0; i < all->rule_cnt; i++)
		if (all->rule_locs[i] == location)
			return true;
	return false;
}

/* Where a rule like that is, or can be. */
static bool
choose(const char *interface, const struct ethtool_rxnfc *all, bool finds,
    struct ethtool_rx_flow_spec *rule)
{
	struct ethtool_rxnfc one;
	uint32_t i;

	for (i = 0; i < all->rule_cnt; i++) {
		one = (struct ethtool_rxnfc){.cmd = ETHTOOL_GRXCLSRULE,
		    .fs.location = all->rule_locs[i]};
		rule->location = all->rule_locs[i];
		if (ethtool_ask(interface, &one) == 0 && is_same(&one.fs, rule))
			return true;
	}
	rule->location = RX_CLS_LOC_ANY;
	if (finds)
		return true;
	/* The last place: others may come before. */
	for (rule->location = (uint32_t)all->data; rule->location-- > 0;)
		if (!has(all, rule->location))
			return true;
	errno = ENOSPC;
	return false;
}

bool
xdp_steer(const char *interface, const struct xdp_key *key, uint32_t queue,
    uint32_t *location, char why[XDP_WHY_SIZE])
{
	struct ethtool_rxnfc put = {.cmd = ETHTOOL_SRXCLSRLINS}, *all;
	uint32_t rules;
	bool finds, put_it;

	if (!count_rules(interface, &rules, &finds, why))
		return false;
	make_rule(&put.fs, key, queue);
	all = xcalloc(1, sizeof(*all) + rules * sizeof(*all->rule_locs));
	all->cmd = ETHTOOL_GRXCLSRLALL;
	all->rule_cnt = rules;
	put_it = ethtool_ask(interface, all) == 0 && all->rule_cnt <= rules &&
	    choose(interface, all, finds, &put.fs) &&
	    ethtool_ask(interface, &put) == 0;
	free(all);
	*location = put.fs.location;
	return put_it || cannot(why, interface, "does not take a rule (see "
	    "ethtool -n, and ntuple-filters of ethtool -k)");
}

bool
xdp_steer_lasts(const char *interface, uint32_t location)
{
	struct ethtool_rxnfc one = {.cmd = ETHTOOL_GRXCLSRULE,
	    .fs.location = location};

	return ethtool_ask(interface, &one) == 0;
}

void
xdp_steer_no_more(uint32_t ifindex, uint32_t location)
{
	struct ethtool_rxnfc command = {.cmd = ETHTOOL_SRXCLSRLDEL,
	    .fs.location = location};
	char interface[IF_NAMESIZE];

	if (if_indextoname(ifindex, interface) != NULL)
		(void)ethtool_ask(interface, &command);
}
