/* SPDX-License-Identifier: ISC */
/*
 * The relay's part in handing a channel over from host to host, as
 * common/turn.h says.  Worker, relay thread only.
 */
#ifndef MCRELAY_WORKER_TURN_H
#define MCRELAY_WORKER_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ring.h"
#include "common/turn.h"

struct relay;

/* Of one source: the record of which the first `skip' datagrams, and before
 * which all, were sent by the other host. */
struct turn_cut {
	uint32_t	source;
	uint32_t	skip;
	uint64_t	position;
};

struct turn_view {
	bool		merged;		/* all inputs are one source */
	uint64_t	begun;		/* the order that was begun; 0: none */
	/* What is in the ring from here on is not to be touched now. */
	uint64_t	end;
	/* Since when it waits for what was in the sockets; 0: it does not.
	 * CLOCK_MONOTONIC */
	uint64_t	awaits_ns;
	/* What the other host has sent lies before `sent_end'; of sources
	 * without a cut, before `sent_first'. */
	uint64_t	sent_first;
	uint64_t	sent_end;
	unsigned	cuts;
	struct turn_cut	cut[TURN_MARK_MAX];
};

/* Takes up an order, if there is another one.  Costs a load if not. */
void	turn_look(struct relay *relay) ATTR_NONNULL;
/* All that was in the sockets when an order was taken up is in the ring. */
void	turn_heard(struct relay *relay) ATTR_NONNULL;
/* After the outputs were run: says that an order is carried out. */
void	turn_answer(struct relay *relay) ATTR_NONNULL;

/* Up to where outputs may go. */
static inline uint64_t
turn_end(const struct turn_view *turn, uint64_t head)
{
	return head < turn->end ? head : turn->end;
}

uint32_t	turn_sent_of(const struct turn_view *turn,
		    const struct ring_record *record, uint64_t position)
		    ATTR_NONNULL;

/* How many datagrams of a record, from its first on, the other host has
 * sent. */
static inline uint32_t
turn_sent(const struct turn_view *turn, const struct ring_record *record,
    uint64_t position)
{
	return LIKELY(position >= turn->sent_end) ? 0 :
	    turn_sent_of(turn, record, position);
}

/* turn_find.c: the last datagrams before the turn's end; all that is intact of
 * them may be fewer. */
void	turn_mark(const struct ring *ring, const struct turn_view *turn,
	    struct turn_mark *mark) ATTR_NONNULL;
/* What of the datagrams from `from' to `to' those of the mark are. */
void	turn_find(const struct ring *ring, uint64_t from, uint64_t to,
	    const struct turn_mark *mark, struct turn_view *turn) ATTR_NONNULL;

#endif /* MCRELAY_WORKER_TURN_H */
