/* SPDX-License-Identifier: ISC */
/*
 * The events' buffer and those who follow it: bounded, numbered without gaps,
 * and a count of all that is missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "supervisor/events.h"
#include "supervisor/follow.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

#define CHANNELS	100U

static struct supervisor	supervisor;
static struct channel		channels[CHANNELS];
static struct channel_conf	conf;

static int
set_up(void **state ATTR_UNUSED)
{
	unsigned i;

	memset(&supervisor, 0, sizeof(supervisor));
	memset(channels, 0, sizeof(channels));
	supervisor.loop = ev_default_loop(0);
	supervisor.events = events_new();
	TAILQ_INIT(&supervisor.channels);
	for (i = 0; i < CHANNELS; i++) {
		snprintf(channels[i].name, sizeof(channels[i].name), "c%u", i);
		channels[i].supervisor = &supervisor;
		channels[i].conf = &conf;
		TAILQ_INSERT_TAIL(&supervisor.channels, &channels[i], link);
	}
	return 0;
}

static int
tear_down(void **state ATTR_UNUSED)
{
	ev_timer_stop(supervisor.loop, &supervisor.turn);
	events_free(supervisor.events);
	return 0;
}

static struct follower *
follow(const char *since, const char *channel)
{
	json_t *request = json_pack("{s:s, s:s*, s:[s*]}", "command", "events",
	    "since", since, "channels", channel);
	struct follower *follower = NULL;
	json_t *answer = follow_request(&supervisor, request, &follower);

	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_non_null(follower);
	json_decref(answer);
	json_decref(request);
	return follower;
}

static void
assert_refused(const char *since, const char *why)
{
	json_t *request = json_pack("{s:s, s:s}", "command", "events",
	    "since", since);
	struct follower *follower = NULL;
	json_t *answer = follow_request(&supervisor, request, &follower);

	assert_null(follower);
	assert_non_null(strstr(json_string_value(json_object_get(answer,
	    "error")), why));
	json_decref(answer);
	json_decref(request);
}

struct seen {
	uint64_t	last;
	uint64_t	events;
	uint64_t	missed;
	bool		anew;
};

static void
see(struct seen *seen, const char *line, size_t size)
{
	json_t *event = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
	const char *kind = json_string_value(json_object_get(event, "kind"));
	const json_t *missed = json_object_get(event, "missed");

	assert_non_null(kind);
	if (strcmp(kind, "missed") == 0) {
		seen->anew |= json_is_null(missed);
		seen->missed += (uint64_t)json_integer_value(missed);
		seen->last += (uint64_t)json_integer_value(missed);
	} else {
		seen->events++;
		seen->last++;
		assert_int_equal(json_integer_value(json_object_get(event,
		    "number")), seen->last);
	}
	json_decref(event);
}

static void
take_all(struct follower *follower, struct seen *seen)
{
	char *text, *line, *end;
	size_t size;

	while ((text = follow_take(supervisor.events, follower, &size)) !=
	    NULL) {
		assert_true(size <= 64 << 10);
		for (line = text; line < text + size; line = end + 1) {
			end = memchr(line, '\n', (size_t)(text + size - line));
			assert_non_null(end);
			see(seen, line, (size_t)(end - line));
		}
		free(text);
	}
}

/* All channels tell as much as they may; the time for more passes. */
static void
flood(unsigned turns)
{
	unsigned turn, i, k;

	for (turn = 0; turn < turns; turn++) {
		for (i = 0; i < CHANNELS; i++)
			for (k = 0; k < EVENT_RATE; k++)
				events_add(&supervisor, &channels[i],
				    EVENT_STATE, NULL, "%u", turn);
		events_second(&supervisor);
	}
}

static void
is_bounded(void **state ATTR_UNUSED)
{
	const struct events *events = supervisor.events;

	flood(3 * EVENTS_MAX / (CHANNELS * EVENT_RATE));
	assert_true(events->bytes <= EVENTS_BYTES);
	assert_true(events->next - events->oldest <= EVENTS_MAX);
	assert_true(events->next - events->oldest > EVENTS_MAX / 2);
	assert_null(events_get(events, events->oldest - 1));
	assert_null(events_get(events, events->next));
	assert_non_null(events_get(events, events->oldest));
}

