/* SPDX-License-Identifier: ISC */
/*
 * Relays datagrams where they come in, in the kernel: a classifier of tc at the
 * input's interface.  A datagram that a route is for is given the addresses,
 * ports, hops and checksums that it has to have behind an output, and a copy of
 * it leaves there; so for each output; then it is made what it was, marked with
 * the outputs that it has left by, and goes on to the socket.
 *
 * The worker sends what is not marked.  So whatever is not to be done here goes
 * on as it came: fragments, options, what is too large for an output's
 * interface, what this host has sent itself.
 *
 * Must not drop a datagram, but where nothing else is left to do (restore()).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/kernel_relay.h"

#define DONT_FRAGMENT	0x4000
#define FRAGMENT	0x3fff		/* more follow, or it is no first one */
/* Of what bpf_clone_redirect() returns: our copy is queued, another packet may
 * have had to go (NET_XMIT_CN). */
#define CONGESTED	2

/* Who may load programs but not look into the kernel (CAP_BPF without
 * CAP_PERFMON) can have no pointer that a loop moves. */
#define UNROLL	_Pragma("clang loop unroll(full)")

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KERNEL_ROUTES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct kernel_key);
	__type(value, struct kernel_route);
} mcrelay_routes SEC(".maps");

/* Who makes a route makes its counts. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, KERNEL_ROUTES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct kernel_key);
	__type(value, struct kernel_counts);
} mcrelay_counts SEC(".maps");

/* All that is not the same behind each output. */
struct headers {
	__u8	to_mac[6];
	__u8	from_mac[6];
	union {
		struct iphdr	v4;
		struct ipv6hdr	v6;
	};
	__be16	port[2];
};

/*
 * What a run of the program works with, of its CPU: on the stack the verifier
 * looks at words of eight bytes, and before Linux 6.8 lets nobody without
 * CAP_PERFMON write to a part of one that was written as a whole.  A run within
 * a run, by an interface that brings a copy back at once, does nothing.
 */
struct run {
	__u64		busy;
	struct headers	original;	/* as it came */
	struct headers	now;		/* as the packet is */
	struct headers	next;
	struct kernel_key	key;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct run);
} mcrelay_runs SEC(".maps");

/* Its interface is told with such a source, where the mark would be told
 * (worker/arrival.c). */
static __always_inline int
is_link_local(const struct in6_addr *address)
{
	return (address->in6_u.u6_addr32[0] & bpf_htonl(0xffc00000)) ==
	    bpf_htonl(0xfe800000);
}

static __always_inline int
read_headers(struct __sk_buff *skb, struct headers *headers, int v6)
{
	int at = ETH_HLEN;

	if (bpf_skb_load_bytes(skb, 0, headers->to_mac, 12) < 0)
		return -1;
	if (v6) {
		if (bpf_skb_load_bytes(skb, at, &headers->v6,
		    sizeof(headers->v6)) < 0 || headers->v6.version != 6 ||
		    headers->v6.nexthdr != IPPROTO_UDP ||
		    is_link_local(&headers->v6.saddr))
			return -1;
		at += sizeof(headers->v6);
	} else {
		if (bpf_skb_load_bytes(skb, at, &headers->v4,
		    sizeof(headers->v4)) < 0 || headers->v4.version != 4 ||
		    headers->v4.ihl != 5 ||
		    headers->v4.protocol != IPPROTO_UDP ||
		    (headers->v4.frag_off & bpf_htons(FRAGMENT)) != 0)
			return -1;
		at += sizeof(headers->v4);
	}
	return bpf_skb_load_bytes(skb, at, headers->port,
	    sizeof(headers->port));
}

static __always_inline int
is_from(const __u32 *address, const struct kernel_source *source)
{
	const __u32 *wanted = (const void *)source->address;
	const __u32 *mask = (const void *)source->mask;

	return ((address[0] & mask[0]) ^ wanted[0]) == 0 &&
	    ((address[1] & mask[1]) ^ wanted[1]) == 0 &&
	    ((address[2] & mask[2]) ^ wanted[2]) == 0 &&
	    ((address[3] & mask[3]) ^ wanted[3]) == 0;
}

