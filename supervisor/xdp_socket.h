/* SPDX-License-Identifier: ISC */
/*
 * AF_XDP sockets: made with their memory and their rings, ready for a worker.
 * Supervisor only, which alone has the privilege that they take (CAP_NET_RAW).
 * Never reads a datagram.
 *
 * What is done is what the kernel's Documentation/networking/af_xdp.rst says,
 * by system calls of our own: libbpf has had no such functions since 1.0.
 */
#ifndef MCRELAY_XDP_SOCKET_H
#define MCRELAY_XDP_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

struct xdp_socket {
	int		socket;		/* -1: none */
	int		memory;		/* a sealed memfd, of all frames */
	uint64_t	cookie;		/* the socket's, which no other has */
	uint32_t	ifindex;	/* what it is bound to... */
	uint32_t	queue;		/* ...and where */
	uint32_t	frames;
	bool		zero_copy;	/* the card writes to the memory */
};

void	xdp_socket_init(struct xdp_socket *xdp) ATTR_NONNULL;
/* As many frames as a socket with such a receive buffer has room for at the
 * least, a power of two. */
uint32_t	xdp_socket_frames(uint64_t receive_buffer);
/* 0, or -1 with errno and what could not be done in *what. */
int	xdp_socket_open(struct xdp_socket *xdp, uint32_t ifindex,
	    uint32_t queue, uint32_t frames, const char **what) ATTR_NONNULL;
void	xdp_socket_close(struct xdp_socket *xdp) ATTR_NONNULL;
/* Whether these descriptors of a predecessor are a socket, bound where it is
 * said, and its memory; else they are the caller's. */
bool	xdp_socket_adopt(struct xdp_socket *xdp, int socket, int memory,
	    uint32_t ifindex, uint32_t queue) ATTR_NONNULL;
/* Frames that hold datagrams behind the first `committed'. */
uint32_t	xdp_socket_waiting(const struct xdp_socket *xdp,
		    uint64_t committed) ATTR_NONNULL;
/* What it has dropped, ever. */
uint64_t	xdp_socket_drops(const struct xdp_socket *xdp) ATTR_NONNULL;
/* How often a card that copies nothing has found no memory for what comes next,
 * ever: what it drops then it counts itself, if it does. */
uint64_t	xdp_socket_starved(const struct xdp_socket *xdp) ATTR_NONNULL;

#endif /* MCRELAY_XDP_SOCKET_H */
