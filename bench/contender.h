/* SPDX-License-Identifier: ISC */
/*
 * What mcrelay is compared with: three relays that receive from one socket,
 * send to one group and write all payloads to files, each in another way.
 * One thread; each runs until it is killed.
 */
#ifndef MCRELAY_BENCH_CONTENDER_H
#define MCRELAY_BENCH_CONTENDER_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>

#include "common/compiler.h"

/* A new file after so many bytes, as mcrelay rotates in the bench. */
#define ROTATE_BYTES	(UINT64_C(256) << 20)
#define DATAGRAM_MAX	65536U
#define BATCH_MAX	64U

/* Shared with bench/run, which reads: datagrams since the start. */
struct counters {
	_Atomic uint64_t	received;
	_Atomic uint64_t	archived;
	_Atomic uint64_t	relayed;
};

struct contender {
	int			 input;
	int			 output;	/* connected to .group */
	struct sockaddr_in	 group;
	const char		*directory;
	unsigned		 files;		/* begun so far */
	unsigned		 warm;		/* these are written again and
						 * again; 0: each is new */
	struct counters		*counters;
};

/* What is stored before each datagram by those that store anything. */
struct stored_header {
	uint64_t		received_ns;
	struct sockaddr_in	source;
	uint32_t		length;
	uint32_t		reserved;
};

/* Opens the next file for writing; the one before is given up to be deleted
 * (renamed to *.done), unless files are written again.  Never fails: exits
 * with a message. */
int	contender_next_file(struct contender *contender) ATTR_NONNULL;

static inline void
count(_Atomic uint64_t *counter, uint64_t datagrams)
{
	/* One writer; the reader only wants the number. */
	atomic_store_explicit(counter, atomic_load_explicit(counter,
	    memory_order_relaxed) + datagrams, memory_order_relaxed);
}

/* How existing relays work: one system call for each datagram and step. */
void	classic_run(struct contender *contender) ATTR_NONNULL;
/* The same with batched system calls. */
void	batch_run(struct contender *contender) ATTR_NONNULL;
/* The least that the batched calls with GRO and GSO cost: payloads only. */
void	floor_run(struct contender *contender) ATTR_NONNULL;

#endif /* MCRELAY_BENCH_CONTENDER_H */
