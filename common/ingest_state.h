/* SPDX-License-Identifier: ISC */
/*
 * Of the segment (segment.h): what the worker's relay thread keeps of what it
 * receives.  It writes, everybody may read, by the ingest domain.
 */
#ifndef MCRELAY_INGEST_STATE_H
#define MCRELAY_INGEST_STATE_H

#include <stdint.h>

#include "common/ledger.h"

/* Senders whose own numbering is followed, and how far back (sender_sequence.h
 * of the worker). */
#define SENDERS_MAX	16
#define SENDER_WINDOW		128

struct ingest_state {
	uint64_t	head;		/* ring position */
	uint64_t	sequence;	/* of the next datagram */
	uint64_t	batch;		/* last recvmmsg batch committed */
	uint64_t	last_received_ns; /* CLOCK_REALTIME; 0 never */
	struct ingest_counts counts;
	uint32_t	sources_copy;	/* which worker_state.source[] */
	uint32_t	merge_copy;	/* which merge_area.copy[] */
};

/* Of that, what came by one of the channel's inputs.  One that was removed has
 * left its numbers in the sums only. */
struct input_state {
	struct input_counts counts;
	uint64_t	last_received_ns;
	uint64_t	messages;	/* committed that came by io_uring */
	uint32_t	drops_seen;	/* the socket's own 32-bit counter */
	uint32_t	xdp_drops_seen;	/* the same of the AF_XDP socket */
	/* That one's cookie, and its descriptors that are committed: by them
	 * its rings are where they are (worker/ingest_xdp.c). */
	uint64_t	xdp_socket;
	uint64_t	xdp_frames;
};

/* What is known of a sender's own numbering (worker/sender_sequence.h). */
struct sender {
	uint64_t	used;		/* when: our number, plus 1; 0 free */
	uint8_t		address[16];	/* these as in struct ring_record */
	uint16_t	port;
	uint8_t		family;
	uint8_t		doubted;	/* whether `doubt' is set */
	uint32_t	scope;
	uint32_t	counted;	/* numbers of the window since the
					 * first; 0: none has come */
	uint32_t	input;
	uint64_t	highest;
	uint64_t	doubt;		/* the number that did not fit */
	uint64_t	window[SENDER_WINDOW / 64]; /* bit i: highest - i */
};

#endif /* MCRELAY_INGEST_STATE_H */
