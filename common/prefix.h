/* SPDX-License-Identifier: ISC */
/*
 * Whether an address is of a network.  For workers on each datagram.
 */
#ifndef MCRELAY_PREFIX_H
#define MCRELAY_PREFIX_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/channel_config.h"
#include "common/compiler.h"

/* `address' as the prefix has it: v4 as ::ffff:a.b.c.d. */
static inline bool
prefix_matches(const struct source_prefix *prefix, const uint8_t *address)
{
	uint32_t bits = MIN_OF(prefix->bits, 128U);
	uint32_t bytes = bits / 8, rest = bits % 8;

	if (memcmp(prefix->address, address, bytes) != 0)
		return false;
	return rest == 0 || ((prefix->address[bytes] ^ address[bytes]) >>
	    (8 - rest)) == 0;
}

#endif /* MCRELAY_PREFIX_H */
