/* SPDX-License-Identifier: ISC */
/*
 * Events of channels and processes.  See tell.h.  Supervisor only.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/reload.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

/* Of what is wrong with a configuration. */
#define MESSAGES_MAX	10U

_Static_assert(REASONS <= 64, "struct told has a bit for each");

void
tell_start(struct supervisor *supervisor)
{
	if (!supervisor->taken_over)
		events_add(supervisor, NULL, EVENT_START,
		    json_pack("{s:s, s:i}", "version", PACKAGE_VERSION, "pid",
		    (int)getpid()), "mcrelayd %s starts as process %d",
		    PACKAGE_VERSION, (int)getpid());
}

/*** State. ***/

/* One that is back before anybody could tell has not gone. */
static bool
holds(const struct channel *channel, unsigned reason)
{
	return reason_table[reason].severity == SEVERITY_WAITING ?
	    channel->reasons.of[reason].holds :
	    channel->reasons.of[reason].lasts;
}

void
tell_adopt(struct channel *channel, const char *state)
{
	unsigned i;

	channel->told.state = state;
	for (i = 0; state != NULL && i < REASONS; i++)
		if (channel->reasons.of[i].lasts)
			channel->told.reasons |= UINT64_C(1) << i;
}

void
tell_take_over(struct channel *channel)
{
	const char *how = channel->segment.base == NULL ? "without" :
	    channel->renew ? "after" : "with";

	log_info("channel %s: goes on %s what a killed mcrelayd left",
	    channel->name, how);
	events_add(channel->supervisor, channel, EVENT_TAKE_OVER,
	    json_pack("{s:b}", "memory", channel->segment.base != NULL),
	    "goes on %s what a killed mcrelayd left", how);
	if (channel->segment.base != NULL)
		tell_files_again(channel);
}

static void
tell_reason(struct channel *channel, unsigned reason, bool now)
{
	const struct reason_info *info = &reason_table[reason];
	const char *detail = now ? reasons_detail(channel, reason) :
	    info->meaning;

	events_add(channel->supervisor, channel, EVENT_REASON,
	    json_pack("{s:s, s:b, s:o, s:o}", "reason", info->name,
	    "holds", now,
	    "since", events_time(channel->reasons.of[reason].since_ns),
	    "detail", events_text(detail)),
	    "%s%s: %s", info->name, now ? "" : " is over", detail);
}

static void
tell_reasons(struct channel *channel)
{
	struct told *told = &channel->told;
	uint64_t bit;
	unsigned i;

	for (i = 0; i < REASONS && events_welcome(channel, EVENT_STATE); i++) {
		bit = UINT64_C(1) << i;
		if (holds(channel, i) == ((told->reasons & bit) != 0))
			continue;
		told->reasons ^= bit;
		tell_reason(channel, i, (told->reasons & bit) != 0);
	}
}

/* Those that hold; `text' names them. */
static json_t *
list_reasons(const struct channel *channel, char *text, size_t size)
{
	json_t *array = json_array();
	size_t at = 0;
	unsigned i;

	text[0] = '\0';
	for (i = 0; i < REASONS; i++) {
		if (!channel->reasons.of[i].holds)
			continue;
		json_array_append_new(array, json_string(
		    reason_table[i].name));
		at += (size_t)snprintf(text + at, size - MIN_OF(at, size),
		    "%s%s", at == 0 ? ": " : ", ", reason_table[i].name);
	}
	return array;
}

static json_t *
state_members(const char *state, const char *before, const struct child *child)
{
	return json_pack("{s:s, s:s?, s:i, s:i}", "state", state,
	    "before", before, "pid", (int)child->pid,
	    "restarts", (int)child_restarts(child));
}

void
tell_state(struct channel *channel)
{
	struct told *told = &channel->told;
	const char *state, *before = told->state;
	json_t *members, *reasons;
	char text[256];

	/* One that leaves has no configuration. */
	if (channel->conf == NULL || !events_welcome(channel, EVENT_STATE))
		return;
	state = status_state(channel);
	tell_reasons(channel);
	if ((before != NULL && strcmp(state, before) == 0) ||
	    !events_welcome(channel, EVENT_STATE))
		return;
	told->state = state;
	reasons = list_reasons(channel, text, sizeof(text));
	members = state_members(state, before, &channel->child);
	json_object_set_new(members, "reasons", reasons);
	events_add(channel->supervisor, channel, EVENT_STATE, members,
	    "%s%s%s%s", before != NULL ? before : "", before != NULL ?
	    " -> " : "", state, text);
}

