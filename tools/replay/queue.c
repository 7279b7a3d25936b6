/* SPDX-License-Identifier: ISC */
/*
 * Which of many channels is due first.  mcrelay-replay.
 */
#include <stdlib.h>

#include "common/util.h"
#include "tools/replay/queue.h"

static void
reckon(struct source *source)
{
	const int64_t time_ns = source->record.time_ns;

	source->played++;
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

static bool
before(const struct source *a, const struct source *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->played < b->played;
}

static void
swap(struct queue *queue, size_t a, size_t b)
{
	struct source *source = queue->source[a];

	queue->source[a] = queue->source[b];
	queue->source[b] = source;
}

static void
sink(struct queue *queue)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < queue->sources) {
		if (child + 1 < queue->sources && before(
		    queue->source[child + 1], queue->source[child]))
			child++;
		if (!before(queue->source[child], queue->source[at]))
			break;
		swap(queue, at, child);
		at = child;
	}
}

void
queue_add(struct queue *queue, struct source *source)
{
	size_t at = queue->sources;

	reckon(source);
	queue->source = xgrow(queue->source, queue->sources,
	    sizeof(*queue->source));
	queue->source[queue->sources++] = source;
	for (; at > 0 && before(source, queue->source[(at - 1) / 2]);
	    at = (at - 1) / 2)
		swap(queue, at, (at - 1) / 2);
}

void
queue_stay(struct queue *queue)
{
	reckon(queue->source[0]);
}

void
queue_again(struct queue *queue)
{
	reckon(queue->source[0]);
	sink(queue);
}

void
queue_drop_first(struct queue *queue)
{
	swap(queue, 0, --queue->sources);
	sink(queue);
}

void
queue_free(struct queue *queue)
{
	free(queue->source);
	*queue = (struct queue){0};
}
