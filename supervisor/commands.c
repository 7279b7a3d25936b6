/* SPDX-License-Identifier: ISC */
/*
 * What mcrelayctl can ask for.  Supervisor only.  Commands never block; those
 * that take a while are answered when command_check() finds them done.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nearest.h"
#include "common/util.h"
#include "supervisor/channels.h"
#include "supervisor/commands.h"
#include "supervisor/facts.h"
#include "supervisor/follow.h"
#include "supervisor/json_text.h"
#include "supervisor/pause.h"
#include "supervisor/reload.h"
#include "supervisor/shards.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"

/* What a command gets to see. */
struct call {
	struct supervisor	*supervisor;
	const json_t		*request;
	const char		*name;		/* NULL: none was named */
	struct channel		*channel;	/* NULL: all of its shards */
	struct command_wait	*wait;
};

/* The members of a request. */
enum member {
	MEMBER_COMMAND	= 1,
	MEMBER_CHANNEL	= 2,
	MEMBER_STREAM	= 4,
	MEMBER_SINCE	= 8,
	MEMBER_CHANNELS	= 16,	/* an array */
	MEMBER_PART	= 32,
	MEMBER_LASTING	= 64,	/* true or false */
};

static const struct {
	const char	*name;
	unsigned	 member;
} members[] = {
	{"command",	MEMBER_COMMAND},
	{"channel",	MEMBER_CHANNEL},
	{"stream",	MEMBER_STREAM},
	{"since",	MEMBER_SINCE},
	{"channels",	MEMBER_CHANNELS},
	{"part",	MEMBER_PART},
	{"lasting",	MEMBER_LASTING},
};

struct command {
	const char	*name;
	bool		 channel_needed;
	unsigned	 takes;		/* beside its name */
	json_t		*(*run)(const struct call *call);
};

json_t *
command_error(const char *fmt, ...)
{
	char text[512];
	json_t *answer;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	answer = json_pack("{s:b, s:s}", "ok", 0, "error", text);
	/* Not UTF-8: the client knows what it sent. */
	return answer != NULL ? answer : json_pack("{s:b, s:s}", "ok", 0,
	    "error", "the request is not UTF-8");
}

json_t *
command_no_channel(const struct supervisor *supervisor, const char *name)
{
	const struct channel *channel;
	char hint[NEAREST_HINT_SIZE];
	struct nearest nearest;

	nearest_begin(&nearest, name);
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		nearest_try(&nearest, channel->name);
	return command_error("there is no channel %s%s", name,
	    nearest_hint(&nearest, hint));
}

static json_t *
done(void)
{
	return json_pack("{s:b}", "ok", 1);
}

/* Answer when the channel's next worker is up, or when it has none. */
static json_t *
wait_for(const struct call *call, bool up, unsigned spawns)
{
	struct command_wait *wait = call->wait;

	memcpy(wait->channel, call->channel->name, sizeof(wait->channel));
	wait->up = up;
	wait->spawns = spawns;
	return command_check(call->supervisor, wait);
}

/* Of a thousand channels that is a lot: without a tree of it. */
static json_t *
run_status(const struct call *call)
{
	struct growing *text = &call->wait->text;

	json_text_open(text, NULL, '{');
	json_text_truth(text, "ok", true);
	status_print(text, "status", call->supervisor, call->name);
	json_text_close(text, '}');
	return NULL;
}

static json_t *
start(const struct call *call, unsigned spawns, bool again)
{
	struct conf_problems problems = {NULL, 0, 0};

	if (again)
		shared_pardon(call->channel);
	if (again && call->channel->child.hosted &&
	    call->channel->child.pid != 0)
		shared_restart(call->channel);
	else if (again && call->channel->child.pid != 0)
		child_restart(&call->channel->child, false);
	else
		channel_start(call->channel, &problems);
	conf_problems_free(&problems);
	return wait_for(call, true, spawns);
}

static json_t *
run_restart(const struct call *call)
{
	log_info("channel %s: restart asked for", call->channel->name);
	return start(call, call->channel->child.spawns, true);
}

static json_t *
run_start(const struct call *call)
{
	const struct child *child = &call->channel->child;

	log_info("channel %s: start asked for", call->channel->name);
	if (child->state == CHILD_RUNNING)
		return done();
	/* A start that is under way already will do. */
	return start(call, child->state == CHILD_STARTING ?
	    child->spawns - 1 : child->spawns, false);
}

static json_t *
run_stop(const struct call *call)
{
	log_info("channel %s: stop asked for", call->channel->name);
	channel_stop(call->channel);
	return wait_for(call, false, 0);
}

static json_t *
run_rotate(const struct call *call)
{
	channels_rotate(call->supervisor, call->channel);
	return done();
}

static json_t *
pause_or_resume(const struct call *call, bool on)
{
	char error[PAUSE_ERROR_SIZE];
	const char *part = json_string_value(json_object_get(call->request,
	    "part"));

	if (pause_set(call->channel, part, on, json_is_true(json_object_get(
	    call->request, "lasting")), error) == -1)
		return command_error("%s", error);
	return done();
}

