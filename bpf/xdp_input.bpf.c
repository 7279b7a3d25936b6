/* SPDX-License-Identifier: ISC */
/*
 * Gives the datagrams of inputs with `path: xdp' to their AF_XDP sockets, as
 * they come from the driver, before the kernel has made anything of them.
 *
 * It takes what is plainly one of these: a whole packet of Ethernet and IP
 * without options, with the tag of the VLAN that the input is of, or none,
 * whose header adds up and whose lengths agree, at the queue that the socket is
 * bound to, for this host, or for a group.  Whatever else comes goes on as if
 * the program was not there: to the ordinary socket that the channel has
 * beside, or to whomever it is for.  It drops nothing.
 *
 * A tag that the driver gives to the kernel beside the frame is not seen: the
 * supervisor puts no program where that is so (supervisor/xdp_where.c).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/apart.h"
#include "bpf/xdp_input.h"

#define FRAGMENT	0x3fff		/* more follow, or it is no first one */
#define VLAN		0x0fff		/* its number, of what the tag says */

/* Of a VLAN: behind the hardware addresses and ETH_P_8021Q. */
struct tag {
	__be16	control;
	__be16	type;		/* of what follows */
};

struct frame {
	const struct ethhdr	*ether;
	const void		*ip;
	const void		*end;	/* of what can be read */
	__u32			size;	/* from IP's header on */
	__u32			vlan;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XDP_INPUTS);
	__type(key, struct xdp_key);
	__type(value, struct xdp_place);
} mcrelay_places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XDP_INPUTS);
	__type(key, __u32);
	__type(value, __u32);
} mcrelay_sockets SEC(".maps");

/* Whether the ten words of a header of IPv4 add up. */
static __always_inline int
adds_up(const struct iphdr *ip)
{
	const __u16 *word = (const void *)ip;
	__u32 sum = 0, i;

	_Pragma("clang loop unroll(full)")
	for (i = 0; i < sizeof(*ip) / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* What is for another host of the network has come by mistake, or to somebody
 * who looks at all of it. */
static __always_inline int
is_for_us(const struct ethhdr *ether, const struct xdp_place *place)
{
	const __u16 *one = (const void *)ether->h_dest;
	const __u16 *other = (const void *)place->mac;

	return (ether->h_dest[0] & 1) != 0 || (one[0] == other[0] &&
	    one[1] == other[1] && one[2] == other[2]);
}

static __always_inline void
begin_key(struct xdp_key *key, const struct xdp_md *ctx,
    const struct frame *frame, __u16 family, __be16 port)
{
	key->family = family;
	key->port = port;
	APART(key);
	key->ifindex = ctx->ingress_ifindex;
	key->vlan = frame->vlan;
}

/* Where there is no room for it the worker takes the time. */
static __always_inline void
stamp_it(struct xdp_md *ctx)
{
	struct xdp_stamp *stamp;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*stamp)) != 0)
		return;
	stamp = (void *)(long)ctx->data_meta;
	if ((const void *)(stamp + 1) <= (const void *)(long)ctx->data)
		stamp->seen_ns = bpf_ktime_get_ns();
}

static __always_inline int
give(struct xdp_md *ctx, const struct frame *frame, const struct xdp_key *key)
{
	const struct xdp_place *place = bpf_map_lookup_elem(&mcrelay_places,
	    key);

	/* At another queue the socket would not take it. */
	if (place == 0 || place->queue != ctx->rx_queue_index ||
	    !is_for_us(frame->ether, place))
		return XDP_PASS;
	stamp_it(ctx);
	return (int)bpf_redirect_map(&mcrelay_sockets, place->socket,
	    XDP_PASS);
}

static __always_inline int
take_v4(struct xdp_md *ctx, const struct frame *frame)
{
	const struct iphdr *ip = frame->ip;
	const struct udphdr *udp = (const void *)(ip + 1);
	struct xdp_key key = {};
	__u32 length;

	if ((const void *)(udp + 1) > frame->end || ip->version != 4 ||
	    ip->ihl != 5 || ip->protocol != IPPROTO_UDP ||
	    (ip->frag_off & bpf_htons(FRAGMENT)) != 0)
		return XDP_PASS;
	length = bpf_ntohs(ip->tot_len);
	if (length > frame->size ||
	    length != bpf_ntohs(udp->len) + sizeof(*ip) ||
	    length < sizeof(*ip) + sizeof(*udp) || !adds_up(ip))
		return XDP_PASS;
	begin_key(&key, ctx, frame, 4, udp->dest);
	__builtin_memcpy(key.address, &ip->daddr, 4);
	return give(ctx, frame, &key);
}

static __always_inline int
take_v6(struct xdp_md *ctx, const struct frame *frame)
{
	const struct ipv6hdr *ip = frame->ip;
	const struct udphdr *udp = (const void *)(ip + 1);
	struct xdp_key key = {};
	__u32 length;

	if ((const void *)(udp + 1) > frame->end || ip->version != 6 ||
	    ip->nexthdr != IPPROTO_UDP)
		return XDP_PASS;
	/* A link-local source is one of an interface, which the kernel says. */
	if (ip->saddr.s6_addr[0] == 0xfe &&
	    (ip->saddr.s6_addr[1] & 0xc0) == 0x80)
		return XDP_PASS;
	length = bpf_ntohs(ip->payload_len);
	if (length > frame->size - sizeof(*ip) ||
	    length != bpf_ntohs(udp->len) || length < sizeof(*udp))
		return XDP_PASS;
	begin_key(&key, ctx, frame, 6, udp->dest);
	__builtin_memcpy(key.address, &ip->daddr, 16);
	return give(ctx, frame, &key);
}

static __always_inline int
take(struct xdp_md *ctx, const struct frame *frame, __be16 type)
{
	if (type == bpf_htons(ETH_P_IP))
		return take_v4(ctx, frame);
	if (type == bpf_htons(ETH_P_IPV6))
		return take_v6(ctx, frame);
	return XDP_PASS;
}

static __always_inline int
take_tagged(struct xdp_md *ctx, struct frame *frame)
{
	const struct tag *tag = frame->ip;

	if ((const void *)(tag + 1) > frame->end)
		return XDP_PASS;
	frame->ip = tag + 1;
	frame->size -= (__u32)sizeof(*tag);
	frame->vlan = bpf_ntohs(tag->control) & VLAN;
	/* A priority alone is no VLAN, and the kernel takes it off. */
	return frame->vlan != 0 ? take(ctx, frame, tag->type) : XDP_PASS;
}

SEC("xdp")
int
mcrelay_xdp(struct xdp_md *ctx)
{
	struct frame frame = {
	    .ether = (const void *)(long)ctx->data,
	    .end = (const void *)(long)ctx->data_end,
	    /* Whoever may not look into the kernel cannot subtract pointers. */
	    .size = (__u32)bpf_xdp_get_buff_len(ctx)};

	frame.ip = frame.ether + 1;
	if (frame.ip > frame.end || frame.size > XDP_FRAME_ROOM)
		return XDP_PASS;
	frame.size -= (__u32)sizeof(*frame.ether);
	return frame.ether->h_proto == bpf_htons(ETH_P_8021Q) ?
	    take_tagged(ctx, &frame) : take(ctx, &frame, frame.ether->h_proto);
}

char mcrelay_license[] SEC("license") = "Dual BSD/GPL";