void
tell_end(struct channel *channel)
{
	tell_files_end(channel);
	events_end(channel);
}

void
tell_removed(struct channel *channel)
{
	const char *before = channel->told.state;

	tell_end(channel);
	if (before == NULL)
		return;
	events_add(channel->supervisor, channel, EVENT_STATE,
	    state_members("removed", before, &channel->child),
	    "%s -> removed", before);
}

void
tell_decimator(struct decimator *decimator)
{
	struct supervisor *supervisor = decimator->supervisor;
	const char *state = status_child_state(&decimator->child);
	const char *before = decimator->told_state;
	int number = decimator_number(decimator);
	json_t *members;

	if ((before == NULL ? decimator->child.state == CHILD_STOPPED :
	    strcmp(state, before) == 0) || !events_all_welcome(supervisor))
		return;
	decimator->told_state = state;
	members = state_members(state, before, &decimator->child);
	json_object_set_new(members, "decimator", json_integer(number));
	events_add(supervisor, NULL, EVENT_STATE, members,
	    "decimator %d: %s%s%s", number, before != NULL ? before : "",
	    before != NULL ? " -> " : "", state);
}

/*** Hosts that take turns. ***/

void
tell_turn(struct channel *channel, bool speaks, bool lost)
{
	events_add(channel->supervisor, channel, EVENT_TURN,
	    json_pack("{s:s, s:b}", "role", speaks ? "active" : "standby",
	    "lost", lost), "this host relays it %s%s", speaks ? "now" :
	    "no more", lost ? ": its lease was not renewed in time" : "");
}

void
tell_drain(struct supervisor *supervisor, bool on)
{
	events_add(supervisor, NULL, EVENT_DRAIN, json_pack("{s:b}", "on", on),
	    "%s", on ? "drained: hands over what other hosts can have" :
	    "not drained any more");
}

/*** Deaths. ***/

static json_t *
death_members(const struct child_obituary *obituary)
{
	json_t *members = json_pack("{s:i, s:o, s:b, s:b, s:f}",
	    "pid", (int)obituary->pid,
	    "how", events_text(obituary->how),
	    "asked", obituary->asked,
	    "hung", obituary->hung,
	    "up_s", (double)obituary->up_ns / (double)NS_PER_S);

	if (obituary->words[0] != '\0')
		json_object_set_new(members, "last_words",
		    events_text(obituary->words));
	return members;
}

void
tell_death(void *owner, const struct child_obituary *obituary)
{
	struct channel *channel = owner;

	events_add(channel->supervisor, channel, EVENT_DEATH,
	    death_members(obituary), "process %d %s after %.3f s%s%s",
	    (int)obituary->pid, obituary->how,
	    (double)obituary->up_ns / (double)NS_PER_S,
	    obituary->words[0] != '\0' ? ": " : "", obituary->words);
}

void
tell_decimator_death(void *owner, const struct child_obituary *obituary)
{
	struct decimator *decimator = owner;
	json_t *members = death_members(obituary);
	int number = decimator_number(decimator);

	json_object_set_new(members, "decimator", json_integer(number));
	events_add(decimator->supervisor, NULL, EVENT_DEATH, members,
	    "decimator %d: process %d %s after %.3f s", number,
	    (int)obituary->pid, obituary->how,
	    (double)obituary->up_ns / (double)NS_PER_S);
}

/*** Reload. ***/

static json_t *
messages(const struct conf_problems *problems)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < MIN_OF(problems->count, (size_t)MESSAGES_MAX); i++)
		json_array_append_new(array, events_text(
		    problems->list[i].text));
	return array;
}

void
tell_reload(struct supervisor *supervisor, bool done,
    const struct conf_problems *problems,
    const struct reload_summary *summary)
{
	json_t *members = json_pack("{s:b, s:o}", "ok", done,
	    "messages", messages(problems));

	if (!done) {
		events_add(supervisor, NULL, EVENT_RELOAD, members,
		    "not reloaded: the old configuration stays in force: %s",
		    problems->count > 0 ? problems->list[0].text : "");
		return;
	}
	json_object_update_new(members, json_pack("{s:i, s:i, s:i, s:i}",
	    "unchanged", (int)summary->unchanged,
	    "changed", (int)summary->changed,
	    "added", (int)summary->added, "removed", (int)summary->removed));
	events_add(supervisor, NULL, EVENT_RELOAD, members, "reloaded: "
	    "%zu channels unchanged, %zu changed, %zu added, %zu removed",
	    summary->unchanged, summary->changed, summary->added,
	    summary->removed);
}
