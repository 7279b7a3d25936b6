/* SPDX-License-Identifier: ISC */
/*
 * What the files of a stream share.  Decimator, for stream*.c.
 */
#ifndef MCRELAY_DECIMATOR_STREAM_PRIV_H
#define MCRELAY_DECIMATOR_STREAM_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "decimator/sending.h"
#include "decimator/stream.h"

/* The largest payload of a UDP datagram over IPv4. */
#define OUTPUT_MAX	65507U

/* Sends a datagram to the destination and to the archive, if there is one. */
void	stream_send(struct stream *stream, const uint8_t *data, size_t size)
	    ATTR_NONNULL;
/* Puts a datum into a datagram with others, if there may be some. */
void	stream_pack(struct stream *stream, const uint8_t *data, size_t size)
	    ATTR_NONNULL;

/* Whether what was all there at that time is another host's to send. */
static inline bool
stream_is_anothers(const struct stream *stream, uint64_t done_ns)
{
	return done_ns < turn_before_ns(&stream->sending->state->turn);
}

#endif /* MCRELAY_DECIMATOR_STREAM_PRIV_H */
