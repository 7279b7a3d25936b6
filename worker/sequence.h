/* SPDX-License-Identifier: ISC */
/*
 * The sender's own numbering (payload.sequence): what was lost, sent twice or
 * overtaken before it came to us.  Worker, relay thread only.
 *
 * Each source is counted for itself.  Of a source we know the highest number
 * and which of the SEQUENCE_WINDOW numbers up to it have come.  Numbers wrap:
 * distances are taken modulo the type's range.  A number is
 *	ahead by k, k <= SEQUENCE_LEAP:	k - 1 gaps
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
 * The first number of a source only begins its count.  SEQUENCE_SOURCES are
 * known at a time; one more takes the place of the one that has been silent
 * longest.
 *
 * The state of the sources is in the segment, in two copies: the ingest
 * domain says which is in force, so that one commit puts both in force, and
 * a killed worker's successor counts nothing twice and leaves nothing out.
 */
#ifndef MCRELAY_SEQUENCE_H
#define MCRELAY_SEQUENCE_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/datum.h"
#include "common/segment.h"

/* Ahead by more is rather another numbering than a loss: a quarter of an hour
 * at 20 000 a second. */
#define SEQUENCE_LEAP	(INT64_C(1) << 24)

struct sequence {
	const struct segment		*segment;
	/* With SEQUENCE_FIELD. */
	const struct datum_program	*program;
	uint32_t			 type;	/* enum sequence_type */
	uint32_t			 at;	/* offset or field */
	unsigned			 bits;	/* of the numbers */
	struct sequence_source		*source; /* being filled */
	unsigned			 recent; /* where the last one was */
};

/* `program' is that of the channel, or NULL; it must outlive *sequence. */
void	sequence_init(struct sequence *sequence,
	    const struct segment *segment,
	    const struct datum_program *program);

/* With ingest_begin(): `state' is the copy that is being filled. */
void	sequence_begin(struct sequence *sequence, struct ingest_state *state)
	    ATTR_NONNULL;

/* Counts a record's datagrams; `payload' is that of the whole record. */
void	sequence_count(struct sequence *sequence, struct ingest_state *state,
	    const struct ring_record *record, const uint8_t *payload)
	    ATTR_NONNULL;

/* One number of one source, whose type has `bits' bits; for tests. */
void	sequence_number(struct sequence_source *source, uint64_t number,
	    unsigned bits, struct ingest_state *state) ATTR_NONNULL;

#endif /* MCRELAY_SEQUENCE_H */