static __always_inline int
allowed(const struct kernel_route *route, const struct headers *headers,
    int v6)
{
	__u32 address[4] = {0, 0, bpf_htonl(0xffff), headers->v4.saddr}, i;
	/* One number of times would make it a loop again. */
	const volatile __u32 *sources = &route->sources;

	if (*sources == 0)
		return 1;
	if (v6)
		__builtin_memcpy(address, &headers->v6.saddr, 16);
	UNROLL
	for (i = 0; i < KERNEL_SOURCES; i++) {
		if (i >= *sources)
			break;
		if (is_from(address, &route->source[i]))
			return 1;
	}
	return 0;
}

static __always_inline void
set_headers(struct headers *headers, const struct headers *original,
    const struct kernel_target *target, int v6)
{
	__s64 sum;

	*headers = *original;
	__builtin_memcpy(headers->to_mac, target->to_mac, 6);
	__builtin_memcpy(headers->from_mac, target->from_mac, 6);
	headers->port[0] = target->from_port;
	headers->port[1] = target->to_port;
	if (v6) {
		headers->v6.priority = target->tos >> 4;
		headers->v6.flow_lbl[0] = (__u8)(target->tos << 4);
		headers->v6.flow_lbl[1] = headers->v6.flow_lbl[2] = 0;
		headers->v6.hop_limit = target->ttl;
		__builtin_memcpy(&headers->v6.saddr, target->from, 16);
		__builtin_memcpy(&headers->v6.daddr, target->to, 16);
		return;
	}
	headers->v4.tos = target->tos;
	headers->v4.frag_off = bpf_htons(DONT_FRAGMENT);
	headers->v4.ttl = target->ttl;
	__builtin_memcpy(&headers->v4.saddr, target->from, 4);
	__builtin_memcpy(&headers->v4.daddr, target->to, 4);
	headers->v4.check = 0;
	sum = bpf_csum_diff(0, 0, (__be32 *)&headers->v4,
	    sizeof(headers->v4), 0);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	headers->v4.check = (__u16)~sum;
}

/* -1: for want of memory, and nothing is changed; once that is done nothing
 * fails, as the packet's beginning is nobody else's then. */
