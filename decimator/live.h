/* SPDX-License-Identifier: ISC */
/*
 * Showing streams to mcrelay-web and mcrelay-forwarder, by the supervisor's
 * sockets.  Decimator.
 *
 * Never waits: what does not fit is counted, and told with the stream's next
 * datum that does.  The datums of a turn of the loop go together, so that a
 * fast stream costs no system call for each.
 */
#ifndef MCRELAY_DECIMATOR_LIVE_H
#define MCRELAY_DECIMATOR_LIVE_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/live.h"

struct stream;

/* What a viewer has not been shown of a stream since its last record. */
struct live_gap {
	uint64_t	missed;		/* datagrams of the channel */
	uint64_t	lost;		/* datums that were not sent there */
};

/* Takes over `socket', in place of the one before; -1: it does not look. */
void	live_socket(enum live_viewer viewer, int socket);
/* The stream has missed so many datagrams. */
void	live_missed(struct stream *stream, uint64_t missed) ATTR_NONNULL;
/* A datum that the stream gives, without a header. */
void	live_datum(struct stream *stream, const uint8_t *data, size_t size)
	    ATTR_NONNULL;
/* Sends what waits for others.  Before a stream goes that may be among it, and
 * at the end of each turn. */
void	live_flush(void);

#endif /* MCRELAY_DECIMATOR_LIVE_H */
