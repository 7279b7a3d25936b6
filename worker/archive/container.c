/* SPDX-License-Identifier: ISC */
/*
 * Avro object container files, the writing half.  Worker, archive thread
 * only; no I/O here.
 */
#include <netinet/in.h>
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "worker/archive/container.h"

#define DATAGRAM_FIELDS							\
    "{\"type\":\"record\",\"name\":\"Datagram\",\"namespace\":\"mcrelay\","\
    "\"fields\":["							\
    "{\"name\":\"received\",\"type\":{\"type\":\"long\","		\
    "\"logicalType\":\"timestamp-micros\"}},"				\
    "{\"name\":\"received_ns\",\"type\":\"int\"},"			\
    "{\"name\":\"sequence\",\"type\":\"long\"},"			\
    "{\"name\":\"source\",\"type\":\"string\"},"			\
    "{\"name\":\"payload\",\"type\":\"bytes\"}"

const char container_datagram_schema[] = DATAGRAM_FIELDS "]}";
const char container_destination_schema[] = DATAGRAM_FIELDS
    ",{\"name\":\"destination\",\"type\":\"string\"}]}";

static uint8_t *
put_bytes(uint8_t *out, const void *data, size_t size)
{
	out += datum_put_long(out, (int64_t)size);
	memcpy(out, data, size);
	return out + size;
}

static uint8_t *
put_text(uint8_t *out, const char *text)
{
	return put_bytes(out, text, strlen(text));
}

uint8_t *
container_header(const char *schema, size_t schema_size, const char *codec,
    const struct container_meta *meta,
    const uint8_t sync[static CONTAINER_SYNC_SIZE], size_t *size)
{
	size_t entries = 2, room = 128 + schema_size + strlen(codec), i;
	uint8_t *header, *out;

	for (i = 0; meta[i].key != NULL; i++, entries++)
		room += strlen(meta[i].key) + strlen(meta[i].value) + 20;
	out = header = xmalloc(room);
	memcpy(out, "Obj\001", 4);
	out += 4;
	out += datum_put_long(out, (int64_t)entries);
	for (i = 0; meta[i].key != NULL; i++) {
		out = put_text(out, meta[i].key);
		out = put_text(out, meta[i].value);
	}
	out = put_text(out, "avro.schema");
	out = put_bytes(out, schema, schema_size);
	out = put_text(out, "avro.codec");
	out = put_text(out, codec);
	*out++ = 0;	/* the end of the map */
	memcpy(out, sync, CONTAINER_SYNC_SIZE);
	out += CONTAINER_SYNC_SIZE;
	*size = (size_t)(out - header);
	assert(*size <= room);
	return header;
}

/* What the datagrams of one ring record need in the arena, at the most. */
static size_t
arena_need(uint32_t datagrams)
{
	return (size_t)datagrams *
	    (BLOCK_DATAGRAM_HEAD_MAX + BLOCK_COPY_BELOW);
}

struct block *
block_new(uint64_t block_size, const struct destinations *destinations)
{
	struct block *block = xcalloc(1, sizeof(*block));

	/* The first record always fits, whatever the block size. */
	block->arena_size = block_size + arena_need(RING_DATAGRAMS_MAX);
	/* Large enough to be pages of its own: what is not used of it does not
	 * exist, and that is most of it where little comes. */
	block->iov = xmalloc(BLOCK_IOVECS * sizeof(*block->iov) +
	    block->arena_size);
	block->arena = (uint8_t *)(block->iov + BLOCK_IOVECS);
	block->destinations = destinations;
	return block;
}

void
block_free(struct block *block)
{
	if (block == NULL)
		return;
	free(block->iov);
	free(block->plain);
	free(block->packed);
	free(block);
}

void
block_clear(struct block *block)
{
	block->records = 0;
	block->bytes = 0;
	block->pieces = 0;
	block->arena_used = 0;
}

bool
block_has_room(const struct block *block, uint32_t datagrams)
{
	/* A destination is one piece with the next one's head. */
	return block->pieces + 2 * datagrams < BLOCK_PIECES &&
	    block->arena_used + arena_need(datagrams) <= block->arena_size;
}

/* Adds a piece; one that continues the last piece makes that longer. */
static void
add_piece(struct block *block, const uint8_t *data, size_t size)
{
	struct iovec *last = &block->iov[block->pieces];	/* 1-based */

	block->bytes += size;
	if (block->pieces > 0 &&
	    (const uint8_t *)last->iov_base + last->iov_len == data) {
		last->iov_len += size;
		return;
	}
	assert(block->pieces < BLOCK_PIECES);
	block->pieces++;
	last[1].iov_base = (void *)(uintptr_t)data;
	last[1].iov_len = size;
}

