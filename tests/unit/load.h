/* SPDX-License-Identifier: ISC */
/*
 * Numbered datagrams through a rig's worker, and the proof that each of them
 * came out of the relay once and lies in the archive once, in order.  Where the
 * rig has two inputs even numbers go to the first, odd ones to the second, and
 * the order is that of each.
 */
#ifndef MCRELAY_TEST_LOAD_H
#define MCRELAY_TEST_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/rig.h"

/* What has come of the numbers. */
struct load_flow {
	uint64_t		 next;
	uint64_t		 missing;	/* before it */
	uint64_t		 faults;
};

struct load {
	struct rig		*rig;
	pthread_t		 sender;
	pthread_t		 receiver;
	_Atomic bool		 stop;		/* the sender */
	_Atomic bool		 sent_all;	/* it has stopped */
	_Atomic uint64_t	 sent;
	_Atomic uint64_t	 relayed;
	/* Some come while relay or archive are paused: set by the test. */
	bool			 pauses;
	unsigned		 inputs;
	uint64_t		 sequence;	/* the archive's next */
	struct load_flow	 relay[2];	/* by input */
	struct load_flow	 archive[2];
};

/* Starts to send to the rig, whose worker may come and go. */
void	load_start(struct load *load, struct rig *rig);
/* Stops sending, lets the worker settle and ends it, asserts everything. */
void	load_finish(struct load *load);
void	load_pause(uint64_t ns);

#endif /* MCRELAY_TEST_LOAD_H */
