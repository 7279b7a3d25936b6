/* SPDX-License-Identifier: ISC */
/*
 * The last datums of a stream.  mcrelay-web only.
 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "web/history.h"

/* The smallest worth having, and what one alone may have: powers of two. */
#define SHARE_MIN	((size_t)1024)
#define SHARE_MAX	((size_t)4 * 1024 * 1024)
#define ROOM_FIRST	((size_t)1024)

static size_t	all;		/* bytes */

size_t
history_share(size_t histories)
{
	size_t share = SHARE_MAX;

	while (share > SHARE_MIN && share * histories > HISTORY_MAX)
		share /= 2;
	return share;
}

/* To or from the ring, which may be in two pieces. */
static void
put(const struct history *history, uint64_t position, const void *data,
    size_t size)
{
	size_t at = (size_t)(position % history->room);
	size_t first = MIN_OF(size, history->room - at);

	memcpy(history->data + at, data, first);
	memcpy(history->data, (const uint8_t *)data + first, size - first);
}

static void
get(const struct history *history, uint64_t position, void *data, size_t size)
{
	size_t at = (size_t)(position % history->room);
	size_t first = MIN_OF(size, history->room - at);

	memcpy(data, history->data + at, first);
	memcpy((uint8_t *)data + first, history->data, size - first);
}

/* What is there fits in. */
static void
move(struct history *history, size_t room)
{
	size_t left = (size_t)(history->head - history->tail), piece;
	struct history moved = *history;
	uint64_t at = history->tail;

	moved.room = room;
	moved.data = xmalloc(room);
	for (; left > 0; left -= piece, at += piece) {
		piece = MIN_OF(left, history->room -
		    (size_t)(at % history->room));
		put(&moved, at, history->data + at % history->room, piece);
	}
	all += room - history->room;
	free(history->data);
	*history = moved;
}

/* Twice as large, if that may be. */
static bool
grow(struct history *history, size_t share)
{
	size_t room = history->room == 0 ? ROOM_FIRST : 2 * history->room;

	if (room > share || all - history->room + room > HISTORY_MAX)
		return false;
	move(history, room);
	return true;
}

static void
forget_oldest(struct history *history)
{
	struct history_entry entry;

	get(history, history->tail, &entry, sizeof(entry));
	history->tail += sizeof(entry) + entry.size;
	history->forgotten++;
}

bool
history_add(struct history *history, size_t share,
    const struct history_entry *entry, const uint8_t *data)
{
	size_t size = sizeof(*entry) + entry->size;

	while (history->room - (size_t)(history->head - history->tail) < size)
		if (!grow(history, share)) {
			if (history->room < size)
				return false;
			forget_oldest(history);
		}
	put(history, history->head, entry, sizeof(*entry));
	put(history, history->head + sizeof(*entry), data, entry->size);
	history->head += size;
	history->count++;
	return true;
}

void
history_fit(struct history *history, size_t share)
{
	if (history->room <= share)
		return;
	while ((size_t)(history->head - history->tail) > share)
		forget_oldest(history);
	move(history, share);
}

void
history_free(struct history *history)
{
	all -= history->room;
	free(history->data);
	memset(history, 0, sizeof(*history));
}

uint64_t
history_catch_up(const struct history *history, struct history_place *place)
{
	uint64_t passed = 0;

	if (place->position < history->tail) {
		passed = history->forgotten - place->index;
		*place = (struct history_place){history->tail,
		    history->forgotten};
	}
	return passed;
}

bool
history_look(const struct history *history, const struct history_place *place,
    struct history_entry *entry)
{
	if (place->position >= history->head)
		return false;
	get(history, place->position, entry, sizeof(*entry));
	return true;
}

void
history_take(const struct history *history, struct history_place *place,
    const struct history_entry *entry, uint8_t *data)
{
	get(history, place->position + sizeof(*entry), data, entry->size);
	history_skip(place, entry);
}

void
history_skip(struct history_place *place, const struct history_entry *entry)
{
	place->position += sizeof(*entry) + entry->size;
	place->index++;
}