static void
add_payload(struct block *block, const uint8_t *data, size_t size)
{
	uint8_t *copy = block->arena + block->arena_used;

	if (size >= BLOCK_COPY_BELOW ||
	    size > block->arena_size - block->arena_used) {
		add_piece(block, data, size);
		return;
	}
	memcpy(copy, data, size);
	block->arena_used += size;
	add_piece(block, copy, size);
}

void
block_add(struct block *block, const uint8_t *data, size_t size,
    uint64_t records)
{
	add_payload(block, data, size);
	block->records += records;
}

static bool
same_source(const struct ring_record *a, const struct ring_record *b)
{
	return a->port == b->port && a->family == b->family &&
	    ring_record_scope(a) == ring_record_scope(b) &&
	    memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* The text of a record's source is made when the source changes. */
static void
set_source(struct block *block, const struct ring_record *record)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
	    .sin6_port = htons(record->port),
	    .sin6_scope_id = ring_record_scope(record)};
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons(record->port)};

	if (LIKELY(block->source_length > 0 &&
	    same_source(&block->source, record)))
		return;
	memcpy(&in6.sin6_addr, record->address, 16);
	memcpy(&in.sin_addr, record->address, 4);
	block->source = *record;
	block->source_length = format_address(record->family == 6 ?
	    (const void *)&in6 : (const void *)&in, block->source_text);
}

/* A ring may hold anything. */
static void
add_destination(struct block *block, unsigned input)
{
	const struct destinations *all = block->destinations;
	uint8_t *out = block->arena + block->arena_used, *end;

	input = MIN_OF(input, all->count - 1);
	end = put_bytes(out, all->each[input].text, all->each[input].length);
	block->arena_used += (size_t)(end - out);
	assert(block->arena_used <= block->arena_size);
	add_piece(block, out, (size_t)(end - out));
}

void
block_add_datagram(struct block *block, const struct ring_record *record,
    uint64_t sequence, const uint8_t *payload, size_t size)
{
	uint8_t *head = block->arena + block->arena_used, *out = head;

	set_source(block, record);
	out += datum_put_long(out, (int64_t)(record->received_ns / NS_PER_US));
	out += datum_put_long(out, (int64_t)(record->received_ns % NS_PER_US));
	out += datum_put_long(out, (int64_t)sequence);
	out = put_bytes(out, block->source_text, block->source_length);
	out += datum_put_long(out, (int64_t)size);
	block->arena_used += (size_t)(out - head);
	assert(block->arena_used <= block->arena_size);
	add_piece(block, head, (size_t)(out - head));
	add_payload(block, payload, size);
	if (UNLIKELY(block->destinations != NULL))
		add_destination(block, record->input);
	block->records++;
}

static void
make_room(uint8_t **buffer, size_t *room, size_t size)
{
	if (size <= *room)
		return;
	free(*buffer);
	*buffer = xmalloc(size);
	*room = size;
}

/* The block's data is now these bytes. */
static void
set_data(struct block *block, uint8_t *data, size_t size)
{
	block->pieces = 1;
	block->iov[1] = (struct iovec){data, size};
	block->bytes = size;
}

void
block_detach(struct block *block)
{
	uint8_t *out;
	unsigned i;

	make_room(&block->plain, &block->plain_room, block->bytes);
	out = block->plain;
	for (i = 1; i <= block->pieces; i++)
		out = mempcpy(out, block->iov[i].iov_base,
		    block->iov[i].iov_len);
	set_data(block, block->plain, block->bytes);
}

void
block_pack(struct block *block, struct codec *codec)
{
	size_t room = codec_bound(codec, block->bytes);

	assert(block->pieces == 1 && block->iov[1].iov_base == block->plain);
	make_room(&block->packed, &block->packed_room, room);
	set_data(block, block->packed, codec_compress(codec, block->plain,
	    block->bytes, block->packed, room));
}

unsigned
block_finish(struct block *block, const uint8_t *sync, struct iovec **iov,
    size_t *size)
{
	struct iovec *last = &block->iov[block->pieces + 1];
	size_t head;

	assert(block->records > 0 && block->bytes > 0);
	head = datum_put_long(block->head, (int64_t)block->records);
	head += datum_put_long(block->head + head, (int64_t)block->bytes);
	block->iov[0].iov_base = block->head;
	block->iov[0].iov_len = head;
	last->iov_base = (void *)(uintptr_t)sync;
	last->iov_len = CONTAINER_SYNC_SIZE;
	*iov = block->iov;
	*size = head + block->bytes + CONTAINER_SYNC_SIZE;
	return block->pieces + 2;
}
