/* SPDX-License-Identifier: ISC */
/*
 * What a client of /live is told of streams, and all together.  mcrelay-web
 * only.
 */
#include <sys/random.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/live.h"
#include "common/util.h"
#include "web/live_priv.h"

/* Some two seconds. */
#define LATE_ROUNDS	40U
/* Enough at a time; a single datum may make it more. */
#define FILL		((size_t)16 * 1024)

static struct {
	char	epoch[9];
	char	host[65];
} own;

void
live_events_start(void)
{
	uint32_t number = (uint32_t)clock_monotonic_ns();

	(void)!getrandom(&number, sizeof(number), 0);
	snprintf(own.epoch, sizeof(own.epoch), "%08" PRIx32, number);
	if (gethostname(own.host, sizeof(own.host) - 1) == -1)
		own.host[0] = '\0';
}

uint64_t
live_events_number(const char *id)
{
	size_t size = strlen(own.epoch);
	char *end;
	uint64_t number;

	if (strncmp(id, own.epoch, size) != 0 || id[size] != '-' ||
	    id[size + 1] < '0' || id[size + 1] > '9')
		return 0;
	number = strtoull(id + size + 1, &end, 10);
	return *end == '\0' ? number : 0;
}

/*** Events. ***/

static void
end(struct text *text, uint64_t number)
{
	text_printf(text, "\nid: %s-%" PRIu64 "\n\n", own.epoch, number);
}

static void
hello(struct text *text, const struct live *live)
{
	text_puts(text, "retry: 2000\n");
	live_begin(text, "hello");
	text_puts(text, "{\"version\":");
	text_string(text, PACKAGE_VERSION);
	text_puts(text, ",\"host\":");
	text_string(text, own.host);
	text_puts(text, ",\"now\":");
	text_time(text, clock_realtime_ns());
	text_printf(text, ",\"epoch\":\"%s\"}", own.epoch);
	end(text, live->number);
}

/*** Datums. ***/

static void
begin_history(struct live_stream *stream, uint64_t behind, uint64_t from_ns)
{
	const struct history *history = &stream->stream->history;
	struct history_entry entry;

	stream->place = (struct history_place){0, 0};
	(void)history_catch_up(history, &stream->place);
	while (history_look(history, &stream->place, &entry) &&
	    (entry.number <= behind || entry.time_ns < from_ns))
		history_skip(&stream->place, &entry);
}

void
live_place(struct live *live, uint64_t now_ns)
{
	uint64_t from_ns = now_ns - MIN_OF(now_ns, live->since_ns);
	struct live_stream *each;
	size_t i;

	live->placed = true;
	live->live_from = streams_rounds_ago(0);
	for (i = 0; i < live->streams; i++) {
		each = &live->stream[i];
		each->stream = streams_find(each->name);
		if (each->stream != NULL) {
			each->id = each->stream->id;
			begin_history(each, live->behind, from_ns);
		} else
			live->streams_due = true;
	}
}

/* Bytes that have come and it has not been told. */
static uint64_t
lag(const struct live *live)
{
	const struct history *history;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < live->streams; i++) {
		if (live->stream[i].stream == NULL)
			continue;
		history = &live->stream[i].stream->history;
		sum += history->head - MAX_OF(live->stream[i].place.position,
		    history->tail);
	}
	return sum;
}

/* To the newest, and all in between is counted. */
static void
drop(struct live *live)
{
	struct history_entry entry;
	struct live_stream *each;
	const struct history *history;
	size_t i;

	for (i = 0; i < live->streams; i++) {
		each = &live->stream[i];
		if (each->stream == NULL)
			continue;
		history = &each->stream->history;
		live->dropped += history_catch_up(history, &each->place);
		while (history_look(history, &each->place, &entry)) {
			live->dropped += 1 + entry.lost;
			history_skip(&each->place, &entry);
		}
	}
}

/* The stream with the earliest datum, which is *entry; *next is that of the
 * others.  NULL: there is none. */
static struct live_stream *
earliest(struct live *live, struct history_entry *entry, uint64_t *next)
{
	struct live_stream *found = NULL, *each;
	struct history_entry other;
	size_t i;

	*next = UINT64_MAX;
	for (i = 0; i < live->streams; i++) {
		each = &live->stream[i];
		if (each->stream == NULL)
			continue;
		live->dropped += history_catch_up(&each->stream->history,
		    &each->place);
		if (!history_look(&each->stream->history, &each->place,
		    &other))
			continue;
		if (found == NULL || other.number < entry->number) {
			*next = found != NULL ? entry->number : *next;
			*entry = other;
			found = each;
		} else
			*next = MIN_OF(*next, other.number);
	}
	return found;
}

