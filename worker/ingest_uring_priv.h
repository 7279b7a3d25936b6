/* SPDX-License-Identifier: ISC */
/*
 * What the files of receiving by io_uring share.  For these only.
 */
#ifndef MCRELAY_INGEST_URING_PRIV_H
#define MCRELAY_INGEST_URING_PRIV_H

#include <sys/queue.h>
#include <sys/socket.h>
#include <liburing.h>

#include "common/inputs.h"
#include "worker/ingest_hub.h"

/* Calls that brought nothing but errors until it is given up. */
#define FAILURES_MAX	16

struct ring_input {
	struct ingest_ring *ring;
	uint64_t	first;		/* message that the first buffer gets */
	uint64_t	provided;	/* messages that have had a buffer */
	uint64_t	arrived;	/* messages that have come */
	int		file;		/* the socket, or its place in the
					 * ring's table */
	uint16_t	group;		/* of buffers */
	bool		armed;		/* a multishot recvmsg is in flight */
};

/* A channel's part of an io_uring. */
struct ingest_ring {
	struct ingest_hub	*hub;
	const struct segment	*segment;
	void			*owner;		/* of a shared one's */
	uint32_t		 buffers;	/* of each input */
	struct msghdr		 msg;		/* of each recvmsg */
	int			 error;		/* the last one; 0: none */
	unsigned		 failures;
	bool			 left;		/* nothing comes any more */
	bool			 is_due;
	bool			 is_ready;
	TAILQ_ENTRY(ingest_ring) link;
	TAILQ_ENTRY(ingest_ring) due;		/* buffers may be given back */
	TAILQ_ENTRY(ingest_ring) ready;		/* something has come */
	struct ring_input	 input[INPUTS_MAX];
};

TAILQ_HEAD(ingest_rings, ingest_ring);

struct ingest_hub {
	struct io_uring		 uring;
	bool			 shared;
	bool			 usable;
	int			 event;		/* -1: none */
	int			 error;		/* of the last call */
	unsigned		 failures;
	uint64_t		 messages;	/* that have come, ever */
	unsigned		 seen;		/* completions of last call */
	struct ingest_rings	 all;
	struct ingest_rings	 due;
	struct ingest_rings	 ready;
	char			 why[URING_WHY_SIZE];	/* not usable */
	uint8_t			 group[UINT16_MAX + 1];	/* is in use */
};

static inline uint64_t
ring_committed(const struct segment *segment, unsigned input)
{
	return inputs_of(segment, ingest_current(&segment->state->ingest))
	    [input].messages;
}

static inline struct io_uring_buf_ring *
ring_of_buffers(const struct segment *segment, unsigned input)
{
	return (void *)inputs_uring(segment, input)->kernel;
}

/* Whether the kernel may still write to its buffers. */
static inline bool
ring_is_armed(const struct ingest_ring *ring)
{
	unsigned i;

	for (i = 0; i < ring->segment->inputs; i++)
		if (ring->input[i].armed)
			return true;
	return false;
}

struct ingest_hub	*hub_new(void);
/* An empty part, in no list but that of all. */
struct ingest_ring	*ring_new(struct ingest_hub *hub,
			    const struct segment *segment) ATTR_NONNULL;

/* Buffers of it may be free again, or it is not armed. */
void	hub_due(struct ingest_ring *ring) ATTR_NONNULL;
/* Gives it the buffers that are free. */
void	hub_provide(struct ingest_ring *ring, unsigned input) ATTR_NONNULL;
/* A place for a request; NULL: not now. */
struct io_uring_sqe	*hub_sqe(struct ingest_hub *hub) ATTR_NONNULL;
/* Gives back buffers, and asks for what nobody has asked for. */
void	hub_prepare(struct ingest_hub *hub) ATTR_NONNULL;
/*
 * The one system call: all that has come, for whomever, after buffers have been
 * given back.  Waits for `count' of it up to wait_ns.
 */
void	hub_enter(struct ingest_hub *hub, unsigned count, uint64_t wait_ns)
	    ATTR_NONNULL;

#endif /* MCRELAY_INGEST_URING_PRIV_H */
