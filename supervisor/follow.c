/* SPDX-License-Identifier: ISC */
/*
 * Following the events.  See follow.h.  Supervisor only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/shard_name.h"
#include "common/util.h"
#include "supervisor/commands.h"
#include "supervisor/events.h"
#include "supervisor/follow.h"
#include "supervisor/shards.h"
#include "supervisor/supervisor.h"

/* Of lines at once, and what one more line may add. */
#define BATCH_BYTES	(32U << 10)
/* Events that are looked at, at once, by one who does not want them all. */
#define BATCH_EVENTS	256U
/* Room for a line that says what was missed. */
#define MISSED_SIZE	256U

void
follow_free(struct follower *follower)
{
	if (follower == NULL)
		return;
	free(follower->channel);
	free(follower);
}

/*** The request. ***/

/* False: it is no number. */
static bool
read_number(const char *text, uint64_t *number)
{
	size_t digits = strspn(text, "0123456789");

	*number = strtoull(text, NULL, 10);
	return digits > 0 && digits < 20 && text[digits] == '\0';
}

/* Whether it is the id of one of our events. */
static bool
is_ours(const struct events *events, const char *since)
{
	size_t length = strlen(events->instance);

	return strncmp(since, events->instance, length) == 0 &&
	    since[length] == ':';
}

/* NULL: it is understood. */
static json_t *
read_since(const struct events *events, const char *since,
    struct follower *follower)
{
	const char *colon = strchr(since, ':');
	uint64_t number;

	if (!read_number(colon != NULL ? colon + 1 : since, &number) ||
	    (colon == NULL && number != 0))
		return command_error("since has to be the id of an event, or "
		    "0, and not %s", since);
	follower->next = number + 1;
	if (colon == NULL)
		follower->next = events->oldest;
	else if (!is_ours(events, since)) {
		follower->stranger = true;
		follower->next = events->oldest;
	} else if (follower->next > events->next)
		return command_error("event %s has yet to come", since);
	return NULL;
}

/* That a channel can have had, or the archive of one's stream. */
static bool
is_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789"
	    "_-.");

	return length > 0 && length <= CHANNEL_NAME_MAX &&
	    name[length] == '\0';
}

static bool
has_channel(const struct follower *follower, const char *name)
{
	size_t i;

	for (i = 0; i < follower->channels; i++)
		if (shard_name_is_of(name, follower->channel[i]))
			return true;
	return false;
}

/* `gone': one that is no more may be followed as well. */
static json_t *
read_channels(const struct supervisor *supervisor, const json_t *channels,
    bool gone, struct follower *follower)
{
	const char *name;
	size_t i;

	follower->channel = xcalloc(json_array_size(channels) + 1,
	    sizeof(*follower->channel));
	for (i = 0; i < json_array_size(channels); i++) {
		name = json_string_value(json_array_get(channels, i));
		if (name == NULL)
			return command_error("channels has to be an array of "
			    "names");
		if (!shards_exist(supervisor, name) && !(gone && is_name(name)))
			return command_no_channel(supervisor, name);
		if (has_channel(follower, name))
			continue;
		snprintf(follower->channel[follower->channels++],
		    sizeof(*follower->channel), "%s", name);
	}
	return NULL;
}

json_t *
follow_request(const struct supervisor *supervisor, const json_t *request,
    struct follower **follower)
{
	const struct events *events = supervisor->events;
	const char *since = json_string_value(json_object_get(request,
	    "since"));
	struct follower *made = xcalloc(1, sizeof(*made));
	json_t *error = NULL;

	made->next = events->next;
	if (since != NULL)
		error = read_since(events, since, made);
	if (error == NULL)
		error = read_channels(supervisor, json_object_get(request,
		    "channels"), since != NULL && is_ours(events, since),
		    made);
	if (error != NULL) {
		follow_free(made);
		return error;
	}
	*follower = made;
	return json_pack("{s:b, s:s, s:I}", "ok", 1,
	    "instance", events->instance, "next", (json_int_t)made->next);
}

/*** The lines. ***/

/* Who follows a channel follows its shards, which may come and go. */
static bool
concerns(const struct follower *follower, const struct event *event)
{
	return follower->channels == 0 || has_channel(follower,
	    event->channel);
}

/* How many there were before the oldest that is left, of all channels. */
static size_t
put_missed(const struct events *events, struct follower *follower, char *text)
{
	uint64_t missed = events->oldest - follower->next;
	int size;

	if (follower->stranger)
		size = snprintf(text, MISSED_SIZE, "{\"kind\":\"missed\","
		    "\"missed\":null,\"text\":\"mcrelayd was started anew: "
		    "what happened before is not known\"}\n");
	else
		size = snprintf(text, MISSED_SIZE, "{\"kind\":\"missed\","
		    "\"missed\":%" PRIu64 ",\"text\":\"%" PRIu64 " events "
		    "were dropped before they were read\"}\n", missed, missed);
	follower->stranger = false;
	follower->next = events->oldest;
	return (size_t)size;
}

char *
follow_take(const struct events *events, struct follower *follower,
    size_t *size)
{
	const struct event *event;
	char *text;

	uint64_t end = MIN_OF(events->next, MAX_OF(follower->next,
	    events->oldest) + BATCH_EVENTS);

	*size = 0;
	if (follower->next == events->next && !follower->stranger)
		return NULL;
	text = malloc(BATCH_BYTES + EVENT_LINE_MAX + MISSED_SIZE);
	if (text == NULL)
		fatalx("out of memory");
	if (follower->next < events->oldest || follower->stranger)
		*size = put_missed(events, follower, text);
	while (follower->next < end && *size < BATCH_BYTES) {
		event = events_get(events, follower->next++);
		if (!concerns(follower, event))
			continue;
		memcpy(text + *size, event->line, event->size);
		*size += event->size;
	}
	if (*size > 0 || follower->next < events->next)
		return text;
	free(text);
	return NULL;
}
