/* SPDX-License-Identifier: ISC */
/*
 * The ring: one writer (the worker's relay thread), many readers (the
 * worker's archive thread, the decimator), in memory that they share and that
 * outlives them all.
 *
 *	 position - size                                   head     reserve
 *	      |                                              |         |
 *	  ----+----------+------+-------------+------+-------+---------+----
 *	      | overwritten...  | record | record |  ...     | in the  |
 *	      |  next           |        |        |          | making  |
 *	  ----+----------+------+-------------+------+-------+---------+----
 *
 * Positions are absolute byte counts that never wrap; where a position lies
 * in memory is (position & mask).  The memory is mapped twice in a row, so a
 * record is always contiguous.  The first position lies just below a wrap, so
 * that every run crosses one.
 *
 * Writer, once a batch:
 *	1. store reserve = end of what it is going to write; release fence
 *	2. write records at head...
 *	3. commit its own state (segment.h), then store head with release
 * It never waits for a reader.  (With on_overrun: block it does not receive
 * while the archive's position is a ring behind; see worker/ingest.c.)
 *
 * Reader: load head (acquire); a record at a position below it is complete.
 * Use it, in place or copied, then ask ring_intact(): the record was not
 * overwritten as long as reserve - position <= size.  What was read from a
 * record that is not intact any more may be torn and must be thrown away.
 * A reader trusts nothing but its own copies: the writer may be hostile.
 *
 * After a lap a reader goes on from the oldest record boundary that is
 * still safe (the boundary index has the first boundary in each 64th of the
 * ring), and learns from the sequence number there how many it missed.
 */
#ifndef MCRELAY_RING_H
#define MCRELAY_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

#define RING_BOUNDARIES		64
#define RING_ALIGN		8
#define RING_SIZE_MIN		(256U * 1024)
#define RING_SIZE_MAX		(UINT64_C(1) << 36)
/* A record's payload: one datagram, or one coalesced run of datagrams. */
#define RING_PAYLOAD_MAX	65536U
/* Datagrams in a record: the kernel coalesces 64, newer ones 128. */
#define RING_DATAGRAMS_MAX	128U
/* A reader with this wake_at does not sleep. */
#define RING_WAKE_NEVER		UINT64_MAX

struct ring_shared {
	/* End of the committed records.  Release by the writer; its partner
	 * is the acquire in ring_next(). */
	_Atomic uint64_t head ATTR_ALIGNED(CACHE_LINE);
	/* End of what the writer may be writing now, >= head. */
	_Atomic uint64_t reserve;
	/* Position of the first record that begins in each 64th of the ring,
	 * of this lap or an earlier one. */
	_Atomic uint64_t boundary[RING_BOUNDARIES] ATTR_ALIGNED(CACHE_LINE);
};

/* What precedes each payload in the ring; padded to RING_ALIGN after it. */
struct ring_record {
	uint32_t	length;		/* payload bytes, <= RING_PAYLOAD_MAX */
	uint16_t	datagram_size;	/* 0: one datagram; else that of
					 * each datagram but the last */
	uint8_t		family : 4;	/* of the source: 4, 6, or 0 unknown */
	uint8_t		flags : 4;	/* RING_PAD, or of the others */
	uint8_t		input;		/* which of the segment's it came by */
	uint64_t	sequence;	/* number of the first datagram */
	uint64_t	received_ns;	/* CLOCK_REALTIME, by the kernel */
	uint8_t		address[16];	/* of the source, network order */
	uint16_t	port;		/* of the source, host order */
	uint16_t	slack;		/* unused after the payload; in units
					 * of RING_ALIGN */
	uint32_t	scope;		/* v6 interface index */
};
_Static_assert(sizeof(struct ring_record) == 48, "shared layout");

/* Not a datagram: fills a place that was kept for one.  Readers of
 * ring_next() do not see it. */
#define RING_PAD	1
/* It came while these were paused, and is not for them. */
#define RING_NO_ARCHIVE	2
#define RING_NO_RELAY	4
/* It has left already, by a program in the kernel: `scope' is not the source's,
 * which has none, but says by which outputs (bpf/kernel_relay.h). */
#define RING_KERNEL	8

/* A process's view of a ring. */
struct ring {
	uint8_t			*data;	/* mapped twice in a row */
	uint64_t		 size;	/* a power of two */
	struct ring_shared	*shared;
};

/* What a payload of this length needs. */
static inline uint64_t
ring_record_size(uint32_t length)
{
	return ROUND_UP(sizeof(struct ring_record) + (uint64_t)length,
	    (uint64_t)RING_ALIGN);
}

/* The interface that the source's address is of; 0: it is of none. */
static inline uint32_t
ring_record_scope(const struct ring_record *record)
{
	return (record->flags & RING_KERNEL) != 0 ? 0 : record->scope;
}

/* How far it is to the next record. */
static inline uint64_t
ring_record_span(const struct ring_record *record)
{
	return ring_record_size(record->length) +
	    (uint64_t)record->slack * RING_ALIGN;
}

