/* SPDX-License-Identifier: ISC */
/*
 * What the kernel says of a UDP socket and of what came by it.  Any process.
 */
#ifndef MCRELAY_UDP_H
#define MCRELAY_UDP_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

/* Whether a v4 or v6 address is a multicast group's. */
bool	udp_is_group(const struct sockaddr_storage *address) ATTR_NONNULL;

/* What the control messages of a received message say. */
struct udp_arrival {
	uint64_t	received_ns;	/* CLOCK_REALTIME; 0: not known */
	/* Of each datagram but the last in a message that the kernel has
	 * coalesced (UDP_GRO), bytes; 0: it is one datagram. */
	uint32_t	datagram_size;
	uint32_t	mark;		/* of the packet (SO_RCVMARK) */
};

/*
 * Reads them.  `header' needs nothing but msg_control and msg_controllen,
 * which may come from memory that others write to: lengths are checked.
 */
void	udp_read_arrival(struct msghdr *header, struct udp_arrival *arrival)
	    ATTR_NONNULL;

/* Has the kernel say when each message came; 0, or -1 with errno. */
int	udp_ask_times(int fd) ATTR_UNUSED_RESULT;
/* Whether the kernel may make one message of datagrams that follow each other;
 * 0, or -1 with errno. */
int	udp_coalesce(int fd, bool want);

/* Whether a message can be sent that leaves as a run of datagrams. */
bool	udp_sends_runs(void);
/* Makes a message one, of datagrams of this size but for the last: `control'
 * has UDP_SEGMENT_SPACE bytes. */
#define UDP_SEGMENT_SPACE	CMSG_SPACE(sizeof(uint16_t))
void	udp_put_segment(struct msghdr *header, void *control, uint16_t size)
	    ATTR_NONNULL;

/* So far, of the socket (SO_MEMINFO). */
struct udp_memory {
	uint32_t	drops;		/* datagrams, modulo 2^32 */
	uint32_t	queued_bytes;	/* with the kernel's overhead */
	uint32_t	buffer_bytes;	/* as many may be queued */
};

/* False: the kernel does not say; with ENOTSUP, of no socket. */
bool	udp_read_memory(int fd, struct udp_memory *memory) ATTR_NONNULL
	    ATTR_UNUSED_RESULT;

#endif /* MCRELAY_UDP_H */
