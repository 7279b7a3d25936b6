/* SPDX-License-Identifier: ISC */
/*
 * Which datagram of several paths goes on, and when.  Worker, relay thread
 * only.  Must not allocate, nor ask the clock per datagram.
 */
#include <inttypes.h>
#include <string.h>

#include "common/inputs.h"
#include "common/util.h"
#include "worker/ingest_priv.h"
#include "worker/merge_priv.h"

/*
 * No network has a datagram overtaken by so much on one path: who passes a
 * number again after that has begun anew.  At least four times the window, so
 * that a path that this configuration expects to be late is not taken for that.
 */
#define RESTART_NS		(200 * NS_PER_MS)
#define RESTART_WINDOWS		4
/* A path in the numbering before that goes back by more may have come to the
 * beginning of the next. */
#define REORDERED		32
/* Datagrams after which a path that has begun anew does not turn back. */
#define STRAYS			4

/* How far ahead of others a number may be: with those of a datagram that has
 * several, and those behind, all have places of their own. */
static int64_t
ahead_max(const struct merge *merge)
{
	return merge->far / 2;
}

static bool
fits(const struct merge *merge, const struct merge_numbers *numbers,
    uint64_t number)
{
	return numbers->began != 0 &&
	    merge_distance(merge, number, numbers->next) >= -merge->far &&
	    merge_distance(merge, number, numbers->top) < ahead_max(merge);
}

static bool
is_known(const struct merge *merge, const struct merge_numbers *numbers,
    uint64_t number)
{
	return merge_distance(merge, number, numbers->top) < 0 &&
	    numbers->by[merge_index(merge, number)] != 0;
}

/*** What goes on. ***/

static void
go_on(struct ingest *ingest, struct ingest_state *state,
    const struct merge_entry *entry)
{
	ingest_append(ingest, state, &entry->record,
	    (const uint8_t *)(entry + 1));
}

/* All that waits before `end' goes on, and what follows it without a gap. */
static void
release(struct ingest *ingest, struct ingest_state *state, uint64_t end)
{
	struct merge *merge = &ingest->merge;
	struct merge_numbers *now = merge_now(merge);
	const struct merge_entry *entry;

	for (; merge->state->waiting > 0 &&
	    merge_distance(merge, now->next, end) < 0; now->next++)
		if ((entry = merge_take(merge, now->next)) != NULL) {
			go_on(ingest, state, entry);
			now->next += entry->numbers - 1;
		}
	if (merge_distance(merge, now->next, end) < 0)
		now->next = end;
	while (merge->state->waiting > 0 &&
	    (entry = merge_take(merge, now->next)) != NULL) {
		go_on(ingest, state, entry);
		now->next += entry->numbers;
	}
}

/*** Numbers of one numbering. ***/

static struct input_counts *
counts_of(const struct ingest *ingest, const struct ingest_state *state,
    unsigned input)
{
	return &inputs_of(ingest->segment, state)[MIN_OF(input,
	    ingest->segment->inputs - 1)].counts;
}

static void
count_copy(const struct ingest *ingest, struct ingest_state *state,
    uint8_t *by, unsigned input)
{
	unsigned first = (*by & (MERGE_SHARED - 1)) - 1;

	state->counts.merged++;
	if ((*by & MERGE_SHARED) != 0 || first == input)
		return;
	*by |= MERGE_SHARED;
	counts_of(ingest, state, first)->sole--;
}

/* It has come for the first time. */
static void
mark(const struct ingest *ingest, struct ingest_state *state,
    struct merge_numbers *numbers, uint64_t number, uint32_t count,
    unsigned input)
{
	const struct merge *merge = &ingest->merge;

	for (; merge_distance(merge, numbers->top, number + count) < 0;
	    numbers->top++)
		numbers->by[merge_index(merge, numbers->top)] = 0;
	numbers->by[merge_index(merge, number)] = (uint8_t)(input + 1);
	counts_of(ingest, state, input)->sole++;
}

/* It is not to wait: in the numbering before nobody does, in that in use it is
 * the next one, or nobody waits any more for those before it. */