static void
who_reads_misses_nothing(void **state ATTR_UNUSED)
{
	struct follower *follower = follow(NULL, NULL);
	struct seen seen = {0};
	unsigned turn;

	for (turn = 0; turn < 30; turn++) {
		flood(1);
		take_all(follower, &seen);
	}
	assert_int_equal(seen.events, 30 * CHANNELS * EVENT_RATE);
	assert_int_equal(seen.missed, 0);
	follow_free(follower);
}

static void
who_does_not_is_told(void **state ATTR_UNUSED)
{
	struct follower *follower = follow(NULL, NULL);
	struct seen seen = {0};
	uint64_t all;

	flood(3 * EVENTS_MAX / (CHANNELS * EVENT_RATE));
	take_all(follower, &seen);
	all = supervisor.events->next - 1;
	assert_true(seen.missed > 0);
	assert_int_equal(seen.events + seen.missed, all);
	assert_int_equal(seen.last, all);
	follow_free(follower);
}

static void
one_that_talks_drives_out_nobody(void **state ATTR_UNUSED)
{
	const struct events *events = supervisor.events;
	struct follower *follower;
	struct seen seen = {0};
	unsigned i;

	events_add(&supervisor, &channels[1], EVENT_STATE, NULL, "first");
	for (i = 0; i < 10 * EVENTS_MAX; i++)
		events_add(&supervisor, &channels[0], EVENT_STATE, NULL,
		    "again");
	assert_int_equal(events->next - 1, 1 + EVENT_BURST);
	assert_non_null(events_get(events, 1));
	/* Nor does it take from its files. */
	assert_false(events_welcome(&channels[0], EVENT_STATE));
	assert_true(events_welcome(&channels[0], EVENT_FILE));
	assert_true(events_welcome(&channels[1], EVENT_STATE));
	events_second(&supervisor);
	assert_int_equal(events->next - 1, 2 + EVENT_BURST);
	follower = follow("0", "c0");
	follower->next = events->next - 1;
	seen.last = events->next - 2;
	take_all(follower, &seen);
	assert_non_null(strstr(events_get(events, events->next - 1)->line,
	    "\"kind\":\"suppressed\",\"channel\":\"c0\""));
	assert_non_null(strstr(events_get(events, events->next - 1)->line,
	    "\"count\":81820}"));
	assert_int_equal(seen.events, 1);
	follow_free(follower);
}

/* Though it may not tell any more. */
static void
who_goes_says_what_is_missing(void **state ATTR_UNUSED)
{
	struct channel *channel = &channels[0];
	const struct events *events = supervisor.events;
	static struct worker_state worker;
	unsigned i;

	for (i = 0; i < EVENT_BURST + 7; i++)
		events_add(&supervisor, channel, EVENT_STATE, NULL, "again");
	channel->told.files.spent = EVENT_BURST;
	worker.finished.published = 20;
	channel->segment.base = (void *)&worker;
	channel->segment.state = &worker;
	channel->told.state = "running";
	tell_removed(channel);
	assert_int_equal(worker.finished.read, 20);
	assert_int_equal(events->next - 1, EVENT_BURST + 3);
	assert_non_null(strstr(events_get(events, EVENT_BURST + 1)->line,
	    "\"count\":7}"));
	assert_non_null(strstr(events_get(events, EVENT_BURST + 2)->line,
	    "\"count\":20,\"of\":\"file\"}"));
	assert_non_null(strstr(events_get(events, EVENT_BURST + 3)->line,
	    "\"state\":\"removed\""));
}

/* Told when it may be. */
static void
a_decimator_is_told_later(void **state ATTR_UNUSED)
{
	struct decimator decimator = {.supervisor = &supervisor};
	struct events *events = supervisor.events;

	tell_decimator(&decimator);
	assert_int_equal(events->next, 1);
	decimator.child.state = CHILD_RUNNING;
	events->budget.spent = EVENT_BURST;
	tell_decimator(&decimator);
	assert_int_equal(events->next, 1);
	events_second(&supervisor);
	tell_decimator(&decimator);
	tell_decimator(&decimator);
	assert_int_equal(events->next, 2);
	assert_non_null(strstr(events_get(events, 1)->line,
	    "\"state\":\"running\",\"before\":null"));
}

