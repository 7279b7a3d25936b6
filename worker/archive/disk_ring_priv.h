/* SPDX-License-Identifier: ISC */
/*
 * What the files of the io_uring by which a worker writes share: disk_ring.c
 * (what is in flight), disk_ring_open.c (making one), disk_ring_thread.c (the
 * thread of one that is shared).
 */
#ifndef MCRELAY_DISK_RING_PRIV_H
#define MCRELAY_DISK_RING_PRIV_H

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>

#include "worker/archive/disk_ring.h"

/* So much of the queue takes a write, what allocates for it, and a sync. */
#define WRITE_ENTRIES	3U

struct disk_ring {
	struct io_uring	 uring;
	uint8_t		*memory;	/* NULL: each file has its own */
	unsigned	 depth;
	unsigned	 syncs_max;	/* in flight */
	bool		 registered;	/* the memory is known to the kernel */
	bool		 must;		/* nothing else will do */
	bool		 shared;
	atomic_bool	 given_up;
	/* Under the mutex, as the rings themselves. */
	pthread_mutex_t	 mutex;
	unsigned	 in_flight;	/* writes */
	unsigned	 syncs;		/* that are expected */
	unsigned	 expected;	/* completions, of these and others */
	bool		 prepared;	/* something is to be submitted */
	/* Of a shared one. */
	pthread_cond_t	 came;		/* something has */
	pthread_t	 thread;
	void		(*enter)(void);
	bool		 started;
	bool		 ending;
	bool		 asked;		/* the thread will look */
	int		 wake;		/* eventfd, by which it is */
};

/* All that are prepared; with the mutex held.  Of a shared one by its thread
 * only; when the kernel takes no more for now, some are left. */
void	disk_ring_submit_all(struct disk_ring *ring) ATTR_NONNULL;
/* What has come, which may be nothing; the same. */
void	disk_ring_take_all(struct disk_ring *ring) ATTR_NONNULL;
/* Nobody knows what of it is in the files: a successor finds out. */
_Noreturn void	disk_ring_cannot_wait(int error);

/* The thread of a shared one submits what is prepared; with the mutex held. */
void	disk_ring_ask(struct disk_ring *ring) ATTR_NONNULL;
/* If there is one. */
void	disk_ring_end_thread(struct disk_ring *ring) ATTR_NONNULL;

#endif /* MCRELAY_DISK_RING_PRIV_H */
