/* SPDX-License-Identifier: ISC */
/*
 * FNV-1a, for tables of names.  No defence against names that are chosen to
 * collide.  Source: draft-eastlake-fnv, "The FNV Non-Cryptographic Hash
 * Algorithm", sections 2 and 5.
 */
#ifndef MCRELAY_HASH_H
#define MCRELAY_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define HASH_BEGIN64	UINT64_C(0xcbf29ce484222325)

/* Goes on from `hash'. */
static inline uint64_t
hash_bytes64(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *byte = data;

	for (; size > 0; size--, byte++)
		hash = (hash ^ *byte) * UINT64_C(0x100000001b3);
	return hash;
}

static inline uint64_t
hash_text64(const char *text)
{
	uint64_t hash = HASH_BEGIN64;

	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash;
}

static inline uint32_t
hash_text32(const char *text)
{
	uint32_t hash = UINT32_C(0x811c9dc5);

	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * UINT32_C(0x01000193);
	return hash;
}

#endif /* MCRELAY_HASH_H */
