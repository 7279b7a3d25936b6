/* SPDX-License-Identifier: ISC */
/*
 * A channel's stream on the servers.  mcrelay-forwarder, a lane.  Each call
 * waits ANSWER_MS at the most.
 */
#ifndef MCRELAY_FORWARDER_STREAM_H
#define MCRELAY_FORWARDER_STREAM_H

#include "forwarder/forwarder.h"
#include "forwarder/pack.h"

/* Messages, and bytes, that no server has confirmed yet.  libnats waits for a
 * millisecond before it sends what is small: so many go in one. */
#define STREAM_MESSAGES	256U
#define STREAM_BYTES	((uint64_t)8 << 20)

/* Where its last message ends. */
struct stream_end {
	char		stem[ARCHIVE_NAME_SIZE];	/* "": it is empty */
	uint64_t	records;
};

/*
 * Of these every so many are to be answered, or one of so many bytes: each is
 * stored behind the one before or not at all, so an answer is one to all before
 * it, too.  So is the first, since it alone is refused for a reason of its own,
 * and the last.
 */
#define STREAM_ASKED	16U
#define STREAM_ASKED_BYTES	(STREAM_BYTES / 8)

struct sent {
	struct stream_end end;		/* of the stream, when it is stored */
	uint64_t	records;
	uint64_t	bytes;
	uint64_t	given;		/* of files, with this message */
};

struct stream {
	const struct lane_spec	*lane;
	jsCtx			*js;
	natsSubscription	*answers;
	char			 inbox[64];	/* where these are sent */
	uint64_t		 last;	/* of the stream, when it was asked */
	/* By a server alone; whether its account may be full soon, and since
	 * when that is known (0: not). */
	bool			 alone;
	bool			 guarded;
	uint64_t		 account_ns;
	int64_t			 created;
	/* What the server counts more than there are, modulo 2^64; its count as
	 * it was said when that was the last, UINT64_MAX: it was not. */
	uint64_t		 ahead;
	uint64_t		 counted;
	uint64_t		 counted_at;
	/* Of its numbers: none of these is there.  0: not known. */
	uint64_t		 missing_from;
	uint64_t		 missing_to;
	/* Messages since then: sent, and of these stored. */
	uint64_t		 sent;
	uint64_t		 stored;
	uint64_t		 bytes;	/* on their way */
	/* Of the last ones, that nobody is to answer. */
	uint64_t		 unasked;
	uint64_t		 unasked_bytes;
	struct growing		 headers;	/* of the last one */
	uint64_t		 answered_ns;	/* or begun to wait */
	struct sent		 way[STREAM_MESSAGES];
};

enum stream_status {
	STREAM_GOOD,
	STREAM_NOTHING,		/* no answer yet */
	STREAM_AGAIN,		/* read the end anew */
	STREAM_FULL,		/* a limit refuses it */
	STREAM_FOREIGN,		/* not written by us */
};

void	stream_init(struct stream *stream, const struct lane_spec *lane)
	    ATTR_NONNULL;
/* Makes it if there is none, and finds its end; nothing is on its way then. */
enum stream_status	stream_ask(struct stream *stream,
			    struct stream_end *end) ATTR_NONNULL;
/* Whether another one may be sent. */
bool			stream_has_room(const struct stream *stream)
			    ATTR_NONNULL;
/* A header of a message; false: no memory. */
bool			stream_set_number(natsMsg *message, const char *key,
			    uint64_t value) ATTR_NONNULL;
/* Whether most of those that may be are on their way. */
bool			stream_is_crowded(const struct stream *stream)
			    ATTR_NONNULL;
/* `more': another one will follow at once. */
enum stream_status	stream_send(struct stream *stream,
			    const struct piece *piece, bool more)
			    ATTR_NONNULL;
/*
 * Takes an answer, if one comes within so many ms.  GOOD: *done says what has
 * been stored, in all, of what was sent since (records may be 0).
 */
enum stream_status	stream_answer(struct stream *stream, int64_t ms,
			    struct sent *done, uint64_t *messages)
			    ATTR_NONNULL;
/* How large a message's payload may be. */
size_t			stream_max(const struct stream *stream) ATTR_NONNULL;

#endif /* MCRELAY_FORWARDER_STREAM_H */
