/* SPDX-License-Identifier: ISC */
/*
 * Writes and reads what the handoff says of events.  Supervisor only.
 */
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/events.h"
#include "supervisor/handoff_events.h"
#include "supervisor/supervisor.h"

/* Of lines: every channel waits meanwhile. */
#define HANDED_OVER_BYTES	(512U << 10)

/*** Writing. ***/

static json_t *
lines_json(const struct events *events)
{
	json_t *array = json_array();
	uint64_t number = events->next;
	const struct event *event;
	size_t bytes = 0;

	while (number > events->oldest && bytes < HANDED_OVER_BYTES)
		bytes += events_get(events, --number)->size;
	for (; number < events->next; number++) {
		event = events_get(events, number);
		json_array_append_new(array, json_stringn(event->line,
		    event->size - 1));
	}
	return array;
}

json_t *
handoff_events_write(const struct supervisor *supervisor)
{
	const struct events *events = supervisor->events;
	json_t *states = json_object(), *decimators = json_array();
	const struct channel *channel;
	size_t i;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (channel->told.state != NULL)
			json_object_set_new(states, channel->name,
			    json_string(channel->told.state));
	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		json_array_append_new(decimators, json_pack("s?",
		    supervisor->decimator[i].told_state));
	return json_pack("{s:s, s:I, s:o, s:o, s:o}",
	    "instance", events->instance, "next", (json_int_t)events->next,
	    "lines", lines_json(events), "states", states,
	    "decimators", decimators);
}

/*** Reading. ***/

/* One of the words that there are, or NULL. */
static const char *
state_word(const json_t *value)
{
	static const char *const words[] = {"starting", "running", "paused",
	    "stale", "degraded", "waiting", "backoff", "failed", "stopped"};
	const char *text = json_string_value(value);
	size_t i;

	for (i = 0; text != NULL && i < NITEMS(words); i++)
		if (strcmp(text, words[i]) == 0)
			return words[i];
	return NULL;
}

static struct events *
read_events(const json_t *object)
{
	const json_t *lines = json_object_get(object, "lines"), *line;
	json_int_t next = json_integer_value(json_object_get(object, "next"));
	const char *instance = json_string_value(json_object_get(object,
	    "instance"));
	size_t i, count = MIN_OF(json_array_size(lines), (size_t)EVENTS_MAX);
	struct events *events;

	if (instance == NULL || strlen(instance) != INSTANCE_SIZE - 1 ||
	    next < 1 || (uint64_t)next <= count)
		return NULL;
	events = events_new();
	memcpy(events->instance, instance, INSTANCE_SIZE);
	events->oldest = events->next = (uint64_t)next - count;
	for (i = 0; i < count; i++) {
		line = json_array_get(lines, i);
		events_restore(events, json_is_string(line) ?
		    json_string_value(line) : "{}", json_is_string(line) ?
		    json_string_length(line) : 2);
	}
	return events;
}

void
handoff_events_read(struct inheritance *inheritance, const json_t *object)
{
	const json_t *states = json_object_get(object, "states");
	const json_t *decimators = json_object_get(object, "decimators");
	struct inherited *each;
	size_t i;

	inheritance->events = read_events(object);
	for (i = 0; i < inheritance->channels; i++) {
		each = &inheritance->channel[i];
		each->told_state = state_word(json_object_get(states,
		    each->name));
	}
	for (i = 0; i < NITEMS(inheritance->told_state); i++)
		inheritance->told_state[i] = state_word(json_array_get(
		    decimators, i));
}

struct events *
handoff_events_take(struct inheritance *inheritance)
{
	struct events *events;

	if (inheritance == NULL || inheritance->events == NULL)
		return events_new();
	events = inheritance->events;
	inheritance->events = NULL;
	return events;
}