static void
since_is_understood(void **state ATTR_UNUSED)
{
	const char *instance = supervisor.events->instance;
	struct follower *follower;
	struct seen seen = {0};
	char id[64];

	flood(1);
	snprintf(id, sizeof(id), "%s:7", instance);
	follower = follow(id, NULL);
	seen.last = 7;
	take_all(follower, &seen);
	assert_int_equal(seen.last, CHANNELS * EVENT_RATE);
	assert_int_equal(seen.missed, 0);
	follow_free(follower);
	seen = (struct seen){0};
	follower = follow("0123456789abcdef:7", NULL);
	take_all(follower, &seen);
	assert_true(seen.anew);
	assert_int_equal(seen.events, CHANNELS * EVENT_RATE);
	follow_free(follower);
	snprintf(id, sizeof(id), "%s:%u", instance,
	    CHANNELS * EVENT_RATE + 1);
	assert_refused(id, "has yet to come");
	assert_refused("7", "has to be the id");
	assert_refused(":", "has to be the id");
	assert_refused("x:18446744073709551615", "has to be the id");
	assert_refused("-1", "has to be the id");
}

static void
a_channel_may_have_gone(void **state ATTR_UNUSED)
{
	json_t *request = json_pack("{s:s, s:[s]}", "command", "events",
	    "channels", "gone");
	struct follower *follower = NULL;
	char id[64];

	json_decref(follow_request(&supervisor, request, &follower));
	assert_null(follower);
	json_object_set_new(request, "since", json_string("0"));
	json_decref(follow_request(&supervisor, request, &follower));
	assert_null(follower);
	json_decref(request);
	flood(1);
	snprintf(id, sizeof(id), "%s:7", supervisor.events->instance);
	follow_free(follow(id, "gone"));
	follow_free(follow(id, "gone.stream"));
}

static void
a_look_is_bounded(void **state ATTR_UNUSED)
{
	json_t *request = json_pack("{s:s, s:s, s:[s, s, s]}", "command",
	    "events", "since", "0", "channels", "c7", "c8", "c7");
	struct follower *follower = NULL;
	uint64_t before, found = 0;
	size_t size;
	char *text;

	json_decref(follow_request(&supervisor, request, &follower));
	json_decref(request);
	assert_non_null(follower);
	assert_int_equal(follower->channels, 2);
	flood(3);
	events_add(&supervisor, &channels[8], EVENT_STOP, NULL, "last");
	for (before = 1; (text = follow_take(supervisor.events, follower,
	    &size)) != NULL; before = follower->next) {
		assert_in_range(follower->next - before, 1, 256);
		while (size-- > 0)
			found += text[size] == '\n';
		free(text);
	}
	assert_int_equal(follower->next, supervisor.events->next);
	assert_int_equal(found, 3 * 2 * EVENT_RATE + 1);
	follow_free(follower);
}

static void
any_bytes_become_a_line(void **state ATTR_UNUSED)
{
	char bytes[4096];
	struct follower *follower = follow(NULL, NULL);
	struct seen seen = {0};
	const struct event *event;
	unsigned i, k;

	for (i = 1; i < 256; i++) {
		memset(bytes, (int)i, sizeof(bytes) - 1);
		bytes[sizeof(bytes) - 1] = '\0';
		events_add(&supervisor, &channels[i % CHANNELS], EVENT_DEATH,
		    json_pack("{s:o, s:o}", "a", events_text(bytes), "b",
		    events_text(bytes)), "%s", bytes);
		event = events_get(supervisor.events,
		    supervisor.events->next - 1);
		assert_true(event->size <= EVENT_LINE_MAX);
		for (k = 0; k + 1 < event->size; k++)
			assert_in_range(event->line[k], ' ', '~');
		assert_int_equal(event->line[event->size - 1], '\n');
	}
	take_all(follower, &seen);
	assert_int_equal(seen.events, 255);
	follow_free(follower);
}

int
main(void)
{
#define MADE(test)							\
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		MADE(is_bounded),
		MADE(who_reads_misses_nothing),
		MADE(who_does_not_is_told),
		MADE(one_that_talks_drives_out_nobody),
		MADE(who_goes_says_what_is_missing),
		MADE(a_decimator_is_told_later),
		MADE(since_is_understood),
		MADE(a_channel_may_have_gone),
		MADE(a_look_is_bounded),
		MADE(any_bytes_become_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
