/* SPDX-License-Identifier: ISC */
/*
 * A stream: one decimated output of a channel.  A reducer (none for raw
 * channels, whose windows are of datagrams and whose output is the last one,
 * verbatim), a connected socket, counters.
 *
 * The counters are private to the process; reader.c publishes them.
 */
#ifndef MCRELAY_DECIMATOR_STREAM_H
#define MCRELAY_DECIMATOR_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/message.h"
#include "common/datum.h"
#include "common/ledger.h"
#include "common/log.h"
#include "common/segment.h"
#include "decimator/live.h"

struct reducer;
struct sampler;
struct sending;

/*
 * A window by time.  It belongs to a multiple of the interval on the clock, and
 * is open from its first datum until one of a later window comes or its time
 * is over.
 */
struct window {
	bool			 open;
	bool			 torn;		/* datagrams are missing */
	uint64_t		 start_ns;	/* on the stream's clock */
	uint64_t		 close_at_ns;	/* CLOCK_MONOTONIC */
	/* Missed since the last datum: it shows with the next one to which
	 * window they belong. */
	uint64_t		 missed;
};

struct stream {
	struct stream_config	 config;
	const char		*channel;	/* its name, the reader's */
	const struct datum_program *program;	/* the reader's; NULL: raw */
	struct datum_program	*plan;		/* its own, or NULL */
	struct reducer		*reducer;	/* NULL: raw */
	struct sampler		*sampler;	/* raw with samples, or NULL */
	struct sample_config	 samples;
	struct datum_framing	 framing;	/* put before what is sent */
	/* Raw: datagrams so far, and the last one of a window by time. */
	uint64_t		 in_window;
	uint8_t			*last;
	size_t			 last_size;
	struct window		 window;
	/* Datums that wait for others, up to what the path takes; NULL:
	 * each goes at once. */
	uint8_t			*packed;
	size_t			 packed_size;
	size_t			 packed_max;
	/* Where it stands: the next datum; and what a predecessor has sent. */
	struct sent_mark	 at;
	struct sent_mark	 resume;
	uint32_t		 due;	/* of a window, after the one in hand */
	struct sent_mark	 packed_at;
	uint32_t		 packed_due;
	/* When that and what is sent now had come, all of it, or its time was
	 * over: CLOCK_REALTIME. */
	uint64_t		 packed_done_ns;
	uint64_t		 done_ns;
	struct sending		*sending;	/* the reader's */
	int			 socket;
	int			 feed;		/* its archive's; -1: none */
	struct stream_counts	 counts;
	/* For who looks: live.h.  The window's last datum was received
	 * then. */
	uint64_t		 live_key;
	uint64_t		 received_ns;
	struct live_gap		 live_gap[LIVE_VIEWERS];
	struct log_limit	 send_limit;
	struct log_limit	 feed_limit;
	struct log_limit	 size_limit;
};

/*
 * A stream's own program, from the file that came with its configuration and
 * stays the caller's.  NULL: it cannot be used, which has been logged.
 */
struct datum_program	*stream_plan(const char *channel,
			    const struct stream_config *config, int fd)
			    ATTR_NONNULL ATTR_UNUSED_RESULT;

/*
 * `channel' and `program' (NULL: raw) must outlive the stream.  Takes over
 * `socket' and `plan' (NULL: the stream goes by `program').  It sends by
 * `sending', which must outlive it as well.  `samples' are a raw channel's.
 * NULL when the configuration makes no sense; it has been logged.
 */
struct stream	*stream_new(const char *channel,
		    const struct stream_config *config,
		    const struct datum_program *program,
		    struct datum_program *plan,
		    const struct sample_config *samples, int socket,
		    struct sending *sending) ATTR_UNUSED_RESULT;
/* NULL is allowed. */
void		 stream_free(struct stream *stream);

/* All that is sent goes to its archive as well, by this socket, which the
 * stream takes over. */
void		 stream_feed(struct stream *stream, int feed) ATTR_NONNULL;

/*
 * Goes on with the counters of `old', and, with the same program and the same
 * windows and methods (`same_program' speaks of the first), with its window.
 * Nothing is sent again.
 */
void		 stream_inherit(struct stream *stream, struct stream *old,
		    bool same_program) ATTR_NONNULL;

/* What is pushed from here on is of the datagram with this number. */
static inline void
stream_datagram(struct stream *stream, uint64_t sequence)
{
	stream->counts.in++;
	stream->at.sequence = sequence;
	stream->at.datum = 0;
}

/*
 * Takes one datagram.  `data' is private memory, which stays as it is until the
 * next stream_settle(); with a program it holds nothing but whole datums, and
 * no headers: what is sent gets its own.
 */
void		 stream_push(struct stream *stream, const uint8_t *data,
		    size_t size, uint64_t received_ns) ATTR_NONNULL;

/* Has done with the memory of all datagrams taken. */
void		 stream_settle(struct stream *stream) ATTR_NONNULL;

/* Sends the datums that wait for others. */
void		 stream_flush(struct stream *stream) ATTR_NONNULL;

/* So many datagrams were lost here. */
void		 stream_gap(struct stream *stream, uint64_t missed)
		    ATTR_NONNULL;

/* So many are left out on purpose. */
void		 stream_skip(struct stream *stream, uint64_t skipped)
		    ATTR_NONNULL;

/* So many were lost before they came to the ring, at about this place: only a
 * summary can say so. */
void		 stream_lost(struct stream *stream, uint64_t lost)
		    ATTR_NONNULL;

/*
 * After taking what there was: until when a window by time stays open if
 * nothing else comes.  The clocks are now.
 */
void		 stream_wait(struct stream *stream, uint64_t monotonic_ns,
		    uint64_t realtime_ns) ATTR_NONNULL;
/*
 * After that, with nothing in between: closes a window whose time is over.
 * When the window under way has to be closed (CLOCK_MONOTONIC), or UINT64_MAX.
 */
uint64_t	 stream_close_due(struct stream *stream,
		    uint64_t monotonic_ns) ATTR_NONNULL;

#endif /* MCRELAY_DECIMATOR_STREAM_H */
