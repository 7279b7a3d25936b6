/* SPDX-License-Identifier: ISC */
/*
 * The open files of a channel's archive and the archive domain in the
 * segment, which says what of them is committed.  Worker, archive thread.
 *
 * A transaction is a stretch of the ring that begins where the last commit
 * ended: its blocks are added behind the committed sizes, then one commit moves
 * sizes, counters and ring position together.
 *
 *	            store_add()                store_commit()
 *	COMMITTED ---------------> PENDING -------------------> COMMITTED
 *	    ^                      |  ^  |                       (further on)
 *	    |                      |  +--+ store_add(), which adds to it
 *	    |      STORE_FAILED    |       STORE_TORN: stays as it was
 *	    +----------------------+
 *	      or store_commit() -1, or SIGKILL
 *
 * What was written without a commit is cut off again: when the transaction
 * fails, or by the successor of a killed worker.  A failed sync moves COMMITTED
 * back to the last good one (store_collect()).
 */
#ifndef MCRELAY_STORE_H
#define MCRELAY_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "common/segment.h"
#include "worker/archive/catalog.h"
#include "worker/archive/closer.h"
#include "worker/archive/container.h"
#include "worker/archive/keeper.h"
#include "worker/archive/writer.h"

/* The datagrams of a transaction that go to one of the kinds. */
struct span {
	uint64_t	datagrams;
	uint64_t	bytes;
	uint64_t	begins;		/* sequence of the first */
	uint64_t	ends;		/* and of the last */
	uint64_t	first_received_ns;
	uint64_t	last_received_ns;
};

static inline void
span_add(struct span *span, uint64_t sequence, uint64_t received_ns,
    size_t size)
{
	if (span->datagrams++ == 0) {
		span->begins = sequence;
		span->first_received_ns = received_ns;
	}
	span->bytes += size;
	span->ends = sequence;
	span->last_received_ns = received_ns;
}

/* What a transaction changes in the ledger, and where it ends. */
struct transaction {
	uint64_t	first_position;	/* of its first record in the ring */
	uint64_t	loose_position;	/* of the first that was not added */
	uint64_t	position;	/* after its last record */
	uint64_t	sequence;
	uint64_t	archived;
	uint64_t	archived_bytes;
	uint64_t	rejected;
	uint64_t	rejected_by[DATUM_ERRORS];
	uint64_t	shed;
	uint64_t	paused;
	struct span	span[ARCHIVE_KINDS];
	bool		loose;		/* there are such, in the ring */
};

enum store_result {
	STORE_DONE,
	STORE_FAILED,	/* nothing changed; try again later */
	STORE_TORN,	/* nothing changed; the ring was lapped meanwhile */
};

/* What was added to a file since the last commit. */
struct addition {
	uint64_t	size;		/* bytes */
	uint64_t	records;
};

struct store {
	const struct segment	*segment;
	struct archive_domain	*domain;
	int			 directory;	/* not owned */
	int			 fd[ARCHIVE_KINDS];	/* -1: not open */
	struct writer		 writer[ARCHIVE_KINDS]; /* while open */
	/* From the last commit to the end of what was added; stays readable
	 * after its commit. */
	struct transaction	 transaction;
	bool			 pending;	/* not committed yet */
	bool			 marked;	/* a sync is behind it */
	struct addition		 added[ARCHIVE_KINDS];
	bool			 dirty[ARCHIVE_KINDS]; /* since the sync */
	bool			 fresh[ARCHIVE_KINDS]; /* never synced */
	bool			 doubted[ARCHIVE_KINDS]; /* cut by others */
	/* Of an open file that says what is synced; synced.h. */
	uint64_t		 synced_place[ARCHIVE_KINDS];
	/* The disk has lost data: what it had before is no help to find out
	 * which.  So many files have to be finished before one is recycled. */
	unsigned		 distrust;
	uint64_t		 rotate_offset_ns;
	/* CLOCK_REALTIME, from which the next rotation by interval is counted:
	 * when the file was begun, or when the clock had been set back. */
	uint64_t		 rotate_from_ns[ARCHIVE_KINDS];
	/* What the clocks said at the last look; 0: there was none. */
	uint64_t		 looked_at_ns;		/* CLOCK_BOOTTIME */
	uint64_t		 looked_real_ns;
	/* By how much the clock was set while there was no file: the next one
	 * says so. */
	int64_t			 step_ns[ARCHIVE_KINDS];
	unsigned		 syncing;	/* kinds, a bit each... */
	unsigned		 behind;	/* ...of which these by their
						 * writers */
	struct archive_state	 mark;		/* when that began */
	bool			 mark_good;	/* the files are the same */
	struct archive_state	 durable;	/* after the last good sync */
	bool			 durable_known;
	unsigned		 syncs_failed;	/* in a row */
	bool			 failing;
	uint64_t		 shed_before;	/* when the failing began */
	struct span		 given_up;	/* 0 datagrams: nothing */
	struct catalog		 catalog;
	struct closer		 closer;
	struct keeper		 keeper;
};

