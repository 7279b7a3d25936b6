/* SPDX-License-Identifier: ISC */
/*
 * Frames for the program that gives them to AF_XDP sockets, and for the worker.
 */
#ifndef MCRELAY_TESTS_XDP_FRAMES_H
#define MCRELAY_TESTS_XDP_FRAMES_H

#include "bpf/xdp_input.h"
#include "worker/xdp_frame.h"

#define ETHER		14U
#define PORT		0x1389U
#define INTERFACE	3U
#define QUEUE		1U
#define LARGEST		(XDP_FRAME_ROOM - ETHER - 20U - 8U)

struct frame {
	int	family;
	size_t	size;
	size_t	ip;		/* size of its header */
	size_t	length;		/* of the payload */
	uint8_t	at[2 * XDP_FRAME_SIZE];
};

/* One without a tag, that the program is told to give (xdp_here.h). */
void	frame_make(struct frame *frame, int family, size_t length);
/* Two bytes, the higher one first. */
void	frame_put(uint8_t *at, size_t value);
/* Checksums, of frames without a tag. */
void	frame_put_ip_sum(struct frame *frame);
void	frame_put_udp_sum(struct frame *frame);
/* Behind the hardware addresses: what was there is the inner one. */
void	frame_put_tag(struct frame *frame, unsigned type, unsigned control);

/* What becomes of it at the program's queue, and then at the worker. */
bool	frame_taken(const struct frame *frame);
bool	frame_read(const struct frame *frame, bool trust,
	    struct arrival *arrival);
/* What the worker has read is this one, which has no tag. */
void	frame_assert_same(const struct frame *frame,
	    const struct arrival *arrival);

#endif /* MCRELAY_TESTS_XDP_FRAMES_H */