static void
pass_on(struct ingest *ingest, struct ingest_state *state,
    struct merge_numbers *numbers, const struct ring_record *record,
    const uint8_t *payload, uint64_t number, uint32_t count)
{
	if (numbers == merge_now(&ingest->merge))
		release(ingest, state, number);
	ingest_append(ingest, state, record, payload);
	numbers->next = number + count;
	if (numbers == merge_now(&ingest->merge))
		release(ingest, state, numbers->next);
}

/* There is no room to wait for what is missing before `end'. */
static void
give_up(struct ingest *ingest, struct ingest_state *state,
    struct merge_numbers *numbers, uint64_t end)
{
	struct merge *merge = &ingest->merge;

	if (numbers != merge_now(merge)) {
		numbers->next = end & merge->mask;
		return;
	}
	if (merge->state->waiting > 0)
		log_limited(&merge->limit_full, "too much waits for a datagram "
		    "that is missing on all inputs: given up before "
		    "merge_window; a larger ring_size has more room");
	release(ingest, state, end);
}

static void
judge(struct ingest *ingest, struct ingest_state *state,
    struct merge_numbers *numbers, const struct ring_record *record,
    const uint8_t *payload, uint64_t number, uint32_t count)
{
	struct merge *merge = &ingest->merge;
	uint64_t least = number - (uint64_t)ahead_max(merge);
	int64_t distance;

	if (is_known(merge, numbers, number)) {
		count_copy(ingest, state,
		    &numbers->by[merge_index(merge, number)], record->input);
		return;
	}
	if (merge_distance(merge, numbers->next, least) < 0)
		give_up(ingest, state, numbers, least);
	mark(ingest, state, numbers, number, count, record->input);
	distance = merge_distance(merge, number, numbers->next);
	if (distance < 0) {
		ingest_append(ingest, state, record, payload);
	} else if (distance > 0 && numbers == merge_now(merge)) {
		if (merge_hold(merge, record, payload, number, count))
			return;
		give_up(ingest, state, numbers, number);
		pass_on(ingest, state, numbers, record, payload, number,
		    count);
	} else
		pass_on(ingest, state, numbers, record, payload, number,
		    count);
}

/*** Which numbering. ***/

static void
enter(const struct merge *merge, struct merge_path *path)
{
	path->numbering = (uint8_t)(merge->state->now & 1);
	path->began = 0;
	path->marks = 0;
	path->has_left = 0;
}

static struct merge_numbers *
begin_anew(struct ingest *ingest, struct ingest_state *state,
    struct merge_path *path, uint64_t number)
{
	struct merge *merge = &ingest->merge;
	struct merge_numbers *now = merge_now(merge);
	uint64_t left = path->highest;
	bool had_begun = path->began != 0, first = now->began == 0;
	uint32_t i;

	release(ingest, state, now->top);
	merge->state->now = (merge->state->now & 1) ^ 1;
	now = merge_now(merge);
	for (i = 0; i < ingest->segment->inputs; i++)
		if (merge->state->path[i].numbering == merge->state->now)
			merge->state->path[i].began = 0;
	memset(now->by, 0, merge->places);
	now->began = 1;
	/* Others may be ahead, and bring it later. */
	now->next = (number - (uint64_t)merge->far / 4) & merge->mask;
	now->top = number;
	enter(merge, path);
	path->left = left;
	path->has_left = had_begun ? STRAYS : 0;
	if (!first)
		log_limited(&merge->limit_anew, "the sender's numbers begin "
		    "anew at %" PRIu64, number);
	return now;
}

/* The numbering in use was a stray's.  What waits in it is judged by the one
 * that it did not belong to. */
static struct merge_numbers *
turn_back(struct ingest *ingest, struct ingest_state *state,
    struct merge_path *path)
{
	struct merge *merge = &ingest->merge;
	struct merge_numbers *stray = merge_now(merge), *now;
	const struct merge_entry *entry;
	uint64_t number;

	merge->state->now = (merge->state->now & 1) ^ 1;
	now = merge_now(merge);
	for (number = stray->next; merge->state->waiting > 0 &&
	    merge_distance(merge, number, stray->top) < 0; number++) {
		if ((entry = merge_take(merge, number)) == NULL)
			continue;
		if ((stray->by[merge_index(merge, number)] &
		    MERGE_SHARED) == 0)
			counts_of(ingest, state, entry->record.input)->sole--;
		if (fits(merge, now, number) && is_known(merge, now, number))
			count_copy(ingest, state,
			    &now->by[merge_index(merge, number)],
			    entry->record.input);
		else
			go_on(ingest, state, entry);
	}
	stray->began = 0;
	enter(merge, path);
	return now;
}