/* How many datagrams a record holds: at least one. */
static inline uint32_t
ring_record_datagrams(const struct ring_record *record)
{
	if (record->datagram_size == 0 || record->length <=
	    record->datagram_size)
		return 1;
	return (record->length + record->datagram_size - 1U) /
	    record->datagram_size;
}

static inline uint8_t *
ring_at(const struct ring *ring, uint64_t position)
{
	return ring->data + (position & (ring->size - 1));
}

/* The position a new ring of this size starts at. */
static inline uint64_t
ring_start(uint64_t size)
{
	return size - 4096;
}

/*** The writer. ***/

/* Step 1: announce that the bytes up to `end' are going to be written. */
static inline void
ring_reserve(const struct ring *ring, uint64_t end)
{
	atomic_store_explicit(&ring->shared->reserve, end,
	    memory_order_relaxed);
	/* Partner: the acquire fence in ring_intact().  A reader that sees
	 * any byte written after this also sees the new reserve. */
	atomic_thread_fence(memory_order_release);
}

/*
 * Step 2: write a record's header at `position' (its payload follows at
 * ring_at(position) + sizeof(struct ring_record)) and note the boundary.
 * Returns the position after it.
 */
uint64_t	ring_append(const struct ring *ring, uint64_t position,
		    const struct ring_record *record) ATTR_NONNULL;

/* The same for a record that only fills `size' bytes, at least a header's. */
uint64_t	ring_append_pad(const struct ring *ring, uint64_t position,
		    uint64_t size) ATTR_NONNULL;

/* Step 3. */
static inline void
ring_publish(const struct ring *ring, uint64_t head)
{
	/* Partner: ring_head(). */
	atomic_store_explicit(&ring->shared->head, head,
	    memory_order_release);
}

/*** Readers. ***/

struct ring_reader {
	uint64_t	position;	/* of the next record */
	uint64_t	sequence;	/* expected there */
};

/* A record as a reader sees it: a copy of the header, the payload in place. */
struct ring_view {
	struct ring_record	 record;
	const uint8_t		*payload;
	uint64_t		 position;
	uint32_t		 datagrams;
	uint64_t		 missed;	/* datagrams before it */
};

enum ring_status {
	RING_RECORD,	/* *view is set, the reader stands after the record */
	RING_EMPTY,	/* the reader has caught up */
	RING_LAPPED,	/* overrun or garbage: call ring_resync() */
};

static inline uint64_t
ring_head(const struct ring *ring)
{
	/* Partner: ring_publish(). */
	return atomic_load_explicit(&ring->shared->head,
	    memory_order_acquire);
}

/* Whether nothing from `position' up has been overwritten until now. */
static inline bool
ring_intact(const struct ring *ring, uint64_t position)
{
	/* Partner: the release fence in ring_reserve(). */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&ring->shared->reserve,
	    memory_order_relaxed) - position <= ring->size;
}

enum ring_status	ring_next(const struct ring *ring,
			    struct ring_reader *reader,
			    struct ring_view *view) ATTR_NONNULL;
/*
 * Goes on at the oldest boundary that leaves an eighth of the ring before
 * the writer laps it again, else at the head.  The next record's `missed'
 * says how many datagrams were passed over.
 */
void	ring_resync(const struct ring *ring, struct ring_reader *reader)
	    ATTR_NONNULL;

/*** Waking a reader that sleeps. ***/

/*
 * A reader that wants to sleep stores the head position that it waits for,
 * then looks at the head once more: true means sleep (on its eventfd), false
 * that there is work.  The writer, after publishing, asks
 * ring_wake_due(): true means write to the eventfd, once.
 * Both sides store, fence, load: one of them sees the other.
 */
static inline bool
ring_sleep(const struct ring *ring, _Atomic uint64_t *wake_at,
    uint64_t position)
{
	atomic_store_explicit(wake_at, position, memory_order_relaxed);
	/* Partner: the fence in ring_wake_due(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (ring_head(ring) < position)
		return true;
	atomic_store_explicit(wake_at, RING_WAKE_NEVER, memory_order_relaxed);
	return false;
}

static inline bool
ring_wake_due(_Atomic uint64_t *wake_at, uint64_t head)
{
	uint64_t wanted;
	int tries = 4;	/* a hostile reader must not hold us */

	/* Partner: the fence in ring_sleep(). */
	atomic_thread_fence(memory_order_seq_cst);
	wanted = atomic_load_explicit(wake_at, memory_order_relaxed);
	while (UNLIKELY(wanted <= head))
		/* A reader that was woken by an older event may want something
		 * later by now: that stays as it is. */
		if (atomic_compare_exchange_strong_explicit(wake_at, &wanted,
		    RING_WAKE_NEVER, memory_order_relaxed,
		    memory_order_relaxed) || --tries == 0)
			return true;
	return false;
}

#endif /* MCRELAY_RING_H */
