/* SPDX-License-Identifier: ISC */
/*
 * Frames as the program at the interface gives them to an AF_XDP socket
 * (bpf/xdp_input.bpf.c): Ethernet, with a VLAN's tag or without, IP without
 * options, UDP, whole.
 */
#ifndef MCRELAY_XDP_FRAME_H
#define MCRELAY_XDP_FRAME_H

#include "worker/ingest.h"

/*
 * What an arrival is of a frame, `rest' being all of its payload.  False: there
 * is no datagram, or, unless that is to be trusted, its checksum is wrong.
 */
bool	xdp_frame_read(const uint8_t *frame, size_t size, bool trust,
	    struct arrival *arrival) ATTR_NONNULL;

#endif /* MCRELAY_XDP_FRAME_H */
