/* SPDX-License-Identifier: ISC */
/*
 * A stream: one decimated output of a channel.  A reducer (none for raw
 * channels, whose windows are of datagrams and whose output is the last one,
 * verbatim), a connected socket, counters.
 *
 * The counters are private to the process; tap.c publishes them.
 */
#ifndef MCRELAY_DECIMATOR_STREAM_H
#define MCRELAY_DECIMATOR_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/control.h"
#include "common/datum.h"
#include "common/log.h"

struct reducer;

/* In datagrams. */
struct stream_counts {
	uint64_t	in;	/* taken from the ring */
	uint64_t	out;	/* the kernel took */
	uint64_t	missed;	/* overwritten before they were taken */
	uint64_t	errors;	/* due, but not sent */
};

struct stream {
	struct stream_config	 config;
	const char		*channel;	/* its name, the tap's */
	struct reducer		*reducer;	/* NULL: raw */
	struct datum_framing	 framing;	/* put before what is sent */
	uint64_t		 in_window;	/* raw: datagrams so far */
	int			 socket;
	struct stream_counts	 counts;
	struct log_limit	 send_limit;
	struct log_limit	 size_limit;
};

/*
 * `channel' and `program' (NULL: raw) must outlive the stream.  Takes over
 * `socket'.  NULL when the configuration makes no sense; it has been logged.
 */
struct stream	*stream_new(const char *channel,
		    const struct stream_config *config,
		    const struct datum_program *program, int socket)
		    ATTR_UNUSED_RESULT;
/* NULL is allowed. */
void		 stream_free(struct stream *stream);

/*
 * Goes on with the counters of `old', and, with the same program, method and
 * `every' (`same_program' speaks of the first), with its window.
 */
void		 stream_inherit(struct stream *stream, struct stream *old,
		    bool same_program) ATTR_NONNULL;

/*
 * Takes one datagram.  `data' is private memory; with a program it holds
 * nothing but whole datums, and no headers: what is sent gets its own.
 */
void		 stream_push(struct stream *stream, const uint8_t *data,
		    size_t size) ATTR_NONNULL;

/* So many datagrams were lost here: drops the window under way. */
void		 stream_gap(struct stream *stream, uint64_t missed)
		    ATTR_NONNULL;

#endif /* MCRELAY_DECIMATOR_STREAM_H */