static __always_inline int
write_headers(struct __sk_buff *skb, struct headers *from, struct headers *to,
    int v6)
{
	int size = v6 ? sizeof(to->v6) : sizeof(to->v4);
	int check = ETH_HLEN + size + (int)__builtin_offsetof(struct udphdr,
	    check);
	__be32 *before = v6 ? (__be32 *)&from->v6.saddr : &from->v4.saddr;
	__be32 *after = v6 ? (__be32 *)&to->v6.saddr : &to->v4.saddr;
	__s64 sum;

	if (bpf_skb_pull_data(skb, ETH_HLEN + size + sizeof(struct udphdr)) <
	    0 || bpf_skb_store_bytes(skb, 0, to->to_mac, 12, 0) < 0)
		return -1;
	/* The sum of all bytes, where the card has said it, stays right: that
	 * of IPv4's header is 0, and both addresses of it are counted below. */
	(void)bpf_skb_store_bytes(skb, ETH_HLEN, &to->v4, size,
	    v6 ? BPF_F_RECOMPUTE_CSUM : 0);
	(void)bpf_skb_store_bytes(skb, ETH_HLEN + size, to->port, 4, 0);
	sum = bpf_csum_diff(before, v6 ? 32 : 8, after, v6 ? 32 : 8, 0);
	(void)bpf_l4_csum_replace(skb, check, 0, sum,
	    BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
	sum = bpf_csum_diff((__be32 *)from->port, 4, (__be32 *)to->port, 4, 0);
	(void)bpf_l4_csum_replace(skb, check, 0, sum, BPF_F_MARK_MANGLED_0);
	return 0;
}

/* Of a run, each datagram. */
static __always_inline int
fits(struct __sk_buff *skb, const struct kernel_target *target, int v6)
{
	__u32 size = skb->len - ETH_HLEN, mtu = 0;

	if (skb->gso_size != 0)
		size = skb->gso_size + sizeof(struct udphdr) +
		    (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	if (target->mtu != 0 && size > target->mtu)
		return 0;
	return bpf_check_mtu(skb, target->ifindex, &mtu, 0,
	    BPF_MTU_CHK_SEGS) == 0;
}

/* Of a packet, which is one datagram or a run of them. */
struct amount {
	__u32	datagrams;
	__u32	bytes;
};

static __always_inline struct amount
amount_of(struct __sk_buff *skb, const struct headers *headers, int v6)
{
	struct amount amount = {.datagrams = skb->gso_segs};

	if (amount.datagrams == 0)
		amount.datagrams = 1;
	amount.bytes = (v6 ? bpf_ntohs(headers->v6.payload_len) :
	    bpf_ntohs(headers->v4.tot_len) - sizeof(headers->v4)) -
	    sizeof(struct udphdr);
	return amount;
}

/* Which of them, is no branch: clang 19 would make it the choice of an offset
 * in the map, which the kernel takes only from those who have CAP_PERFMON. */
static __always_inline void
count(struct kernel_counts *counts, __u32 slot, const struct amount *amount,
    int sent)
{
	struct kernel_count *of = &counts->slot[slot & 15];

	of->datagrams += sent ? amount->datagrams : 0;
	of->bytes += sent ? amount->bytes : 0;
	of->errors += sent ? 0 : amount->datagrams;
}

static __always_inline const struct kernel_route *
find_route(struct __sk_buff *skb, struct run *run, int v6)
{
	const struct headers *headers = &run->original;
	struct kernel_key *key = &run->key;
	const struct kernel_route *route;

	if (read_headers(skb, &run->original, v6) < 0)
		return 0;
	key->ifindex = skb->ifindex;
	key->family = v6 ? 6 : 4;
	key->port = headers->port[1];
	__builtin_memset(key->address, 0, 16);
	if (v6)
		__builtin_memcpy(key->address, &headers->v6.daddr, 16);
	else
		__builtin_memcpy(key->address, &headers->v4.daddr, 4);
	route = bpf_map_lookup_elem(&mcrelay_routes, key);
	return route != 0 && allowed(route, headers, v6) ? route : 0;
}

static __always_inline int
relay(struct __sk_buff *skb, struct run *run, int v6)
{
	const struct kernel_route *route = find_route(skb, run, v6);
	const struct kernel_target *target;
	struct kernel_counts *counts;
	struct amount amount;
	__u32 mark = 0, i;
	int sent;

	if (route == 0)
		return TC_ACT_UNSPEC;
	counts = bpf_map_lookup_elem(&mcrelay_counts, &run->key);
	if (counts == 0)
		return TC_ACT_UNSPEC;
	amount = amount_of(skb, &run->original, v6);
	run->now = run->original;
	UNROLL
	for (i = 0; i < KERNEL_TARGETS; i++) {
		if (i >= route->targets)
			break;
		target = &route->target[i];
		if (!fits(skb, target, v6))
			continue;
		set_headers(&run->next, &run->original, target, v6);
		sent = -1;
		if (write_headers(skb, &run->now, &run->next, v6) == 0) {
			run->now = run->next;
			sent = bpf_clone_redirect(skb, target->ifindex, 0);
		}
		sent = sent == 0 || sent == CONGESTED;
		mark |= sent ? 1U << (target->slot & 15) : KERNEL_MARK_FAILED;
		count(counts, target->slot, &amount, sent);
	}
	if (mark == 0)
		return TC_ACT_UNSPEC;
	/* Nobody would know it as it is. */
	if (write_headers(skb, &run->now, &run->original, v6) < 0)
		return TC_ACT_SHOT;
	skb->mark = KERNEL_MARK | mark;
	return TC_ACT_UNSPEC;
}

static __always_inline int
relay_once(struct __sk_buff *skb, int v6)
{
	__u32 first = 0;
	struct run *run = bpf_map_lookup_elem(&mcrelay_runs, &first);
	int action;

	if (run == 0 || run->busy != 0)
		return TC_ACT_UNSPEC;
	run->busy = 1;
	action = relay(skb, run, v6);
	run->busy = 0;
	return action;
}

SEC("tc")
int
mcrelay_relay(struct __sk_buff *skb)
{
	/* What has a tag is for an interface of that VLAN; a run whose length
	 * the kernel does not know is left alone. */
	if (skb->vlan_present || skb->pkt_type > PACKET_MULTICAST ||
	    (skb->gso_size != 0 && skb->gso_segs == 0))
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return relay_once(skb, 0);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return relay_once(skb, 1);
	return TC_ACT_UNSPEC;
}

char mcrelay_license[] SEC("license") = "Dual BSD/GPL";
