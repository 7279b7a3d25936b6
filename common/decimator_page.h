/* SPDX-License-Identifier: ISC */
/*
 * The decimator's page of a segment (segment.h): how far it is, and what it has
 * sent.  Written by the decimator that has the channel.
 */
#ifndef MCRELAY_DECIMATOR_PAGE_H
#define MCRELAY_DECIMATOR_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/channel_config.h"
#include "common/domain.h"
#include "common/ledger.h"

struct page_stream {
	uint64_t	id;	/* whose numbers these are; 0: nobody's */
	struct stream_counts counts;
};

/*
 * How far the decimator is, and what it has counted up to there: a domain like
 * the worker's, so that a killed decimator's successor counts nothing twice
 * and leaves nothing out.  While no decimator has the channel the writer is
 * the supervisor.
 */
struct decimated_state {
	uint64_t		position;	/* of the next record, or 0 */
	uint64_t		sequence;	/* expected there */
	struct page_stream	stream[STREAMS_MAX];
};

SEGMENT_DOMAIN(decimated);

/*
 * What a stream has sent.  `progress' speaks of whole shares, this of each
 * datagram (decimator/sending.h): a killed decimator's successor takes the
 * share again, from the windows' beginning, but hands the stream nothing that
 * lies before its mark.  So a stream's archive has each datum once.
 */
struct sent_mark {
	uint64_t	sequence;	/* of a datagram, */
	uint64_t	datum;		/* and of a datum in it: all before it
					 * is in what was sent, or void */
};

enum sent_to {
	SENT_TO_ARCHIVE,	/* it goes to the destination next */
	SENT_AWAY,
};

struct sent_plan {
	uint64_t		id;	/* the stream's */
	struct sent_mark	mark;
	uint32_t		due;	/* datums of the window that follow */
	uint32_t		to;	/* enum sent_to */
};

struct sent_state {
	uint64_t		id;	/* the stream's; 0: nobody's */
	uint64_t		of;	/* the counts are later than those of
					 * this generation of `progress' */
	uint64_t		batch;	/* number of the last sending settled */
	struct sent_mark	mark;
	uint32_t		due;
	uint32_t		halfway; /* the destination has yet to get it */
	uint64_t		out;	/* as in struct stream_counts */
	uint64_t		errors;
	uint64_t		unarchived;
	uint64_t		standby;
};

SEGMENT_DOMAIN(sent);

/*
 * What the stream `id' has counted, by whoever counted last: `progress' is of
 * that generation, `stream' and `sent' are what its slot has.  False: nothing
 * is known of it.
 */
static inline bool
sent_latest_counts(const struct page_stream *stream, uint64_t generation,
    const struct sent_state *sent, uint64_t id, struct stream_counts *counts)
{
	bool known = stream->id == id;

	if (known)
		*counts = stream->counts;
	if (sent->id != id || sent->of != generation)
		return known;
	if (!known)
		memset(counts, 0, sizeof(*counts));
	counts->out = sent->out;
	counts->errors = sent->errors;
	counts->unarchived = sent->unarchived;
	counts->standby = sent->standby;
	return true;
}

/* When nobody goes on with what has been sent of a window, which is gone: what
 * has yet to be is counted. */
static inline void
sent_count_due(uint64_t generation, const struct sent_state *sent, uint64_t id,
    bool archived, struct stream_counts *counts)
{
	if (sent->id != id || sent->of != generation)
		return;
	counts->errors += (uint64_t)sent->due + (sent->halfway != 0);
	if (archived)
		counts->unarchived += sent->due;
}

/*
 * A datagram that ends its decimator would end all that follow.  So a successor
 * of one that died at work takes what that one had in hand record by record,
 * commits after each, and leaves out the record that two in a row died at
 * without having committed anything (decimator/reader_open.c).
 */
struct decimator_page {
	/* The sending in flight, and what the kernel says of it: TX_SENTINEL
	 * until the datagram has left. */
	_Atomic uint32_t	sent_length;
	uint32_t		reserved;
	_Atomic uint64_t	in_flight;	/* slot and batch, one store */
	struct sent_plan	plan;
	_Atomic uint64_t	wake_at;	/* ring_sleep() */
	/* Position of the last record taken and not committed; 0: none. */
	_Atomic uint64_t	taking;
	/* Records before this one are taken one by one. */
	_Atomic uint64_t	alone_until;
	/* Decimators that have died at work, with this position committed. */
	_Atomic uint64_t	died_at;
	_Atomic uint64_t	deaths;
	struct decimated_domain	progress;
	struct sent_domain	sent[STREAMS_MAX];
};
#define DECIMATOR_AREA		(4U * 4096)
_Static_assert(sizeof(struct decimator_page) <= DECIMATOR_AREA, "pages");

#endif /* MCRELAY_DECIMATOR_PAGE_H */
