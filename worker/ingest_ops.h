/* SPDX-License-Identifier: ISC */
/*
 * What a back end of ingest is: a way to get messages from the kernel to where
 * they land.  Worker, relay thread only.
 *
 * ingest.c decides how many messages a batch takes, where each lands, whether
 * it is kept, and commits.  A back end brings the bytes there, and says what
 * has come, in order, in ingest->arrival.  It keeps what a successor needs to
 * find a batch that was in flight in the segment.
 */
#ifndef MCRELAY_INGEST_OPS_H
#define MCRELAY_INGEST_OPS_H

#include "worker/ingest.h"

#define INGEST_GIVEN_UP	(-2)

/* What an input's sockets say: how much they have dropped before us, ever (mod
 * 2^32), and how many bytes wait. */
struct ingest_look {
	uint32_t	drops;
	uint32_t	xdp_drops;	/* preset with what is known */
	uint32_t	queued_bytes;
};

struct ingest_ops {
	/* Messages land beside the ring: ingest->stride is 0, and each arrival
	 * says where it is. */
	bool	beside;

	/*
	 * Looks for a batch that a predecessor had in flight.  If there is
	 * one: sets ingest->stride and ingest->input as they were then, fills
	 * ingest->arrival with the *n messages (0, too) that had come, and
	 * returns true.  Must change nothing that a successor of ours would
	 * have to find.
	 */
	bool	(*recover)(struct ingest *ingest, unsigned *n);

	/* Sets up, once all that was recovered is committed, and sets what is
	 * readable in ingest->each where that is not the socket. */
	void	(*open)(struct ingest *ingest);

	/*
	 * Announces the batch that follows the last one committed, and that it
	 * comes by ingest->input, then receives up to `offered' messages,
	 * without waiting.  Returns how many ingest->arrival has, or -1 with
	 * errno; INGEST_GIVEN_UP, with errno, too: this way leads nowhere, and
	 * nothing that came by it is left.
	 */
	int	(*receive)(struct ingest *ingest, unsigned offered);

	/* Part of the commit of a batch of `n' messages: what the input has had
	 * of it.  And what is to follow that commit.  NULL: nothing. */
	void	(*count)(const struct ingest *ingest,
		    struct input_state *input, unsigned n);
	void	(*committed)(const struct ingest *ingest);

	/* False: cannot tell. */
	bool	(*look)(const struct ingest *ingest, unsigned input,
		    struct ingest_look *look);
};

/* recvmmsg on the sockets that the supervisor has opened. */
extern const struct ingest_ops	ingest_socket;
/* Multishot recvmsg by io_uring; of a segment without its area it only finds
 * that there is nothing to recover. */
extern const struct ingest_ops	ingest_uring;
/* An AF_XDP socket, and recvmmsg for what does not come by that. */
extern const struct ingest_ops	ingest_xdp;

/* Part of a commit: what its batch of `n' messages has brought since `then', as
 * the input's; where inputs are merged, what has gone on was counted then. */
void	ingest_count_input(const struct ingest *ingest,
	    const struct ingest_state *state, const struct ingest_counts *then,
	    unsigned n) ATTR_NONNULL;
/* Sets what the kernel says of a message beside its length, which is set:
 * where it came from, when, and in runs of which size. */
void	arrival_describe(struct arrival *arrival,
	    const struct sockaddr_in6 *name, void *control, size_t size)
	    ATTR_NONNULL;

/* Of what did not land in the ring, `length' bytes. */
void	arrival_copy_rest(const struct arrival *arrival, uint8_t *to,
	    uint32_t length) ATTR_NONNULL;

/* Where message `i' of the batch in flight lands: its first bytes... */
static inline uint8_t *
ingest_landing(const struct ingest *ingest, unsigned i)
{
	return ring_at(&ingest->segment->ring, ingest->base +
	    i * ingest->stride + sizeof(struct ring_record));
}

/* ...how many, at the most... */
static inline uint32_t
ingest_landing_size(const struct ingest *ingest)
{
	return ingest->stride == 0 ? 0 :
	    ingest->stride - (uint32_t)sizeof(struct ring_record);
}

/* ...and the rest, up to SLOT_SIZE altogether. */
static inline uint8_t *
ingest_overflow(const struct ingest *ingest, unsigned i)
{
	return ingest->segment->slots + (size_t)i * SLOT_SIZE;
}

#endif /* MCRELAY_INGEST_OPS_H */
