/* SPDX-License-Identifier: ISC */
/*
 * The sender's own numbering (payload.sequence): what was lost, sent twice or
 * overtaken before it came to us.  Worker, relay thread only.
 *
 * Each source is counted for itself, at each input.  Of a source we know the
 * highest number and which of the SENDER_WINDOW numbers up to it have come.
 * Numbers wrap: distances are taken modulo the type's range.  A number is
 *	ahead by k, k <= SENDER_SEQUENCE_LEAP:	k - 1 gaps
 *	in the window, not come yet:	reordered, and one gap less, if it
 *					was counted as one (numbers before a
 *					source's first one were not)
 *	in the window, come before:	a repeat
 *	anywhere else:			reordered, and not believed until its
 *					successor comes next from the source:
 *					then the sender has begun anew, the
 *					count goes on from there, and the one
 *					reordered is taken back
 *
 * The first number of a source only begins its count.  SENDERS_MAX are
 * known at a time; one more takes the place of the one that has been silent
 * longest.
 *
 * The state of the sources is in the segment, in two copies: the ingest
 * domain says which is in force, so that one commit puts both in force, and
 * a killed worker's successor counts nothing twice and leaves nothing out.
 */
#ifndef MCRELAY_SENDER_SEQUENCE_H
#define MCRELAY_SENDER_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/datum.h"
#include "common/segment.h"

/* Ahead by more is rather another numbering than a loss: a quarter of an hour
 * at 20 000 a second. */
#define SENDER_SEQUENCE_LEAP	(INT64_C(1) << 24)

struct sender_sequence {
	const struct segment		*segment;
	/* With SENDER_SEQUENCE_FIELD. */
	const struct datum_program	*program;
	uint32_t			 type;	/* enum sender_sequence_type */
	uint32_t			 at;	/* offset or field */
	unsigned			 bits;	/* of the numbers */
	struct sender		*source; /* being filled */
	unsigned			 recent; /* where the last one was */
};

/* `program' is that of the channel, or NULL; it must outlive *sequence. */
void	sender_sequence_init(struct sender_sequence *sequence,
	    const struct segment *segment,
	    const struct datum_program *program);

/* With ingest_begin(): `state' is the copy that is being filled. */
void	sender_sequence_begin(struct sender_sequence *sequence,
    struct ingest_state *state)
	    ATTR_NONNULL;

/* Counts a record's datagrams; `payload' is that of the whole record. */
void	sender_sequence_count(struct sender_sequence *sequence,
    struct ingest_state *state,
	    const struct ring_record *record, const uint8_t *payload)
	    ATTR_NONNULL;

/*
 * The number of a datagram's first datum, within the type's range, and how many
 * there are from that to the last one's: 1, where they do not follow one
 * another.  False: it has none.
 */
bool	sender_sequence_of(const struct sender_sequence *sequence,
	    const uint8_t *data, size_t size, uint64_t *number,
	    uint32_t *count) ATTR_NONNULL ATTR_UNUSED_RESULT;

/* One number of one source, whose type has `bits' bits; for tests. */
void	sequence_number(struct sender *source, uint64_t number,
	    unsigned bits, struct ingest_state *state) ATTR_NONNULL;

#endif /* MCRELAY_SENDER_SEQUENCE_H */
