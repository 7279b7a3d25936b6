/* SPDX-License-Identifier: ISC */
/*
 * What mcrelayd and mcrelay-forwarder know of each other: what is to be
 * forwarded, and how far that is.
 *
 * The forwarder is told at its start, in a memory file, a JSON object: servers,
 * credentials, tls {ca, certificate, key}, replicas, limits {age_ns, size,
 * messages}, host, live, channels [{name, stream, subject}].  It has a
 * descriptor of each channel's directory, in the same order.  It has no state
 * that another could not find out again, so whenever something of this changes
 * it is replaced by another.
 *
 * Into its page, memory that both have, it writes how far each channel is.  A
 * forwarder that was taken over may write anything there.
 */
#ifndef MCRELAY_FORWARD_H
#define MCRELAY_FORWARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/message.h"

/* Descriptors of a forwarder. */
#define FORWARD_SPEC_FD		(MESSAGE_FD + 1)
#define FORWARD_PAGE_FD		(MESSAGE_FD + 2)
#define FORWARD_DIRECTORY_FD	(MESSAGE_FD + 3)	/* and following */

/* Of one process. */
#define FORWARD_CHANNELS_MAX	64U

/* Member, meaning. */
#define FORWARD_COUNTERS(X)						\
	X(messages, "messages that the servers have stored")		\
	X(records, "records in these")					\
	X(bytes, "bytes in these, without headers")			\
	X(refused, "messages that the servers refused for a limit")	\
	X(resyncs, "times that the end of the stream was read anew, after " \
	    "an error or a server's silence")

/* What it is about: value, the status' word. */
#define FORWARD_STATES(X)						\
	X(CONNECTING, "connecting")	/* no server answers */		\
	X(ASKING, "asking")		/* the stream, how far it is */	\
	X(FORWARDING, "forwarding")					\
	X(REFUSED, "refused")		/* a limit of the stream */	\
	X(FOREIGN, "foreign")		/* the stream is not ours */	\
	X(OVERSIZED, "oversized")	/* a record larger than a message */ \
	X(UNREADABLE, "unreadable")	/* the archive, by this user */

enum forward_state {
#define FORWARD_STATE(name, word)	FORWARD_##name,
	FORWARD_STATES(FORWARD_STATE)
#undef FORWARD_STATE
	FORWARD_STATES_COUNT
};

/* Not for the forwarder to mend: it tries again at some distance. */
static inline bool
forward_is_refused(enum forward_state state)
{
	return state == FORWARD_REFUSED || state == FORWARD_FOREIGN ||
	    state == FORWARD_OVERSIZED || state == FORWARD_UNREADABLE;
}

struct forward_counts {
#define FORWARD_COUNT(name, meaning)	uint64_t name;
	FORWARD_COUNTERS(FORWARD_COUNT)
#undef FORWARD_COUNT
};

/* Each has one writer and is whole by itself: all orders are relaxed. */
struct forward_slot {
#define FORWARD_COUNT(name, meaning)	_Atomic uint64_t name;
	FORWARD_COUNTERS(FORWARD_COUNT)
#undef FORWARD_COUNT
	_Atomic uint64_t state;		/* enum forward_state */
	_Atomic uint64_t behind_bytes;	/* of files, not yet stored there */
	/* CLOCK_MONOTONIC when the oldest of them was written, or later; 0:
	 * there are none. */
	_Atomic uint64_t behind_since_ns;
	_Atomic uint64_t sequence;	/* the stream's last; 0: none */
	/* The file in which that ends, as its name has it: what was finished
	 * before is forwarded.  0: not known; 1: none is. */
	_Atomic uint64_t file_started_ns;
	_Atomic uint64_t file_sequence;
};

#define FORWARD_NO_FILE	1U

struct forward_page {
	_Atomic uint64_t	connects;	/* to a server */
	_Atomic uint64_t	shown;		/* datums of streams */
	_Atomic uint64_t	not_shown;
	struct forward_slot	slot[FORWARD_CHANNELS_MAX];
};

#endif /* MCRELAY_FORWARD_H */
