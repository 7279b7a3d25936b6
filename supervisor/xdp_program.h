/* SPDX-License-Identifier: ISC */
/*
 * The program that gives datagrams to AF_XDP sockets (bpf/xdp_input.bpf.c):
 * loaded, put at interfaces, and told whom to give what.  Supervisor only.
 * Knows nothing of channels: xdp_path.h is its only user.
 *
 * It is at an interface by a link of ours, and goes with that, also when we are
 * killed.  Then, or while it is replaced, all goes to the ordinary sockets.
 */
#ifndef MCRELAY_XDP_PROGRAM_H
#define MCRELAY_XDP_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/xdp_input.h"
#include "common/compiler.h"

#define XDP_WHY_SIZE	200

struct xdp_program;

/* NULL: it cannot be had, and `why' says why, for people. */
struct xdp_program	*xdp_program_load(char why[XDP_WHY_SIZE])
			    ATTR_NONNULL;
void	xdp_program_free(struct xdp_program *program);
uint32_t	xdp_program_id(const struct xdp_program *program)
		    ATTR_NONNULL;

/* The socket has the place that the key leads to, from now on or no more.  0,
 * or -1 with errno. */
int	xdp_program_set(const struct xdp_program *program,
	    const struct xdp_key *key, const struct xdp_place *place,
	    int socket) ATTR_NONNULL;
/* The same socket, by another hardware address or queue: frames go on coming
 * meanwhile.  0, or -1 with errno. */
int	xdp_program_move(const struct xdp_program *program,
	    const struct xdp_key *key, const struct xdp_place *place)
	    ATTR_NONNULL;
void	xdp_program_delete(const struct xdp_program *program,
	    const struct xdp_key *key) ATTR_NONNULL;

/* Puts it at the interface, in the driver if that can have it, which is told.
 * The link's descriptor, or -1 with `why'. */
int	xdp_program_attach(const struct xdp_program *program,
	    uint32_t ifindex, bool *in_driver, char why[XDP_WHY_SIZE])
	    ATTR_NONNULL;

#endif /* MCRELAY_XDP_PROGRAM_H */
