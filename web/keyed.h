/* SPDX-License-Identifier: ISC */
/*
 * A keyed hash: who does not know the key cannot tell, or choose, what two
 * texts have.  SipHash-2-4 with 128 bits.  Source: Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", and the authors' siphash.c for 128 bits.
 */
#ifndef MCRELAY_KEYED_H
#define MCRELAY_KEYED_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define KEYED_SIZE	16

void	keyed_hash(const uint8_t key[static KEYED_SIZE], const void *data,
	    size_t size, uint8_t hash[static KEYED_SIZE]) ATTR_NONNULL;

#endif /* MCRELAY_KEYED_H */