static json_t *
run_pause(const struct call *call)
{
	return pause_or_resume(call, true);
}

static json_t *
run_resume(const struct call *call)
{
	return pause_or_resume(call, false);
}

static json_t *
messages_json(const struct conf_problems *problems)
{
	json_t *array = json_array(), *text;
	size_t i;

	for (i = 0; i < problems->count; i++) {
		text = json_string(problems->list[i].text);
		if (text != NULL)
			json_array_append_new(array, text);
	}
	return array;
}

static json_t *
run_reload(const struct call *call)
{
	struct conf_problems problems = {NULL, 0, 0};
	struct reload_summary summary;
	json_t *answer;

	if (upgrade_busy(&call->supervisor->upgrade))
		return command_error("an upgrade is under way, which reads "
		    "the configuration anew");
	if (reload(call->supervisor, &problems, &summary) == -1)
		answer = command_error("the old configuration stays in "
		    "force");
	else
		answer = json_pack("{s:b, s:{s:i, s:i, s:i, s:i}}", "ok", 1,
		    "summary",
		    "unchanged", (int)summary.unchanged,
		    "changed", (int)summary.changed,
		    "added", (int)summary.added,
		    "removed", (int)summary.removed);
	json_object_set_new(answer, "messages", messages_json(&problems));
	conf_problems_free(&problems);
	return answer;
}

static json_t *
run_schema(const struct call *call)
{
	const struct channel_conf *conf = call->channel->conf;
	const char *stream = json_string_value(json_object_get(call->request,
	    "stream"));
	json_t *answer;
	size_t i;

	for (i = 0; stream != NULL && i < conf->decimates; i++)
		if (strcmp(conf->decimate[i].name, stream) == 0)
			break;
	if (stream != NULL && i == conf->decimates)
		return command_error("channel %s has no stream %s",
		    conf->name, stream);
	if (conf->schema_text == NULL)
		return command_error("channel %s has no schema: its payload "
		    "is raw", conf->name);
	/* A stream of the same shape has the same schema. */
	answer = json_pack("{s:b, s:s}", "ok", 1, "schema",
	    stream != NULL && conf->decimate[i].schema_text != NULL ?
	    conf->decimate[i].schema_text : conf->schema_text);
	return answer != NULL ? answer : command_error("the schema of "
	    "channel %s is not UTF-8", conf->name);
}

static json_t *
run_upgrade(const struct call *call)
{
	struct upgrade *upgrade = &call->supervisor->upgrade;

	if (upgrade_begin(upgrade) == -1)
		return command_error("%s", upgrade->error);
	call->wait->upgrade = true;
	return NULL;
}

static json_t *
check_upgrade(const struct supervisor *supervisor)
{
	const struct upgrade *upgrade = &supervisor->upgrade;

	if (upgrade->step == UPGRADE_FAILED)
		return command_error("%s", upgrade->error);
	if (upgrade->step != UPGRADE_DONE ||
	    supervisor->phase == PHASE_STARTING)
		return NULL;
	return json_pack("{s:b, s:s, s:i}", "ok", 1, "version",
	    PACKAGE_VERSION, "pid", (int)getpid());
}

/* Only where it is: what is in it the client reads itself, since a disk may
 * keep one waiting. */
static json_t *
run_archive(const struct call *call)
{
	const struct channel_conf *conf = call->channel->conf;
	char *path;
	json_t *answer;

	if (!conf->archive.enabled)
		return command_error("channel %s has no archive", conf->name);
	path = xasprintf("%s/%s", conf->archive.directory, conf->name);
	answer = json_pack("{s:b, s:s}", "ok", 1, "directory", path);
	free(path);
	return answer != NULL ? answer : command_error("the directory of "
	    "channel %s is not UTF-8", conf->name);
}

static json_t *
run_events(const struct call *call)
{
	return follow_request(call->supervisor, call->request,
	    &call->wait->follower);
}

/* The client looks at the host itself, which may take its time. */
static json_t *
run_doctor(const struct call *call)
{
	json_t *answer = json_pack("{s:b, s:s, s:o}", "ok", 1, "file",
	    call->supervisor->absolute_file, "facts",
	    facts_json(call->supervisor));

	return answer != NULL ? answer : command_error("the name of the "
	    "configuration file is not UTF-8");
}

static json_t *
run_drain(const struct call *call)
{
	if (!conf_has_leases(call->supervisor->conf))
		return command_error("there is nothing that another host could "
		    "have: no channel has several `hosts', or there is no "
		    "`fleet'");
	fleet_drain(&call->supervisor->fleet, true);
	call->wait->drain = true;
	return fleet_drain_check(&call->supervisor->fleet);
}

static json_t *
run_undrain(const struct call *call)
{
	fleet_drain(&call->supervisor->fleet, false);
	return done();
}

