/* SPDX-License-Identifier: ISC */
/*
 * Names of streams, and packets of their datums.  Supervisor, decimator and
 * mcrelay-web.
 */
#include <string.h>

#include "common/live.h"

/* FNV-1a. */
static uint64_t
add(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *byte = data;

	while (size-- > 0)
		hash = (hash ^ *byte++) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t
live_key(uint64_t id, bool summary, const struct datum_program *program,
    const struct datum_program *plan)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	hash = add(hash, &id, sizeof(id));
	hash = add(hash, &summary, sizeof(summary));
	hash = add(hash, program, program->size);
	return plan == NULL ? hash : add(hash, plan, plan->size);
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
