/* SPDX-License-Identifier: ISC */
/*
 * Names of streams, and packets of their datums.  Supervisor, decimator and
 * mcrelay-web.
 */
#include <string.h>

#include "common/hash.h"
#include "common/live.h"

uint64_t
live_key(uint64_t id, bool summary, const struct datum_program *program,
    const struct datum_program *plan)
{
	uint64_t hash = HASH_BEGIN64;

	hash = hash_bytes64(hash, &id, sizeof(id));
	hash = hash_bytes64(hash, &summary, sizeof(summary));
	hash = hash_bytes64(hash, program, program->size);
	return plan == NULL ? hash : hash_bytes64(hash, plan, plan->size);
}

bool
live_open(struct live_packet *packet, const void *data, size_t size)
{
	uint64_t magic = 0;

	if (size >= sizeof(magic))
		memcpy(&magic, data, sizeof(magic));
	packet->bad = magic != LIVE_MAGIC;
	packet->at = packet->bad ? NULL : (const uint8_t *)data +
	    sizeof(magic);
	packet->left = packet->bad ? 0 : size - sizeof(magic);
	return !packet->bad;
}

bool
live_next(struct live_packet *packet, struct live_record *record,
    const uint8_t **data)
{
	size_t size;

	if (packet->left == 0)
		return false;
	if (packet->left >= sizeof(*record)) {
		memcpy(record, packet->at, sizeof(*record));
		size = packet->left - sizeof(*record);
		if (record->size <= size &&
		    LIVE_PADDED(record->size) <= size) {
			size = LIVE_PADDED(record->size);
			*data = packet->at + sizeof(*record);
			packet->at += sizeof(*record) + size;
			packet->left -= sizeof(*record) + size;
			return true;
		}
	}
	packet->bad = true;
	packet->left = 0;
	return false;
}