static const struct command commands[] = {
	{"status",	false,	MEMBER_CHANNEL, run_status},
	{"restart",	true,	MEMBER_CHANNEL, run_restart},
	{"start",	true,	MEMBER_CHANNEL, run_start},
	{"stop",	true,	MEMBER_CHANNEL, run_stop},
	{"pause",	true,	MEMBER_CHANNEL | MEMBER_PART | MEMBER_LASTING,
	    run_pause},
	{"resume",	true,	MEMBER_CHANNEL | MEMBER_PART, run_resume},
	{"rotate",	false,	MEMBER_CHANNEL, run_rotate},
	{"reload",	false,	0, run_reload},
	{"schema",	true,	MEMBER_CHANNEL | MEMBER_STREAM, run_schema},
	{"upgrade",	false,	0, run_upgrade},
	{"archive",	true,	MEMBER_CHANNEL, run_archive},
	{"events",	false,	MEMBER_SINCE | MEMBER_CHANNELS, run_events},
	{"doctor",	false,	0, run_doctor},
	{"drain",	false,	0, run_drain},
	{"undrain",	false,	0, run_undrain},
};

static const struct command *
find_command(const char *name)
{
	size_t i;

	for (i = 0; i < NITEMS(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static unsigned
find_member(const char *name)
{
	size_t i;

	for (i = 0; i < NITEMS(members); i++)
		if (strcmp(members[i].name, name) == 0)
			return members[i].member;
	return 0;
}

/* A member that was left out, or taken for none, might mean all channels. */
static json_t *
check_members(const struct command *command, const json_t *request)
{
	unsigned takes = command->takes | MEMBER_COMMAND;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)request, name, value) {
		if ((find_member(name) & takes) == 0)
			return command_error("%s does not take %s",
			    command->name, name);
		if (find_member(name) == MEMBER_CHANNELS) {
			if (!json_is_array(value))
				return command_error("%s has to be an array",
				    name);
		} else if (find_member(name) == MEMBER_LASTING) {
			if (!json_is_boolean(value))
				return command_error("%s has to be true or "
				    "false", name);
		} else if (!json_is_string(value))
			return command_error("%s has to be a string", name);
	}
	return NULL;
}

json_t *
command_run(struct supervisor *supervisor, const json_t *request,
    struct command_wait *wait)
{
	struct call call = {.supervisor = supervisor, .request = request,
	    .wait = wait};
	const struct command *command;
	json_t *answer;
	const char *name;

	if (json_typeof(request) != JSON_OBJECT)
		return command_error("the request is not an object");
	if (json_object_get(request, "command") == NULL)
		return command_error("the request has no command");
	name = json_string_value(json_object_get(request, "command"));
	call.name = json_string_value(json_object_get(request, "channel"));
	if (name == NULL)
		return command_error("command has to be a string");
	if ((command = find_command(name)) == NULL)
		return command_error("there is no command %s in this version",
		    name);
	if ((answer = check_members(command, request)) != NULL)
		return answer;
	if (call.name != NULL) {
		call.channel = channels_find(supervisor, call.name);
		if (call.channel == NULL && (command->run != run_status ||
		    !shards_exist(supervisor, call.name)))
			return (answer = shards_answer(supervisor,
			    call.name)) != NULL ? answer :
			    command_no_channel(supervisor, call.name);
	} else if (command->channel_needed)
		return command_error("%s needs a channel", name);
	if (supervisor->phase == PHASE_STOPPING && command->run != run_status)
		return command_error("mcrelayd is ending");
	return command->run(&call);
}

static json_t *
check_up(const struct channel *channel, unsigned spawns)
{
	const struct child *child = &channel->child;
	const struct lack *lack = channel_lack(channel);

	if (channel->asleep)
		return done();
	if (lack != NULL)
		return command_error("channel %s waits, and starts when it "
		    "can: %s", channel->name, lack->detail);
	if (child->state == CHILD_FAILED || child->state == CHILD_BACKOFF)
		return command_error("the worker of channel %s does not come "
		    "up: it %s", channel->name, child->last_exit[0] != '\0' ?
		    child->last_exit : "cannot be started");
	if (!child->wanted)
		return command_error("channel %s was stopped meanwhile",
		    channel->name);
	if (child->state == CHILD_RUNNING && child->spawns > spawns)
		return done();
	return NULL;
}

json_t *
command_check(struct supervisor *supervisor, const struct command_wait *wait)
{
	struct channel *channel;

	if (wait->upgrade)
		return check_upgrade(supervisor);
	if (wait->drain)
		return fleet_drain_check(&supervisor->fleet);
	channel = channels_find(supervisor, wait->channel);
	if (channel == NULL)
		return command_error("channel %s was removed meanwhile",
		    wait->channel);
	if (wait->up)
		return check_up(channel, wait->spawns);
	if (channel->child.wanted)
		return command_error("channel %s was started meanwhile",
		    channel->name);
	return channel->child.pid == 0 ? done() : NULL;
}
