/* SPDX-License-Identifier: ISC */
/*
 * The sink's judgement of what it received: counts, and a window of sequence
 * numbers for each stream.
 */
#ifndef MCRELAY_GEN_TALLY_H
#define MCRELAY_GEN_TALLY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tools/common/histogram.h"
#include "tools/gen/window.h"

/* Runs of a source that a sink tells apart. */
#define TALLY_STREAMS_MAX	1024

struct stream_tally {
	uint32_t	id;
	struct window	window;
};

struct tally {
	bool			 anything;	/* count only */
	uint64_t		 ready_ns;	/* CLOCK_REALTIME */
	uint64_t		 received;	/* datagrams */
	uint64_t		 bytes;
	uint64_t		 corrupt;
	struct histogram	 latency;	/* ns */
	struct stream_tally	*stream;
	size_t			 streams;
	size_t			 last;		/* heard last */
};

/*
 * Streams whose source started at `ready_ns' or later are expected from
 * number 0 on.
 */
void	tally_init(struct tally *tally, bool anything, uint64_t ready_ns)
	    ATTR_NONNULL;
void	tally_free(struct tally *tally) ATTR_NONNULL;

/* `received_ns' is CLOCK_REALTIME.  False when there are too many streams. */
bool	tally_datagram(struct tally *tally, const uint8_t *data, size_t size,
	    uint64_t received_ns) ATTR_NONNULL;

/* Whether something was received, and all of it as it was sent. */
bool	tally_is_clean(const struct tally *tally) ATTR_NONNULL;

/* Adds the counts to a report. */
void	tally_report(const struct tally *tally, json_t *report) ATTR_NONNULL;

#endif /* MCRELAY_GEN_TALLY_H */
