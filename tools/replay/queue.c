/* SPDX-License-Identifier: ISC */
/*
 * Which of many channels is due first.  mcrelay-replay.
 */
#include <stdlib.h>

#include "common/util.h"
#include "tools/replay/queue.h"

static void
reckon_time(struct source *source)
{
	const int64_t time_ns = source->record.time_ns;

	if (time_ns == RECORDS_NO_TIME)
		return;
	if (source->due_ns == RECORDS_NO_TIME)
		source->due_ns = time_ns;
	else if (time_ns > source->last_ns && (__builtin_sub_overflow(time_ns,
	    source->last_ns, &source->last_ns) || __builtin_add_overflow(
	    source->due_ns, source->last_ns, &source->due_ns)))
		source->due_ns = INT64_MAX;
	source->last_ns = time_ns;
}

/* Its place, once it has another record. */
static struct queue_place
reckon(struct source *source)
{
	reckon_time(source);
	return (struct queue_place){
		.due_ns = source->due_ns,
		.played = ++source->played,
		.source = source,
	};
}

static bool
before(const struct queue_place *a, const struct queue_place *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->played < b->played;
}

/* The first place is free: for this one, or for who is due before it. */
static void
sink(struct queue *queue, struct queue_place sinking)
{
	struct queue_place *place = queue->place;
	size_t at = 0, child;

	while ((child = 2 * at + 1) < queue->sources) {
		if (child + 1 < queue->sources && before(&place[child + 1],
		    &place[child]))
			child++;
		if (!before(&place[child], &sinking))
			break;
		place[at] = place[child];
		at = child;
	}
	place[at] = sinking;
}

void
queue_add(struct queue *queue, struct source *source)
{
	const struct queue_place rising = reckon(source);
	struct queue_place *place;
	size_t at = queue->sources;

	queue->place = xgrow(queue->place, queue->sources,
	    sizeof(*queue->place));
	queue->sources++;
	place = queue->place;
	for (; at > 0 && before(&rising, &place[(at - 1) / 2]);
	    at = (at - 1) / 2)
		place[at] = place[(at - 1) / 2];
	place[at] = rising;
}

void
queue_stay(struct queue *queue)
{
	(void)reckon(queue->place[0].source);
}

void
queue_again(struct queue *queue)
{
	sink(queue, reckon(queue->place[0].source));
}

void
queue_drop_first(struct queue *queue)
{
	if (--queue->sources > 0)
		sink(queue, queue->place[queue->sources]);
}

void
queue_free(struct queue *queue)
{
	free(queue->place);
	*queue = (struct queue){0};
}
