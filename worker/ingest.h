/* SPDX-License-Identifier: ISC */
/*
 * From the input sockets into the ring.  Worker, relay thread only.
 *
 * Each batch is one call of a back end (ingest_ops.h), which receives into the
 * ring, beyond its head, then one commit: records, the ingest domain, the head.
 * segment.h says why a kill between any two instructions of it loses nothing.
 *
 * A batch comes by one input.  What is expected of the next is kept for each.
 *
 * The batch adapts to what arrives.  Each message has a place in the ring that
 * is as large as the largest of the batch before: messages of one size are
 * copied once, by the kernel.  A stream that comes coalesced, in messages of
 * nearly 64 KiB, is received a few messages at a time so that they stay in the
 * cache; singles many at a time.
 */
#ifndef MCRELAY_INGEST_H
#define MCRELAY_INGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "common/segment.h"
#include "worker/merge.h"
#include "worker/sender_sequence.h"

struct ingest_ops;
struct ingest_ring;		/* worker/ingest_uring.h */
struct ingest_frames;		/* worker/ingest_xdp.h */
struct relay;

/* A message that has landed. */
struct arrival {
	struct ring_record	 record;	/* sequence, slack: not set;
						 * received_ns 0: not stamped */
	bool			 truncated;	/* the kernel cut it off */
	bool			 broken;	/* its checksum is wrong */
	const uint8_t		*rest;	/* what did not land in the ring */
	/* Where each datagram of a run lies; NULL: one behind the other. */
	const uint8_t *const	*each;
};

/* One of the channel's inputs. */
struct ingest_input {
	int			 socket;	/* not owned */
	int			 readable;	/* the one to wait on */
	uint32_t		 stride;	/* rx_area.stride, next */
};

struct ingest {
	const struct ingest_ops	*ops;
	const struct segment	*segment;
	struct relay		*relay;	/* asked to make room in the ring */
	struct ingest_ring	*ring;	/* NULL: by sockets; not owned */
	bool			 failed; /* it has, and sockets must not */
	struct ingest_frames	*frames; /* of AF_XDP; not owned */
	struct ingest_input	 each[INPUTS_MAX];
	unsigned		 input;	/* which the batch comes by */
	uint64_t		 base;	/* ring position of what lands */
	uint32_t		 stride; /* rx_area.stride, of this batch */
	unsigned		 dirty;	/* messages the kernel wrote to */
	bool			 full;	/* it took no more, but there may be */
	uint8_t			 paused; /* flags of the batch's records */
	struct arrival		 arrival[RX_SLOTS_MAX];	/* of this batch */
	uint64_t		 batch_bytes;	/* of the last batch */
	uint32_t		 batch_largest;	/* message in it */
	unsigned		 batch_datagrams;
	unsigned		 unwaited; /* datagrams since the last wait */
	uint64_t		 batch_ns;	/* CLOCK_MONOTONIC of its end */
	uint64_t		 gap_ns;	/* between datagrams, mean */
	struct sender_sequence	 sender_sequence;
	struct merge		 merge;
	enum merge_release	 release;	/* in the next commit */
	struct log_limit	 limit_truncated;
	struct log_limit	 limit_error;
};

/* Sets up the in-flight area after having committed what a predecessor
 * left there, whatever it received with; returns the number of datagrams
 * recovered.  `program' is NULL for raw channels; `sockets' has one for each
 * input of the segment.  With `frames' it receives by AF_XDP, with a `ring' by
 * io_uring. */
uint64_t	ingest_init(struct ingest *ingest,
		    const struct segment *segment,
		    const struct datum_program *program, struct relay *relay,
		    const int *sockets, struct ingest_ring *ring,
		    struct ingest_frames *frames);

/* From now on by a ring, of a channel that has received by sockets. */
void	ingest_use_ring(struct ingest *ingest, struct ingest_ring *ring)
	    ATTR_NONNULL;

/* Whether it receives by a ring, and whether it has left that: then it goes on
 * by sockets when all that has come is committed. */
bool	ingest_by_ring(const struct ingest *ingest) ATTR_NONNULL;
bool	ingest_has_left(const struct ingest *ingest) ATTR_NONNULL;

/* Whether messages of an input wait in memory, of which no socket tells. */
bool	ingest_holds(const struct ingest *ingest, unsigned input) ATTR_NONNULL;

enum ingest_status {
	INGEST_MORE,	/* a full batch: there may be more */
	INGEST_DRAINED,	/* the socket is empty now */
	INGEST_GATED,	/* on_overrun: block, and no room in the ring */
};

/* Receives and commits one batch of an input; never blocks. */
enum ingest_status	ingest_batch(struct ingest *ingest, unsigned input)
			    ATTR_NONNULL;

/*
 * How long to wait before the next ingest_batch(), after one that drained its
 * socket, so that more than a datagram or two come with it; 0: not at all.
 * With several inputs that is asked once for all that were readable.  `now_ns'
 * is CLOCK_MONOTONIC.
 */
uint64_t	ingest_wait_ns(struct ingest *ingest, uint64_t now_ns)
		    ATTR_NONNULL;

/* Whether there is room for at least one slot (on_overrun: block). */
bool	ingest_has_room(const struct ingest *ingest) ATTR_NONNULL;

/* Where inputs are merged: what waits goes into the ring.  False: on_overrun:
 * block, and no room there. */
bool	ingest_release(struct ingest *ingest, enum merge_release release)
	    ATTR_NONNULL;

/* Brings kernel_dropped and the sockets' high-water mark up to date from the
 * sockets' own counters. */
void	ingest_look(struct ingest *ingest) ATTR_NONNULL;

#endif /* MCRELAY_INGEST_H */
