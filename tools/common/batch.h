/* SPDX-License-Identifier: ISC */
/*
 * A batch of datagrams that a tool hands to the kernel at once.
 *
 * Fill: while there is room, write a datagram at batch_next() and
 * batch_add() it.  Then batch_send(), which empties the batch.
 */
#ifndef MCRELAY_TOOLS_BATCH_H
#define MCRELAY_TOOLS_BATCH_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

/* The largest payload of a UDP datagram over IPv4. */
#define DATAGRAM_MAX	65507
/* The most datagrams that are handed over in one system call. */
#define BATCH_MAX	1024

/* Whether neighbours of one size go in one UDP_SEGMENT message. */
enum batch_coalesce {
	BATCH_SINGLE,		/* no */
	BATCH_COALESCE,		/* yes; where the route refuses it, fail */
	BATCH_MAY_COALESCE,	/* yes, while the route does not refuse it */
};

struct send_counts {
	uint64_t	datagrams;	/* that the kernel accepted */
	uint64_t	bytes;		/* their payload */
	/* Refusals, each followed by another attempt. */
	uint64_t	full;		/* EAGAIN: the send buffer is full */
	uint64_t	no_buffers;	/* ENOBUFS, ENOMEM */
	uint64_t	refused;	/* ECONNREFUSED: nobody listens there */
	uint64_t	unreachable;	/* the network is down or forbids it */
};

struct batch;

/* `fd' is non-blocking and stays the caller's; it is connected, unless each
 * datagram has an address of its own. */
struct batch	*batch_new(int fd, enum batch_coalesce coalesce) ATTR_MALLOC;
void		 batch_free(struct batch *batch) ATTR_NONNULL;

/* Whether another datagram of DATAGRAM_MAX bytes fits; how many there are. */
bool		 batch_has_room(const struct batch *batch) ATTR_NONNULL;
unsigned	 batch_datagrams(const struct batch *batch) ATTR_NONNULL;
uint8_t		*batch_next(struct batch *batch) ATTR_NONNULL;
void		 batch_add(struct batch *batch, size_t size) ATTR_NONNULL;
/* The same, to this address, which stays where it is until it is sent.  Where
 * it cannot be reached the others do not wait: there is no other attempt. */
void		 batch_add_to(struct batch *batch, size_t size,
		    const struct sockaddr_storage *to)
		    __attribute__((__nonnull__(1)));

/*
 * Sends everything, with further attempts where the trouble may pass, until
 * stop_requested() or `deadline_ns' (CLOCK_MONOTONIC, 0: none).  False after a
 * log line when it can never work.
 */
bool		 batch_send(struct batch *batch, uint64_t deadline_ns,
		    struct send_counts *counts) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_BATCH_H */
