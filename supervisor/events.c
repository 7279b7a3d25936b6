/* SPDX-License-Identifier: ISC */
/*
 * The events' buffer.  Supervisor only.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/log.h"
#include "common/printable.h"
#include "common/util.h"
#include "supervisor/events.h"
#include "supervisor/supervisor.h"

#define TEXT_SIZE	512

static const char *const kind_word[EVENT_KIND_COUNT] = {
#define EVENT_WORD(name, word)	[EVENT_##name] = word,
	EVENT_KINDS(EVENT_WORD)
#undef EVENT_WORD
};

struct events *
events_new(void)
{
	struct events *events = xcalloc(1, sizeof(*events));
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		fatal("getrandom");
	snprintf(events->instance, sizeof(events->instance), "%016" PRIx64,
	    number);
	events->oldest = events->next = 1;
	return events;
}

static void
drop_oldest(struct events *events)
{
	struct event **slot = &events->slot[events->oldest % EVENTS_MAX];

	events->bytes -= sizeof(**slot) + (*slot)->size;
	free(*slot);
	*slot = NULL;
	events->oldest++;
}

void
events_free(struct events *events)
{
	if (events == NULL)
		return;
	while (events->oldest < events->next)
		drop_oldest(events);
	free(events);
}

const struct event *
events_get(const struct events *events, uint64_t number)
{
	if (number < events->oldest || number >= events->next)
		return NULL;
	return events->slot[number % EVENTS_MAX];
}

static void
put(struct events *events, const char *channel, const char *line, size_t size)
{
	struct event *event = xcalloc(1, sizeof(*event) + size + 1);

	snprintf(event->channel, sizeof(event->channel), "%s", channel);
	memcpy(event->line, line, size);
	event->line[size] = '\n';
	event->size = size + 1;
	if (events->next - events->oldest == EVENTS_MAX)
		drop_oldest(events);
	events->slot[events->next++ % EVENTS_MAX] = event;
	events->bytes += sizeof(*event) + event->size;
	while (events->bytes > EVENTS_BYTES)
		drop_oldest(events);
}

void
events_restore(struct events *events, const char *line, size_t size)
{
	json_t *object = json_loadb(line, size, 0, NULL);
	const char *channel = json_string_value(json_object_get(object,
	    "channel"));

	put(events, channel != NULL ? channel : "", line,
	    MIN_OF(size, (size_t)EVENT_LINE_MAX));
	json_decref(object);
}

json_t *
events_text(const char *text)
{
	char *clean = printable_copy(text);
	json_t *string = json_string(clean);

	free(clean);
	return string;
}

json_t *
events_time(uint64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / NS_PER_S);
	char text[40];
	struct tm tm;
	size_t length;

	if (gmtime_r(&seconds, &tm) == NULL)
		return json_null();
	length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + length, sizeof(text) - length, ".%06uZ",
	    (unsigned)(realtime_ns % NS_PER_S / NS_PER_US));
	return json_string(text);
}

/* Whether there is more to be told; counts what is not. */
static bool
spend(struct event_budget *budget)
{
	if (budget->spent >= EVENT_BURST) {
		budget->suppressed++;
		return false;
	}
	budget->spent++;
	return true;
}

/* Files come on top: those who wait for them miss none because a worker does
 * not come up. */
static struct event_budget *
budget_of(struct events *events, struct channel *channel, enum event_kind kind)
{
	if (channel == NULL)
		return &events->budget;
	return kind == EVENT_FILE ? &channel->told.files :
	    &channel->told.budget;
}

bool
events_welcome(struct channel *channel, enum event_kind kind)
{
	struct events *events = channel->supervisor->events;

	return events != NULL && budget_of(events, channel, kind)->spent <
	    EVENT_BURST;
}

bool
events_all_welcome(const struct supervisor *supervisor)
{
	const struct events *events = supervisor->events;

	return events != NULL && events->budget.spent < EVENT_BURST;
}

static json_t *
make_event(const struct events *events, const char *channel,
    enum event_kind kind, const char *text)
{
	char id[INSTANCE_SIZE + 24];

	snprintf(id, sizeof(id), "%s:%" PRIu64, events->instance,
	    events->next);
	return json_pack("{s:s, s:I, s:o, s:s, s:s*, s:o}",
	    "id", id,
	    "number", (json_int_t)events->next,
	    "time", events_time(clock_realtime_ns()),
	    "kind", kind_word[kind],
	    "channel", channel[0] != '\0' ? channel : NULL,
	    "text", events_text(text));
}

static void
write_event(struct events *events, const char *channel, enum event_kind kind,
    json_t *members, const char *text)
{
	json_t *event = make_event(events, channel, kind, text);
	const size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII;
	char line[EVENT_LINE_MAX];
	size_t size;

	if (event == NULL)
		fatalx("out of memory");
	if (members != NULL)
		json_object_update_missing(event, members);
	size = json_dumpb(event, line, sizeof(line) - 1, flags);
	if (size == 0 || size >= sizeof(line)) {
		json_decref(event);
		event = make_event(events, channel, kind, text);
		json_object_set_new(event, "cut_off", json_true());
		size = json_dumpb(event, line, sizeof(line) - 1, flags);
	}
	json_decref(event);
	put(events, channel, line, MIN_OF(size, sizeof(line) - 1));
}

void
events_add(struct supervisor *supervisor, struct channel *channel,
    enum event_kind kind, json_t *members, const char *fmt, ...)
{
	struct events *events = supervisor->events;
	char text[TEXT_SIZE];
	va_list ap;

	if (events != NULL && spend(budget_of(events, channel, kind))) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		write_event(events, channel != NULL ? channel->name : "", kind,
		    members, text);
		supervisor_notice(supervisor);
	}
	json_decref(members);
}

static void
refill(struct supervisor *supervisor, struct channel *channel,
    struct event_budget *budget)
{
	bool files = channel != NULL && budget == &channel->told.files;
	uint64_t suppressed = MIN_OF(budget->suppressed, (uint64_t)INT64_MAX);

	budget->spent -= MIN_OF(budget->spent, EVENT_RATE);
	if (suppressed == 0 || budget->spent >= EVENT_BURST)
		return;
	budget->suppressed = 0;
	events_add(supervisor, channel, EVENT_SUPPRESSED,
	    json_pack("{s:I, s:s*}", "count", (json_int_t)suppressed,
	    "of", files ? "file" : NULL),
	    "%" PRIu64 " %s were too many to be told", suppressed,
	    files ? "files" : "events");
}

void
events_end(struct channel *channel)
{
	if (channel->supervisor->events == NULL)
		return;
	channel->told.budget.spent = channel->told.files.spent = 0;
	refill(channel->supervisor, channel, &channel->told.budget);
	refill(channel->supervisor, channel, &channel->told.files);
}

void
events_second(struct supervisor *supervisor)
{
	struct channel *channel;

	refill(supervisor, NULL, &supervisor->events->budget);
	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		refill(supervisor, channel, &channel->told.budget);
		refill(supervisor, channel, &channel->told.files);
	}
}
