/* SPDX-License-Identifier: ISC */
/*
 * The program that gives frames to AF_XDP sockets (bpf/xdp_input.bpf.c), run
 * here, on a frame.
 */
#ifndef MCRELAY_TESTS_XDP_HERE_H
#define MCRELAY_TESTS_XDP_HERE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/xdp_input.h"

/* What the supervisor has told it: there is one input. */
extern struct xdp_key	xdp_here_key;
extern struct xdp_place	xdp_here_place;
/* The kernel's clock; and that there is no room in front of the frame. */
extern uint64_t		xdp_here_now;
extern bool		xdp_here_no_room;

/* Where the frame is put first, a place that pointers of 32 bits reach: at the
 * end of a page, so that who reads too much is killed.  NULL: too large. */
uint8_t	*xdp_here_put(const void *frame, size_t size);
/* Whether it is given to the socket when it comes there; else it goes on to the
 * kernel. */
bool	xdp_here_takes(const uint8_t *frame, size_t size, uint32_t ifindex,
	    uint32_t queue);

#endif /* MCRELAY_TESTS_XDP_HERE_H */
