/* SPDX-License-Identifier: ISC */
/*
 * Numbered datagrams.  mcrelay-gen.
 */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "tools/gen/numbered.h"

#define MAGIC		0x4d435247U	/* "MCRG" */
#define STEP		UINT64_C(0x9e3779b97f4a7c15)

struct wire {
	uint32_t	magic;
	uint32_t	stream;
	uint64_t	sequence;
	uint64_t	sent_ns;
	uint64_t	started_ns;
	uint32_t	size;
	uint32_t	check;
};
_Static_assert(sizeof(struct wire) == NUMBERED_SIZE_MIN, "wire format");

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t
seed_of(const struct numbered *numbered, size_t size)
{
	uint64_t seed;

	seed = mix((uint64_t)numbered->stream << 32 | size);
	seed = mix(seed ^ numbered->sequence);
	seed = mix(seed ^ numbered->sent_ns);
	return mix(seed ^ numbered->started_ns);
}

/*
 * The source writes and the sink compares millions of these a second: an
 * addition a word costs about as much as the copy that the kernel makes.
 */
static void
pattern_write(uint8_t *data, size_t size, uint64_t word)
{
	uint64_t le;

	for (; size >= sizeof(le); size -= sizeof(le)) {
		word += STEP;
		le = htole64(word);
		memcpy(data, &le, sizeof(le));
		data += sizeof(le);
	}
	le = htole64(word + STEP);
	memcpy(data, &le, size);
}

static bool
pattern_matches(const uint8_t *data, size_t size, uint64_t word)
{
	uint64_t le, wrong = 0;

	for (; size >= sizeof(le); size -= sizeof(le)) {
		word += STEP;
		memcpy(&le, data, sizeof(le));
		wrong |= le64toh(le) ^ word;
		data += sizeof(le);
	}
	le = htole64(word + STEP);
	return wrong == 0 && memcmp(data, &le, size) == 0;
}

void
numbered_write(uint8_t *data, size_t size, const struct numbered *numbered)
{
	const uint64_t seed = seed_of(numbered, size);
	const struct wire wire = {
		.magic = htobe32(MAGIC),
		.stream = htobe32(numbered->stream),
		.sequence = htobe64(numbered->sequence),
		.sent_ns = htobe64(numbered->sent_ns),
		.started_ns = htobe64(numbered->started_ns),
		.size = htobe32((uint32_t)size),
		.check = htobe32((uint32_t)(seed >> 32)),
	};

	assert(size >= sizeof(wire));
	memcpy(data, &wire, sizeof(wire));
	pattern_write(data + sizeof(wire), size - sizeof(wire), seed);
}

bool
numbered_read(const uint8_t *data, size_t size, struct numbered *numbered)
{
	struct wire wire;
	uint64_t seed;

	if (size < sizeof(wire))
		return false;
	memcpy(&wire, data, sizeof(wire));
	if (be32toh(wire.magic) != MAGIC || be32toh(wire.size) != size)
		return false;
	numbered->stream = be32toh(wire.stream);
	numbered->sequence = be64toh(wire.sequence);
	numbered->sent_ns = be64toh(wire.sent_ns);
	numbered->started_ns = be64toh(wire.started_ns);
	seed = seed_of(numbered, size);
	return be32toh(wire.check) == (uint32_t)(seed >> 32) &&
	    pattern_matches(data + sizeof(wire), size - sizeof(wire), seed);
}