/* Whether it is late by more than is known of the numbers, which is nobody's
 * beginning: it goes on as its path does, or the path has just come up beside
 * another. */
static bool
is_lagging(const struct ingest *ingest, const struct merge_path *path,
    const struct merge_numbers *numbers, uint64_t number)
{
	const struct merge *merge = &ingest->merge;
	const struct merge_path *other = merge->state->path;
	int64_t ahead = merge_distance(merge, number, path->highest);
	uint32_t i;

	if (merge_distance(merge, number, numbers->next) >= -merge->far ||
	    (path->began != 0 && (ahead <= 0 || ahead >= merge->far)))
		return false;
	for (i = 0; i < ingest->segment->inputs; i++, other++)
		if (other != path && other->began != 0 &&
		    other->numbering == path->numbering &&
		    merge->now_ns - other->last_ns < merge->silent_ns)
			return true;
	return false;
}

/* Whether it leaves the numbering that it is in for its number. */
static bool
is_jump(const struct merge *merge, const struct merge_path *path,
    uint64_t number)
{
	const struct merge_state *state = merge->state;
	const struct merge_numbers *now = merge_now(merge);

	if (path->began == 0)
		return false;
	if (path->marks > 1 && merge_distance(merge, number,
	    path->older) <= 0)
		return true;
	return path->numbering != (state->now & 1) && merge_distance(merge,
	    number, path->highest) < -REORDERED && fits(merge, now, number);
}

/* NULL: none, as it is too late. */
static struct merge_numbers *
choose(struct ingest *ingest, struct ingest_state *state,
    struct merge_path *path, uint64_t number)
{
	struct merge *merge = &ingest->merge;
	struct merge_numbers *own;
	int64_t since_left = merge_distance(merge, number, path->left);
	bool jump;

	if (path->began == 0 || (path->numbering != (merge->state->now & 1) &&
	    merge->now_ns - path->last_ns > merge->silent_ns &&
	    fits(merge, merge_now(merge), number)))
		enter(merge, path);
	if (path->has_left > 0 && since_left > 0 && since_left < merge->far &&
	    path->numbering == (merge->state->now & 1) &&
	    merge->state->numbers[path->numbering ^ 1].began != 0)
		return turn_back(ingest, state, path);
	path->has_left -= path->has_left > 0 ? 1 : 0;
	jump = is_jump(merge, path, number);
	own = &merge->state->numbers[path->numbering & 1];
	if (!jump && fits(merge, own, number))
		return own;
	if (own != merge_now(merge)) {
		enter(merge, path);
		own = merge_now(merge);
		if (fits(merge, own, number))
			return own;
	}
	if (!jump && own->began != 0 && is_lagging(ingest, path, own, number))
		return NULL;
	return begin_anew(ingest, state, path, number);
}

static void
note_path(const struct merge *merge, struct merge_path *path, uint64_t number)
{
	if (path->began == 0 ||
	    merge_distance(merge, number, path->highest) > 0)
		path->highest = number;
	path->began = 1;
	path->last_ns = merge->now_ns;
	if (path->marks > 0 &&
	    merge->now_ns - path->mark_ns < merge->restart_ns)
		return;
	path->older = path->mark;
	path->mark = path->highest;
	path->mark_ns = merge->now_ns;
	path->marks = MIN_OF(path->marks + 1, 2U);
}

/*** One batch. ***/

static void
merge_datagram(struct ingest *ingest, struct ingest_state *state,
    const struct ring_record *record, const uint8_t *payload)
{
	struct merge *merge = &ingest->merge;
	struct merge_path *path = &merge->state->path[record->input];
	struct merge_numbers *numbers;
	uint64_t number;
	uint32_t count;

	if (!sender_sequence_of(&ingest->sender_sequence, payload,
	    record->length, &number, &count)) {
		ingest_append(ingest, state, record, payload);
		return;
	}
	count = MIN_OF(count, (uint32_t)merge->far / 2);
	numbers = choose(ingest, state, path, number);
	note_path(merge, path, number);
	if (numbers == NULL)
		state->counts.merged++;
	else
		judge(ingest, state, numbers, record, payload, number, count);
}

