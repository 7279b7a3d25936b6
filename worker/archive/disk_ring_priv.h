/* SPDX-License-Identifier: ISC */
/*
 * What the files of the io_uring by which a worker writes share: disk_ring.c
 * (what is in flight), disk_ring_open.c (making one).
 */
#ifndef MCRELAY_DISK_RING_PRIV_H
#define MCRELAY_DISK_RING_PRIV_H

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>

#include "worker/archive/disk_ring.h"

struct disk_ring {
	struct io_uring	 uring;
	uint8_t		*memory;	/* NULL: each file has its own */
	unsigned	 depth;
	bool		 registered;	/* the memory is known to the kernel */
	bool		 must;		/* nothing else will do */
	bool		 shared;
	atomic_bool	 given_up;
	/* Under the mutex, as the rings themselves. */
	pthread_mutex_t	 mutex;
	pthread_cond_t	 came;		/* something has */
	bool		 waiting;	/* somebody does, for all */
	unsigned	 in_flight;	/* writes */
	unsigned	 expected;	/* completions, of these and others */
	bool		 prepared;	/* something is to be submitted */
};

#endif /* MCRELAY_DISK_RING_PRIV_H */
