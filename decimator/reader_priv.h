/* SPDX-License-Identifier: ISC */
/*
 * A reader's insides: private to decimator/reader_open.c, which makes and ends
 * readers, and decimator/reader.c, which follows the ring.
 */
#ifndef MCRELAY_DECIMATOR_READER_PRIV_H
#define MCRELAY_DECIMATOR_READER_PRIV_H

#include <sys/types.h>

#include "common/datum.h"
#include "common/ring.h"
#include "common/segment.h"
#include "decimator/sending.h"
#include "decimator/stream.h"
#include "decimator/reader.h"

/* One reader's share of a turn, in records (which may be empty). */
#define SHARE_RECORDS	1024U

/*
 * Laps in a row without a record in between, before the ring counts as
 * garbage.  After a lap a reader has an eighth of the ring in hand, so two in
 * a row need bad luck already.
 */
#define LAPS_MAX	64U

struct reader {
	char			 name[CHANNEL_NAME_MAX + 1];
	struct segment		 segment;
	/* On the heap: streams and the kernel know where it is. */
	struct sending		*sending;
	dev_t			 dev;	/* which segment it is */
	ino_t			 ino;
	struct datum_program	*program; /* a private copy; NULL: raw */
	struct ring_reader	 cursor;
	/* Whether reader.sequence is known; else it is 0, and the next
	 * record's number is taken for what was expected. */
	bool			 synced;
	unsigned		 laps;	/* in a row */
	uint64_t		 skip_at; /* a record that is left out; or 0 */
	size_t			 copied; /* bytes that streams may look at */
	int			 eventfd;
	struct stream		*stream[STREAMS_MAX];
	uint32_t		 streams;
	/* What the kernel dropped before the ring, as far as was said;
	 * UINT64_MAX: not known. */
	uint64_t		 lost;
	bool			 by_time;	/* a stream has such windows */
	bool			 taken;		/* since they were looked at */
	/* When the next of them is over (CLOCK_MONOTONIC). */
	uint64_t		 due_ns;
	struct log_limit	 lap_limit;
	struct log_limit	 unread_limit;
};

/* How far ingest is.  False: it cannot be read (domain.h), which has been
 * logged, and *ingest is what it was. */
bool	reader_ingest(struct reader *reader, struct ingest_state *ingest)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;

/* Tells the supervisor and the next decimator how far this one came. */
void	reader_publish(struct reader *reader) ATTR_NONNULL;

#endif /* MCRELAY_DECIMATOR_READER_PRIV_H */
