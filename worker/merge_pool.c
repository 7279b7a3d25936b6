/* SPDX-License-Identifier: ISC */
/*
 * Datagrams that wait for the ones before them.  Worker, relay thread only.
 *
 * The pool is filled in the order in which they come, and emptied when its
 * oldest entry does not wait any more: that is no longer than merge_window.
 * Whether an entry waits follows from the numbers: its own has not gone on.
 */
#include <string.h>

#include "common/util.h"
#include "worker/merge_priv.h"

#define ENTRY_ALIGN	8U

static struct merge_entry *
place_of(const struct merge *merge, uint64_t position)
{
	return (void *)(merge->pool + position % merge->pool_size);
}

static uint64_t *
waits_at(struct merge *merge, uint64_t number)
{
	return &merge->area->at[merge_index(merge, number)];
}

static uint64_t
left_from(const struct merge *merge, uint64_t position)
{
	return merge->pool_size - position % merge->pool_size;
}

/* What a predecessor has left is bounded before it is believed. */
static bool
is_whole(const struct merge_entry *entry, uint64_t left)
{
	return entry->size % ENTRY_ALIGN == 0 && entry->size <= left &&
	    entry->size >= sizeof(*entry) &&
	    entry->record.length <= entry->size - sizeof(*entry);
}

const struct merge_entry *
merge_entry_at(const struct merge *merge, uint64_t *position, uint64_t head)
{
	const struct merge_entry *entry;
	uint64_t left;

	while (*position < head && head - *position <= merge->pool_size) {
		left = left_from(merge, *position);
		entry = place_of(merge, *position);
		if (left < sizeof(*entry) || entry->size == 0) {
			*position += left;
			continue;
		}
		if (!is_whole(entry, MIN_OF(left, head - *position)))
			break;
		return entry;
	}
	*position = head;
	return NULL;
}

bool
merge_hold(struct merge *merge, const struct ring_record *record,
    const uint8_t *payload, uint64_t number, uint32_t numbers)
{
	uint64_t size = ROUND_UP(sizeof(struct merge_entry) +
	    (uint64_t)record->length, (uint64_t)ENTRY_ALIGN);
	uint64_t position = merge->state->head;
	uint64_t left = left_from(merge, position);
	struct merge_entry *entry = place_of(merge, position);

	if (size > left)
		position += left;
	if (position + size - merge->floor > merge->pool_size)
		return false;
	if (size > left && left >= sizeof(entry->size))
		entry->size = 0;
	entry = place_of(merge, position);
	*entry = (struct merge_entry){.size = (uint32_t)size,
	    .numbers = numbers, .number = number, .came_ns = merge->now_ns,
	    .record = *record};
	memcpy(entry + 1, payload, record->length);
	*waits_at(merge, number) = position + 1;
	merge->state->head = position + size;
	merge->state->waiting++;
	return true;
}

const struct merge_entry *
merge_take(struct merge *merge, uint64_t number)
{
	uint64_t *at = waits_at(merge, number);
	const struct merge_entry *entry;

	if (*at == 0)
		return NULL;
	entry = place_of(merge, *at - 1);
	*at = 0;
	merge->state->waiting--;
	return entry;
}

const struct merge_entry *
merge_oldest(struct merge *merge)
{
	struct merge_state *state = merge->state;
	const struct merge_entry *entry;

	while ((entry = merge_entry_at(merge, &state->tail, state->head)) !=
	    NULL) {
		if (*waits_at(merge, entry->number) == state->tail + 1)
			return entry;
		state->tail += entry->size;
	}
	return NULL;
}

void
merge_find(struct merge *merge, const struct merge_state *state)
{
	const struct merge_numbers *numbers = &state->numbers[state->now & 1];
	const struct merge_entry *entry;
	uint64_t position = state->tail;

	while ((entry = merge_entry_at(merge, &position, state->head)) !=
	    NULL) {
		if (merge_distance(merge, entry->number, numbers->next) >= 0)
			*waits_at(merge, entry->number) = position + 1;
		position += entry->size;
	}
}
