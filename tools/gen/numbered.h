/* SPDX-License-Identifier: ISC */
/*
 * The numbered datagram: what the source sends and the sink checks.
 *
 *	offset	size
 *	     0	   4	magic, "MCRG"
 *	     4	   4	stream: a random number for each run of a source
 *	     8	   8	sequence: 0, 1, 2, ...
 *	    16	   8	time of sending, ns since 1970
 *	    24	   8	time the source started, ns since 1970
 *	    32	   4	size of the datagram in bytes
 *	    36	   4	check: upper half of the seed
 *	    40	 ...	pattern
 *
 * All numbers are big endian.  The seed is a hash of the header before the
 * check.  The pattern is 64-bit words, little endian, the last one cut off at
 * the end of the datagram; word i is seed + (i + 1) * 0x9e3779b97f4a7c15.  So
 * a changed, cut or lengthened datagram does not pass for a good one, but for
 * one in 2^32 whose damage lies in the header only.
 */
#ifndef MCRELAY_GEN_NUMBERED_H
#define MCRELAY_GEN_NUMBERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define NUMBERED_SIZE_MIN	40

struct numbered {
	uint32_t	stream;
	uint64_t	sequence;
	uint64_t	sent_ns;	/* CLOCK_REALTIME */
	uint64_t	started_ns;	/* CLOCK_REALTIME */
};

/* Fills all of `data'; `size' is at least NUMBERED_SIZE_MIN. */
void	numbered_write(uint8_t *data, size_t size,
	    const struct numbered *numbered) ATTR_NONNULL;

/* False when it is not a numbered datagram, whole and unchanged. */
bool	numbered_read(const uint8_t *data, size_t size,
	    struct numbered *numbered) ATTR_NONNULL;

#endif /* MCRELAY_GEN_NUMBERED_H */
