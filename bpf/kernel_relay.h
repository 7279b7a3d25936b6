/* SPDX-License-Identifier: ISC */
/*
 * What the program that relays in the kernel (kernel_relay.bpf.c) and the
 * supervisor, who fills its map, share; and what its mark says, which workers
 * read.  Compiled for the kernel, too: types of <linux/types.h> only.
 */
#ifndef MCRELAY_KERNEL_RELAY_H
#define MCRELAY_KERNEL_RELAY_H

#include <linux/types.h>

/* As OUTPUTS_MAX and SOURCES_MAX (common/channel_config.h). */
#define KERNEL_TARGETS	16
#define KERNEL_SOURCES	32
/* Inputs of all channels. */
#define KERNEL_ROUTES	4096

/*
 * The mark of a datagram that the program has handled: which outputs it has
 * left by already, by their slots (channel_config.h), and whether one was tried
 * in vain.  Whatever has no such mark has not left.
 */
#define KERNEL_MARK		0x4d420000U
#define KERNEL_MARK_MASK	0xfffe0000U
#define KERNEL_MARK_FAILED	0x00010000U

/* Where a datagram comes in, and whom it is for. */
struct kernel_key {
	__u32	ifindex;
	__be16	port;
	__u16	family;		/* 4 or 6 */
	__u8	address[16];	/* v4: the first four */
};

/* What has left by the outputs of a key's route, by their slots; each CPU has
 * its own. */
struct kernel_counts {
	struct kernel_count {
		__u64	datagrams;
		__u64	bytes;
		__u64	errors;		/* datagrams, left to the worker */
	} slot[KERNEL_TARGETS];
};

struct kernel_source {
	__u8	address[16];	/* v4 as ::ffff:a.b.c.d */
	__u8	mask[16];
};

struct kernel_target {
	__u32	ifindex;
	__u32	slot;
	__u8	to_mac[6];
	__u8	from_mac[6];
	__u8	from[16];
	__u8	to[16];
	__be16	from_port;
	__be16	to_port;
	__u8	ttl;
	__u8	tos;
	__u16	mtu;		/* of the way; 0: the interface's */
};

struct kernel_route {
	__u32	targets;
	__u32	sources;	/* 0: everybody may send */
	struct kernel_target	target[KERNEL_TARGETS];
	struct kernel_source	source[KERNEL_SOURCES];
};

#endif /* MCRELAY_KERNEL_RELAY_H */
