/* SPDX-License-Identifier: ISC */
/*
 * From the ring to the outputs.  Worker, relay thread only.
 *
 * Each output has a cursor of its own in the ring, so an output that cannot
 * send for a while holds up neither the others nor the input: what it could
 * not send before the ring came round is counted in its relay_errors.
 *
 * Neighbours of one size leave as one UDP_SEGMENT message, many messages in
 * one sendmmsg.  Where a route does not take segments of some size (EINVAL,
 * EIO, EMSGSIZE), that size and larger ones are sent one by one; the limit is
 * tried again after GSO_RETRY_NS.
 *
 * With `keep_source' each leaves by itself, with headers of ours
 * (keep_source.h), which a successor does not need: they are in no segment.
 */
#ifndef MCRELAY_RELAY_H
#define MCRELAY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "common/segment.h"
#include "worker/keep_source.h"
#include "worker/turn.h"

/* No larger segment is asked for; "active" is any limit above 0. */
#define GSO_LIMIT_MAX	UINT16_MAX
#define GSO_RETRY_NS	(10 * UINT64_C(1000000000))
/* The supervisor connects a socket anew in microseconds; it may have to wait
 * for a processor in between. */
#define RECONNECT_NS	(100 * UINT64_C(1000000))

struct output {
	struct relay		*relay;
	unsigned		 index;
	int			 socket;	/* connected; not owned */
	bool			 blocked;	/* waits to be writable */
	uint32_t		 gso_limit;	/* largest segment asked for */
	uint64_t		 gso_retry_ns;	/* when to forget the limit */
	uint64_t		 unconnected_ns;	/* since; 0: not so */
	bool			 gso_told;	/* said that it is limited */
	struct keep_source	 keep;
	struct log_limit	 limit_error;
	struct log_limit	 limit_overrun;
};

struct relay {
	const struct segment	*segment;
	unsigned		 outputs;
	struct output		 output[OUTPUTS_MAX];
	/* Of the messages in the tx area, where an output has its own. */
	uint8_t			 header[TX_MESSAGES][IP_HEADER_MAX];
	struct turn_view	 turn;
};

/*
 * `sockets' holds one descriptor for each output of the configuration.
 * Settles what a predecessor had in flight.
 */
void	relay_init(struct relay *relay, const struct segment *segment,
	    const int *sockets) ATTR_NONNULL;

/* Sends what is in the ring to every output that is not blocked.  Sets
 * output->blocked where the socket is full. */
void	relay_run(struct relay *relay) ATTR_NONNULL;

/* Lets go of records that the ring is going to overwrite up to `end'. */
void	relay_make_room(struct relay *relay, uint64_t end) ATTR_NONNULL;

#endif /* MCRELAY_RELAY_H */