static void
datum(struct live *live, struct text *text, struct live_stream *from,
    const struct history_entry *entry)
{
	static uint8_t data[LIVE_DATUM_MAX];

	live->number = MAX_OF(live->number, entry->number);
	history_take(&from->stream->history, &from->place, entry, data);
	text_puts(text, "[");
	text_time(text, entry->time_ns);
	text_printf(text, ",%" PRIu64, entry->missed);
	layout_print(from->stream->layout, data, entry->size, text);
	text_puts(text, "]");
}

/* Those of one stream that come before others'. */
static void
datums(struct live *live, struct live_stream *from,
    struct history_entry *entry, uint64_t next, struct text *text)
{
	const struct history *history = &from->stream->history;

	if (entry->lost > 0) {
		live_begin(text, "gap");
		text_printf(text, "{\"s\":%" PRIu32 ",\"t\":",
		    from->stream->id);
		text_time(text, entry->time_ns);
		text_printf(text, ",\"missed\":%" PRIu64 "}", entry->lost);
		end(text, live->number);
	}
	live_begin(text, "datums");
	text_printf(text, "{\"s\":%" PRIu32 ",\"d\":[", from->stream->id);
	datum(live, text, from, entry);
	while (text->size < FILL && history_look(history, &from->place,
	    entry) && entry->number <= next && entry->lost == 0) {
		text_puts(text, ",");
		datum(live, text, from, entry);
	}
	text_puts(text, "]}");
	end(text, live->number);
}

/* Much waits, and for so long that it is not what came at once. */
static bool
is_late(const struct live *live, const struct history_entry *entry)
{
	return live->number >= live->live_from &&
	    entry->number < streams_rounds_ago(LATE_ROUNDS) &&
	    lag(live) > LIVE_LAG_MAX;
}

static void
add_datums(struct live *live, struct text *text)
{
	struct live_stream *from;
	struct history_entry entry;
	uint64_t next;

	while (text->size < FILL &&
	    (from = earliest(live, &entry, &next)) != NULL)
		if (is_late(live, &entry))
			drop(live);
		else
			datums(live, from, &entry, next, text);
}

/*** All together. ***/

static bool
has_datums(const struct live *live)
{
	size_t i;

	for (i = 0; i < live->streams; i++)
		if (live->stream[i].stream != NULL &&
		    live->stream[i].place.position <
		    live->stream[i].stream->history.head)
			return true;
	return false;
}

bool
live_has_news(const struct live *live, uint64_t monotonic_ns)
{
	size_t i;

	if (!live->greeted || live->streams_due ||
	    live->overview_due != NULL || live->dropped > 0 || live->ends ||
	    monotonic_ns - live->given_ns >= LIVE_QUIET_NS)
		return true;
	for (i = 0; i < live->channels; i++)
		if (live->channel[i].due != NULL)
			return true;
	return has_datums(live);
}

static void
queue(struct live *live, struct text *text)
{
	if (text == NULL)
		return;
	if (text->size > 0)
		live->queue[live->queued++] = text;
	else
		text_release(text);
}

static void
add_own(struct live *live, struct text *text)
{
	if (!live->greeted)
		hello(text, live);
	live->greeted = true;
	add_datums(live, text);
	if (live->streams_due) {
		live_begin(text, "streams");
		text_puts(text, "{}");
		end(text, live->number);
	}
	live->streams_due = false;
	if (live->dropped > 0) {
		live_begin(text, "dropped");
		text_printf(text, "{\"events\":%" PRIu64 "}", live->dropped);
		end(text, live->number);
	}
	live->dropped = 0;
}

void
live_fill(struct live *live, uint64_t monotonic_ns)
{
	struct text *own_text = text_new();
	size_t i;

	live->queued = live->at = live->sent = 0;
	add_own(live, own_text);
	if (own_text->size == 0 && live->overview_due == NULL &&
	    monotonic_ns - live->given_ns >= LIVE_QUIET_NS)
		text_puts(own_text, ":\n\n");
	queue(live, own_text);
	queue(live, live->overview_due);
	live->overview_due = NULL;
	for (i = 0; i < live->channels; i++) {
		queue(live, live->channel[i].due);
		live->channel[i].due = NULL;
	}
}