/* Takes up what a predecessor left.  `client' is posted when a background
 * job ends, or a sync by a shared ring; who does the jobs is the `crew', unless
 * it is NULL.  Files are written by the `ring', unless it is NULL. */
void	store_open(struct store *store, const struct segment *segment,
	    int directory, struct duty *client, struct crew *crew,
	    struct disk_ring *ring);
/* Finishes all files and waits for that. */
void	store_close(struct store *store) ATTR_NONNULL;

/* Adds the blocks, those that are not empty.  `transaction' is all since the
 * last commit, with what was added before.  Unless it has failed, nothing
 * refers to the blocks any more. */
enum store_result	store_add(struct store *store,
			    struct block *block[static ARCHIVE_KINDS],
			    struct transaction *transaction) ATTR_NONNULL;
/* Whether more should be added before it is worth a commit. */
bool	store_wants_more(const struct store *store) ATTR_NONNULL;
/* Begins to write what was added, all files' together, or prepares it; with
 * `sync' what can is synced behind that.  True: such a sync is on its way. */
bool	store_push(struct store *store, bool sync) ATTR_NONNULL;
/* Puts what is pending in force: 0.  Or -1 as STORE_FAILED.  With `sync' it is
 * synced as by store_sync(), if that can be asked for together with writing. */
int	store_commit(struct store *store, bool sync) ATTR_NONNULL;

/* Counts as shed what the ring no longer has, when nothing can be written:
 * the archive goes on at the transaction's first record. */
void	store_skip(struct store *store, const struct transaction *transaction)
	    ATTR_NONNULL;

/* Nothing more will be written: sheds what is before `position', of which
 * `lost' tells.  store_close() leaves a line of it in the catalogue. */
void	store_give_up(struct store *store, uint64_t position,
	    const struct span *lost) ATTR_NONNULL;

/* Takes note of background jobs that have ended.  True: a sync has failed,
 * and the archive has gone back in the ring to the last one that worked. */
bool	store_collect(struct store *store) ATTR_NONNULL;
/* Starts to sync what was written since the last time; never waits. */
void	store_sync(struct store *store) ATTR_NONNULL;
bool	store_dirty(const struct store *store) ATTR_NONNULL;
/* A sync is on its way that the end of its file would wait for. */
bool	store_syncs_behind(const struct store *store) ATTR_NONNULL;
/* Finishes the open files in the background; the next commit opens new ones. */
void	store_rotate(struct store *store) ATTR_NONNULL;
/* Notices that the clock (CLOCK_REALTIME) has been set: says so, and notes it
 * of the open files. */
void	store_follow_clock(struct store *store, uint64_t now_ns) ATTR_NONNULL;
/* CLOCK_REALTIME at which an open file has to be rotated; UINT64_MAX never,
 * 0 now. */
uint64_t	store_rotate_at(const struct store *store) ATTR_NONNULL;

#endif /* MCRELAY_STORE_H */
