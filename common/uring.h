/* SPDX-License-Identifier: ISC */
/*
 * io_uring: what this kernel has of it, and making a ring.  Supervisor, which
 * says what would be used; worker, each ring in the thread that makes it.
 *
 * What is there is asked by opcodes and by trying, not by the kernel's version.
 * In a build without liburing there is nothing, and the reason says so.
 *
 * A sandbox sees no operation of a ring, only calls on its descriptor: so each
 * ring is made before the sandbox, and restricted to what it is for
 * (uring_restrict) before the first operation.
 */
#ifndef MCRELAY_URING_H
#define MCRELAY_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

struct io_uring;		/* of liburing */

/* What a channel has it for; bits. */
enum uring_use {
	URING_RECEIVE = 1U << 0,
	URING_SEND = 1U << 1,
	URING_WRITE = 1U << 2,
	URING_ALL = (1U << 3) - 1,
};

/* A text for an operator: why not. */
#define URING_WHY_SIZE	160

/*
 * Which of `uses' this kernel lets this process have; *why, if that is not all,
 * the first that is missing.  Makes a ring and closes it.
 */
uint32_t	uring_probe(uint32_t uses, char why[static URING_WHY_SIZE]);

struct uring_options {
	unsigned	entries;	/* of the submission queue, 1 to 4096 */
	unsigned	completions;	/* 0: twice as many */
	/* The kernel does what was asked for in the calls of the thread that
	 * enables the ring, and at no other time (DEFER_TASKRUN): what is in
	 * flight ends with that thread.  Not with `poll'. */
	bool		deferred;
	/* A thread of the kernel's takes submissions (SQPOLL)... */
	bool		poll;
	int32_t		cpu;		/* ...on this CPU; -1: any */
};

/*
 * Makes a ring that does nothing before uring_enable(); false, with a reason in
 * *why, when it cannot.  It is ended by io_uring_queue_exit().
 */
bool	uring_open(struct io_uring *ring, const struct uring_options *options,
	    char why[static URING_WHY_SIZE]) ATTR_NONNULL;

/* What a ring may do from uring_enable() on. */
struct uring_limits {
	const uint8_t	*ops;		/* IORING_OP_*, `count' of them */
	size_t		 count;
	uint8_t		 flags;		/* IOSQE_* that may be set... */
	uint8_t		 required;	/* ...and that must; of these */
	bool		 buffers;	/* rings of buffers come and go */
};

/* For good; but for uring_enable(), and with `buffers', nothing is registered
 * any more. */
bool	uring_restrict(struct io_uring *ring,
	    const struct uring_limits *limits, char why[static URING_WHY_SIZE])
	    ATTR_NONNULL;

/* The calling thread is the one that uses a deferred ring. */
bool	uring_enable(struct io_uring *ring, char why[static URING_WHY_SIZE])
	    ATTR_NONNULL;

#endif /* MCRELAY_URING_H */