void
merge_message(struct ingest *ingest, struct ingest_state *state,
    const struct ring_record *record, const uint8_t *payload)
{
	struct ring_record one = *record;
	uint32_t size = record->datagram_size != 0 ? record->datagram_size :
	    record->length, left = record->length;

	inputs_of(ingest->segment, state)[record->input].last_received_ns =
	    record->received_ns;
	one.datagram_size = 0;
	do {
		one.length = MIN_OF(size, left);
		merge_datagram(ingest, state, &one, payload);
		payload += one.length;
		left -= one.length;
	} while (left > 0);
}

/* As much of it as there are inputs and numbers. */
static void
copy_state(const struct ingest *ingest, struct merge_state *to,
    const struct merge_state *from)
{
	unsigned i;

	memcpy(to, from, offsetof(struct merge_state, path) +
	    ingest->segment->inputs * sizeof(from->path[0]));
	for (i = 0; i < 2; i++)
		memcpy(&to->numbers[i], &from->numbers[i],
		    offsetof(struct merge_numbers, by) +
		    ingest->merge.places);
}

void
merge_begin(struct ingest *ingest, struct ingest_state *state)
{
	struct merge *merge = &ingest->merge;
	uint32_t from = state->merge_copy & 1;

	merge->state = &merge->area->copy[from ^ 1];
	copy_state(ingest, merge->state, &merge->area->copy[from]);
	state->merge_copy = from ^ 1;
	merge->floor = merge->state->tail;
	merge->now_ns = clock_monotonic_ns();
}

void
merge_end(struct ingest *ingest, struct ingest_state *state,
    enum merge_release how)
{
	struct merge *merge = &ingest->merge;
	const struct merge_entry *oldest;

	while ((oldest = merge_oldest(merge)) != NULL &&
	    (how == MERGE_RELEASE_ALL || (how == MERGE_RELEASE_DUE &&
	    merge->now_ns - oldest->came_ns >= merge->window_ns)))
		release(ingest, state, oldest->number + oldest->numbers);
	state->counts.merge_waiting = merge->state->waiting;
}

void
merge_init(struct ingest *ingest)
{
	const struct segment *segment = ingest->segment;
	struct merge *merge = &ingest->merge;
	struct merge_state *state;

	merge->area = segment->merge;
	if (merge->area == NULL)
		return;
	merge->pool = (uint8_t *)(merge->area + 1);
	merge->pool_size = segment->merge_pool;
	merge->window_ns = segment->config->merge_window_ns;
	merge->restart_ns = MAX_OF(RESTART_NS,
	    RESTART_WINDOWS * merge->window_ns);
	merge->silent_ns = merge->restart_ns;
	merge->bits = ingest->sender_sequence.bits;
	merge->mask = UINT64_MAX >> (64 - merge->bits);
	merge->places = (size_t)MIN_OF(merge->mask, MERGE_NUMBERS - 1) + 1;
	merge->far = (int64_t)MIN_OF((uint64_t)MERGE_FAR,
	    (merge->mask >> 2) + 1);
	state = &merge->area->copy[ingest_current(
	    &segment->state->ingest)->merge_copy & 1];
	memset(merge->area->at, 0, merge->places * sizeof(merge->area->at[0]));
	merge_find(merge, state);
}

static const struct merge_state *
in_force(const struct ingest *ingest)
{
	return &ingest->merge.area->copy[ingest_current(
	    &ingest->segment->state->ingest)->merge_copy & 1];
}

uint64_t
merge_due_ns(const struct ingest *ingest)
{
	const struct merge_state *state;
	const struct merge_entry *entry;
	uint64_t position;

	if (ingest->merge.area == NULL)
		return 0;
	state = in_force(ingest);
	if (state->waiting == 0)
		return 0;
	position = state->tail;
	entry = merge_entry_at(&ingest->merge, &position, state->head);
	return entry == NULL ? 0 : entry->came_ns + ingest->merge.window_ns;
}

uint64_t
merge_held_bytes(const struct ingest *ingest)
{
	const struct merge_state *state;

	if (ingest->merge.area == NULL)
		return 0;
	state = in_force(ingest);
	return state->head - state->tail;
}
