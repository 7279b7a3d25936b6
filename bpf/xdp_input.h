/* SPDX-License-Identifier: ISC */
/*
 * What the program that gives datagrams to AF_XDP sockets (xdp_input.bpf.c) and
 * the supervisor, who fills its maps, share.  Compiled for the kernel, too:
 * types of <linux/types.h> only.
 */
#ifndef MCRELAY_XDP_INPUT_H
#define MCRELAY_XDP_INPUT_H

#include <linux/types.h>

/* Inputs of all channels. */
#define XDP_INPUTS	256

/*
 * A piece of the memory that packets land in.  What a packet may take of it:
 * the kernel keeps the first 256 bytes for itself (XDP_PACKET_HEADROOM).
 */
#define XDP_FRAME_SIZE	2048
#define XDP_FRAME_ROOM	(XDP_FRAME_SIZE - 256)

/*
 * In front of a packet, where the driver leaves room for it: when the program
 * saw it, by CLOCK_MONOTONIC in nanoseconds.  0: it did not.
 */
struct xdp_stamp {
	__u64	seen_ns;
};

/* Whom a datagram is for, where it comes in, and with which tag. */
struct xdp_key {
	__u32	ifindex;
	__be16	port;
	__u16	family;		/* 4 or 6 */
	__u8	address[16];	/* v4: the first four */
	__u32	vlan;		/* 0: without one */
	__u32	reserved;
};

struct xdp_place {
	__u32	queue;		/* that the socket is bound to */
	__u32	socket;		/* its place in mcrelay_sockets */
	__u8	mac[6];		/* the interface's own */
	__u16	reserved;
};

#endif /* MCRELAY_XDP_INPUT_H */
