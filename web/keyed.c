/* SPDX-License-Identifier: ISC */
/*
 * SipHash-2-4 with 128 bits.  mcrelay-web only.
 */
#include <endian.h>
#include <string.h>

#include "web/keyed.h"

struct state {
	uint64_t	v0, v1, v2, v3;
};

static uint64_t
rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void
rounds(struct state *s, unsigned count)
{
	for (; count > 0; count--) {
		s->v0 += s->v1;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v2 = rotate(s->v2, 32);
	}
}

static void
add(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	rounds(s, 2);
	s->v0 ^= word;
}

static uint64_t
load(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

static void
store(uint64_t word, uint8_t *bytes)
{
	word = htole64(word);
	memcpy(bytes, &word, sizeof(word));
}

void
keyed_hash(const uint8_t key[static KEYED_SIZE], const void *data, size_t size,
    uint8_t hash[static KEYED_SIZE])
{
	uint64_t k0 = load(key), k1 = load(key + 8), last;
	const uint8_t *bytes = data;
	uint8_t rest[8] = {0};
	struct state s = {
		k0 ^ UINT64_C(0x736f6d6570736575),
		k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
		k0 ^ UINT64_C(0x6c7967656e657261),
		k1 ^ UINT64_C(0x7465646279746573),
	};
	size_t i;

	for (i = 0; i + 8 <= size; i += 8)
		add(&s, load(bytes + i));
	memcpy(rest, bytes + i, size - i);
	last = load(rest) | (uint64_t)size << 56;
	add(&s, last);
	s.v2 ^= 0xee;
	rounds(&s, 4);
	store(s.v0 ^ s.v1 ^ s.v2 ^ s.v3, hash);
	s.v1 ^= 0xdd;
	rounds(&s, 4);
	store(s.v0 ^ s.v1 ^ s.v2 ^ s.v3, hash + 8);
}
