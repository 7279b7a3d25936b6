/* SPDX-License-Identifier: ISC */
/*
 * The rings of an AF_XDP socket, as the kernel's Documentation/networking/
 * af_xdp.rst and <linux/if_xdp.h> describe them: mapped from the socket, by
 * whoever has it.  Supervisor, which makes the socket and gives the kernel all
 * frames once; worker, which receives (worker/ingest_xdp.c).
 *
 * There are as many frames as each ring has entries, so that neither is ever
 * too full: each frame lies in the one that gives them to the kernel (`fill'),
 * or in the one that brings them (`receive'), or the kernel has it.
 */
#ifndef MCRELAY_XDP_RINGS_H
#define MCRELAY_XDP_RINGS_H

#include <linux/if_xdp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/xdp_input.h"
#include "common/compiler.h"

/* Of the C library since 2.28. */
#ifndef SOL_XDP
#define SOL_XDP		283
#endif

/* Powers of two. */
#define XDP_FRAMES_MIN	64U
#define XDP_FRAMES_MAX	(1U << 18)

struct xdp_rings {
	uint32_t		 frames;	/* entries of both */
	_Atomic uint32_t	*fill_producer;	/* ours */
	uint64_t		*fill;
	_Atomic uint32_t	*receive_producer;	/* the kernel's */
	_Atomic uint32_t	*receive_consumer;	/* ours */
	const struct xdp_desc	*receive;
	/* The mappings. */
	void			*map[2];
	size_t			 size[2];
};

/* 0, or -1 with errno. */
int	xdp_rings_map(struct xdp_rings *rings, int socket, uint32_t frames)
	    ATTR_NONNULL;
void	xdp_rings_unmap(struct xdp_rings *rings) ATTR_NONNULL;

/* What has come behind the first `committed' descriptors. */
static inline uint32_t
xdp_rings_waiting(const struct xdp_rings *rings, uint64_t committed)
{
	/* Partner: the kernel's release, once the frame is filled. */
	uint32_t waiting = atomic_load_explicit(rings->receive_producer,
	    memory_order_acquire) - (uint32_t)committed;

	return waiting <= rings->frames ? waiting : 0;
}

/*
 * Both rings are where they have to be once that many descriptors are
 * committed, whoever has committed them: each frame that was read is given
 * back, behind all others.
 */
static inline void
xdp_rings_settle(const struct xdp_rings *rings, uint64_t committed)
{
	/* Partner: the kernel's acquire. */
	atomic_store_explicit(rings->fill_producer,
	    (uint32_t)committed + rings->frames, memory_order_release);
	atomic_store_explicit(rings->receive_consumer, (uint32_t)committed,
	    memory_order_release);
}

#endif /* MCRELAY_XDP_RINGS_H */
