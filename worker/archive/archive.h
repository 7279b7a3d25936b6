/* SPDX-License-Identifier: ISC */
/*
 * The archive thread: from the ring into Avro files.  Worker.
 *
 * A reader of the ring like any other: it never holds up the relay.  When it
 * is lapped it counts what it missed (archive_shed) and goes on.  With
 * on_overrun: block the relay thread stops receiving instead, and is told
 * through `notify' when there is room again.
 *
 * The way of a transaction, which the store knows from PENDING on (store.h):
 *
 *	          block full, flush due, lapped
 *	gathering ---------------------------> packing    with a codec; the
 *	  ^  ^  |                                 |        next is gathered
 *	  |  |  | the same, without a codec       | packed    meanwhile
 *	  |  |  v                                 v
 *	  |  |  PENDING <-------------------------+
 *	  |  |     |  |
 *	  |  +-----+  | enough for a write, flush due, the ring is empty
 *	  |  not yet  v
 *	  +------- committed
 *
 * From anywhere, back to gathering at the committed position: at once when the
 * ring has lapped what was copied, after RETRY_NS when a file failed.
 */
#ifndef MCRELAY_ARCHIVE_H
#define MCRELAY_ARCHIVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/datum.h"
#include "common/segment.h"
#include "worker/archive/container.h"
#include "worker/archive/duty.h"
#include "worker/archive/packer.h"
#include "worker/archive/store.h"

/* What is committed together. */
struct bundle {
	struct transaction	 transaction;
	struct block		*block[ARCHIVE_KINDS];
};

struct archive {
	const struct segment		*segment;
	const struct datum_program	*program;	/* NULL: raw */
	struct duty			 duty;
	struct crew			*helpers; /* of closer and keeper */
	int				 directory;	/* not owned */
	struct disk_ring		*ring;		/* NULL: none */
	_Atomic bool			 stop;
	_Atomic bool			 rotate;
	_Atomic bool			 make_room;
	_Atomic bool			 ended;		/* files are finished */
	_Atomic uint64_t		 give_up_at_ns;	/* 0: never */
	/* Called in the archive thread after it has ended, after a failure,
	 * when the ring does not work any more and, with on_overrun: block,
	 * after each commit. */
	void				(*notify)(void *argument);
	void				*argument;

	/* The archive thread's own. */
	struct store			 store;
	/* A rotation was asked for: it follows when everything that was in
	 * the ring then has been read, up to this position. */
	bool				 begun;
	/* What was added is prepared in the ring, with other channels', and
	 * is committed in the next step. */
	bool				 pushed;
	bool				 ring_lost;	/* as `notify' knows */
	bool				 resting; /* the ring wakes it */
	bool				 rotating;
	uint64_t			 rotate_after;
	struct ring_reader		 reader;
	struct bundle			*gathering;	/* being gathered */
	struct bundle			*packing;	/* NULL: none */
	struct bundle			 bundle[2];	/* with a codec: two */
	struct packer			 packer;	/* with a codec */
	struct destinations		 destinations;
	uint32_t			*end;	/* of datums, framed */
	/* Of the record in hand; RING_DATAGRAMS_MAX: none. */
	_Atomic uint32_t		 in_hand;
	/* Where that record begins, or the first of several; there may be a
	 * pad between what is committed and it. */
	_Atomic uint64_t		 in_hand_at;
	/* Up to here a worker had it in hand that has ended at it. */
	uint64_t			 alone_until;
	uint64_t			 told_of;	/* its number, plus 1 */
	enum datum_error		 last_error;	/* of a rejected one */
	struct log_limit		 limit_rejected;
	struct log_limit		 limit_shed;
	uint64_t			 flush_at_ns;	/* 0: no data */
	uint64_t			 sync_at_ns;
	uint64_t			 retry_at_ns;	/* 0: not failing */
	uint64_t			 stop_at;	/* 0: go on */
};

/* The crews that do the work of an archive which has no threads of its own. */
struct archive_crews {
	struct crew	*archive;	/* from the ring into files */
	struct crew	*helpers;	/* what may take long */
};

/* Fills in what the caller knows, then starts its thread, or has the crews do
 * what is to be done; fatal when that is impossible. */
void	archive_start(struct archive *archive, const struct segment *segment,
	    const struct datum_program *program, int directory,
	    struct disk_ring *ring, const struct archive_crews *crews,
	    void (*notify)(void *), void *argument);

/* For archive_start(): as many as it fills in turn. */
void	archive_open_bundles(struct archive *archive, unsigned count)
	    ATTR_NONNULL;
/* From the relay thread: after publishing; cheap. */
void	archive_published(struct archive *archive, uint64_t head)
	    ATTR_NONNULL;
void	archive_rotate(struct archive *archive) ATTR_NONNULL;
/* The supervisor has said what may go for `min_free'. */
void	archive_make_room(struct archive *archive) ATTR_NONNULL;
/* Nobody comes after it who could store what it cannot: from this time on
 * (CLOCK_MONOTONIC) a failing archive sheds what is in the ring. */
void	archive_give_up_at(struct archive *archive, uint64_t at_ns)
	    ATTR_NONNULL;
/* Asks the thread to store what is in the ring now, to finish its files and
 * to end; returns at once. */
void	archive_stop(struct archive *archive) ATTR_NONNULL;
/* Whether it has; then archive_join() returns at once. */
bool	archive_ended(struct archive *archive) ATTR_NONNULL;
/* After that: whether it has shed something because nobody comes after it. */
bool	archive_gave_up(const struct archive *archive) ATTR_NONNULL;
void	archive_join(struct archive *archive) ATTR_NONNULL;

#endif /* MCRELAY_ARCHIVE_H */
