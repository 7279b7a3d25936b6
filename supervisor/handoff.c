/* SPDX-License-Identifier: ISC */
/*
 * Writes and reads the handoff.  Supervisor only.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/util.h"
#include "supervisor/control.h"
#include "supervisor/handoff_events.h"
#include "supervisor/handoff_health.h"
#include "supervisor/handoff_parts.h"
#include "supervisor/handoff_priv.h"
#include "supervisor/supervisor.h"

/*** Writing. ***/

#define LAYOUT_TEXT_SIZE	17

json_t *
handoff_put_fd(struct handoff *handoff, int fd)
{
	if (fd != -1) {
		handoff->keep = xgrow(handoff->keep, handoff->kept,
		    sizeof(*handoff->keep));
		handoff->keep[handoff->kept++] = fd;
	}
	return json_integer(fd);
}

static json_t *
count(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *
child_json(struct handoff *handoff, const struct child *child)
{
	struct child_image image;

	child_describe(child, &image);
	return json_pack("{s:i, s:o, s:o, s:b, s:b, s:b, s:o, s:o, s:i, s:i, "
	    "s:b, s:b, s:i, s:i, s:i, s:i, s:i, s:s}",
	    "pid", (int)image.pid,
	    "control", handoff_put_fd(handoff, image.messages),
	    "stderr", handoff_put_fd(handoff, image.voice),
	    "wanted", image.wanted, "ending", image.ending,
	    "draining", image.draining,
	    "spawned_ns", count(image.spawned_ns),
	    "ready_ns", count(image.ready_ns),
	    "spawns", (int)image.spawns, "failures", (int)image.failures,
	    "again", image.drain_only, "hosted", image.hosted,
	    "drains", (int)image.drains,
	    "sandbox", (int)image.sandbox,
	    "exited", (int)image.deaths.exited,
	    "signalled", (int)image.deaths.signalled,
	    "hung", (int)image.deaths.hung,
	    "last_exit", image.last_exit);
}

/* Its groups are those of the user in the configuration, if it has any. */
static json_t *
user_json(const struct privdrop *user)
{
	return json_pack("{s:o, s:o}", "uid", count(user->uid),
	    "gid", count(user->gid));
}

static json_t *
channel_json(struct handoff *handoff, const struct channel *channel)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
	    "s:o, s:i, s:i, s:b, s:b, s:i, s:o, s:o, s:o}",
	    "name", channel->name,
	    "user", user_json(&channel->user),
	    "input", handoff_put_fd(handoff,
	    parts_first_input(&channel->parts)),
	    "inputs", handoff_inputs(handoff, channel),
	    "feed", handoff_put_fd(handoff, channel->parts.feed),
	    "segment", handoff_put_fd(handoff, foreign_or_own(channel)),
	    "archive", handoff_put_fd(handoff, channel->parts.archive),
	    "directory", handoff_directory(channel),
	    "sockets", handoff_sockets(handoff, channel),
	    "decimator_event", handoff_put_fd(handoff,
	    channel->decimator_event),
	    "number", count(channel->number),
	    "tap", decimator_number(channel->decimator),
	    "holder", decimator_number(channel->decimator_holder),
	    "leaving", channel->decimator_leaving,
	    "told", channel->decimator_told,
	    "paused", (int)channel->paused,
	    "reasons", health_reasons(channel),
	    "silence", health_silence(channel),
	    "worker", child_json(handoff, &channel->child));
}

/* Of segments: 64 bits, more than a JSON integer holds. */
static void
layout_text(uint64_t layout, char text[static LAYOUT_TEXT_SIZE])
{
	snprintf(text, LAYOUT_TEXT_SIZE, "%016" PRIx64, layout);
}

static json_t *
layout_json(uint64_t layout)
{
	char text[LAYOUT_TEXT_SIZE];

	layout_text(layout, text);
	return json_string(text);
}

static json_t *
images_json(struct handoff *handoff, const struct images *images)
{
	const struct image *each;
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < IMAGES_MAX; i++) {
		each = &images->image[i];
		if (each->layout != 0)
			json_array_append_new(array, json_pack("{s:o, s:o, "
			    "s:o}", "layout", layout_json(each->layout),
			    "daemon", handoff_put_fd(handoff,
			    each->fd[IMAGE_DAEMON]),
			    "worker", handoff_put_fd(handoff,
			    each->fd[IMAGE_WORKER])));
	}
	return array;
}

/* All that have ever been started. */
static json_t *
decimators_json(struct handoff *handoff, const struct supervisor *supervisor)
{
	json_t *array = json_array(), *object;
	size_t i, used = 0;

	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		if (supervisor->decimator[i].child.spawns > 0)
			used = i + 1;
	for (i = 0; i < used; i++) {
		object = child_json(handoff, &supervisor->decimator[i].child);
		json_object_set_new(object, "answers",
		    count(supervisor->decimator[i].answers));
		json_object_set_new(object, "layout", layout_json(
		    supervisor->decimator[i].foreign != 0 ?
		    supervisor->decimator[i].foreign : segment_layout()));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *
state_json(struct handoff *handoff, const struct supervisor *supervisor,
    int client)
{
	json_t *object, *channels = json_array();
	const struct channel *channel;
	char *users = conf_users_text(supervisor->conf);

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		json_array_append_new(channels, channel_json(handoff, channel));
	object = json_pack("{s:i, s:s, s:o, s:o, s:s, s:i, s:i, s:o, s:o, s:o, "
	    "s:o, s:o, s:o, s:o}",
	    "handoff", HANDOFF_VERSION,
	    "version", PACKAGE_VERSION,
	    "layout", layout_json(segment_layout()),
	    "images", images_json(handoff, &supervisor->images),
	    "run_dir", supervisor->rundir.path,
	    "log_target", (int)supervisor->conf->log_target,
	    "log_level", supervisor->conf->log_level,
	    "lock", handoff_put_fd(handoff, supervisor->rundir.lock),
	    "control", handoff_put_fd(handoff,
	    control_socket(supervisor->control)),
	    "client", handoff_put_fd(handoff, client),
	    "next_number", count(supervisor->next_number),
	    "started_ns", count(supervisor->started_ns),
	    "decimators", count(supervisor->decimators),
	    "decimator", decimators_json(handoff, supervisor));
	handoff_put_places(handoff, object);
	json_object_set_new(object, "given_up", count(supervisor->given_up));
	json_object_set_new(object, "drained",
	    count(fleet_drained_since(&supervisor->fleet)));
	json_object_set_new(object, "user", json_string(users));
	free(users);
	json_object_set_new(object, "channels", channels);
	json_object_set_new(object, "queriers",
	    health_queriers(&supervisor->querier));
	json_object_set_new(object, "events",
	    handoff_events_write(supervisor));
	return object;
}

static int
put_text(int fd, const char *text)
{
	size_t size = strlen(text), done = 0;
	ssize_t put;

	while (done < size) {
		put = write(fd, text + done, size - done);
		if (put == -1 && errno != EINTR)
			return -1;
		if (put > 0)
			done += (size_t)put;
	}
	return 0;
}

int
handoff_write(struct handoff *handoff, const struct supervisor *supervisor,
    int client)
{
	int result, saved;
	json_t *object;
	char *text;

	memset(handoff, 0, sizeof(*handoff));
	handoff->fd = memory_open("mcrelay:handoff");
	if (handoff->fd == -1)
		return -1;
	object = state_json(handoff, supervisor, client);
	json_decref(handoff_put_fd(handoff, handoff->fd));
	text = json_dumps(object, JSON_INDENT(1));
	json_decref(object);
	if (text == NULL) {
		/* A run_dir that is not UTF-8. */
		handoff_done(handoff);
		errno = EILSEQ;
		return -1;
	}
	result = put_text(handoff->fd, text);
	free(text);
	if (result == -1) {
		saved = errno;
		handoff_done(handoff);
		errno = saved;
	}
	return result;
}

void
handoff_keep(const struct handoff *handoff, bool on)
{
	size_t i;

	for (i = 0; i < handoff->kept; i++)
		fd_set_cloexec(handoff->keep[i], !on);
}

void
handoff_done(struct handoff *handoff)
{
	close(handoff->fd);
	free(handoff->keep);
	memset(handoff, 0, sizeof(*handoff));
	handoff->fd = -1;
}

/*** Reading. ***/

static uint64_t
get_count(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static bool
get_flag(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

int
handoff_get_fd(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	json_int_t number = json_is_integer(value) ?
	    json_integer_value(value) : -1;

	if (number <= STDERR_FILENO || number > INT32_MAX ||
	    fcntl((int)number, F_SETFD, FD_CLOEXEC) == -1)
		return -1;
	return (int)number;
}

/* Which decimator, or -1. */
static int
get_number(const json_t *object, const char *name)
{
	uint64_t number = get_count(object, name);

	return number < DECIMATORS_MAX ? (int)number : -1;
}

/* A process, or 0: no other number is one to signal or to wait for. */
static pid_t
get_pid(const json_t *object, const char *name)
{
	uint64_t number = get_count(object, name);

	return number <= INT32_MAX ? (pid_t)number : 0;
}

static const char *
get_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

static void
get_child(const json_t *object, struct child_image *image)
{
	image->messages = handoff_get_fd(object, "control");
	image->voice = handoff_get_fd(object, "stderr");
	/* Without it nobody can ask the child anything. */
	image->pid = image->messages != -1 ? get_pid(object, "pid") : 0;
	image->wanted = get_flag(object, "wanted");
	image->ending = get_flag(object, "ending");
	image->draining = get_flag(object, "draining");
	image->spawned_ns = get_count(object, "spawned_ns");
	image->ready_ns = get_count(object, "ready_ns");
	image->spawns = (unsigned)get_count(object, "spawns");
	image->failures = (unsigned)get_count(object, "failures");
	image->drain_only = get_flag(object, "again");
	image->hosted = get_flag(object, "hosted");
	image->drains = (unsigned)get_count(object, "drains");
	image->sandbox = (uint32_t)get_count(object, "sandbox");
	image->deaths = (struct child_deaths){
	    (unsigned)get_count(object, "exited"),
	    (unsigned)get_count(object, "signalled"),
	    (unsigned)get_count(object, "hung")};
	snprintf(image->last_exit, sizeof(image->last_exit), "%s",
	    get_text(object, "last_exit"));
}

static void
get_user(const json_t *object, struct privdrop *user)
{
	uint64_t uid = get_count(object, "uid"), gid = get_count(object, "gid");

	if (uid >= UINT32_MAX || gid >= UINT32_MAX)
		return;
	user->uid = (uid_t)uid;
	user->gid = (gid_t)gid;
}

static void
get_channel(struct inheritance *inheritance, const json_t *object)
{
	struct inherited *each = inheritance_add(inheritance,
	    get_text(object, "name"));

	/* Of two with one name the last is meant. */
	inheritance_drop(each);
	each->input[0].fd = handoff_get_fd(object, "input");
	handoff_get_inputs(each, json_object_get(object, "inputs"));
	each->feed = handoff_get_fd(object, "feed");
	each->segment = handoff_get_fd(object, "segment");
	each->archive = handoff_get_fd(object, "archive");
	handoff_get_directory(each, json_object_get(object, "directory"));
	handoff_get_sockets(each, json_object_get(object, "sockets"));
	each->decimator_event = handoff_get_fd(object, "decimator_event");
	each->number = (uint32_t)get_count(object, "number");
	each->decimator = get_number(object, "tap");
	each->holder = get_number(object, "holder");
	each->leaving = get_flag(object, "leaving");
	each->told = get_flag(object, "told");
	each->paused = (uint32_t)get_count(object, "paused");
	get_user(json_object_get(object, "user"), &each->user);
	get_child(json_object_get(object, "worker"), &each->worker);
	health_get(each, json_object_get(object, "reasons"),
	    json_object_get(object, "silence"));
}

/* 0: not said. */
static uint64_t
get_layout(const json_t *object)
{
	return strtoull(get_text(object, "layout"), NULL, 16);
}

static void
get_images(struct images *images, const json_t *array)
{
	const json_t *each;
	struct image *image;
	uint64_t layout;
	size_t i;

	for (i = 0; i < json_array_size(array); i++) {
		each = json_array_get(array, i);
		layout = get_layout(each);
		if (layout == 0 || images_find(images, layout) != NULL ||
		    (image = images_add(images, layout)) == NULL)
			continue;
		image->fd[IMAGE_DAEMON] = handoff_get_fd(each, "daemon");
		image->fd[IMAGE_WORKER] = handoff_get_fd(each, "worker");
	}
}

static void
get_decimator(struct inheritance *inheritance, size_t i, const json_t *object,
    uint64_t layout)
{
	uint64_t own = get_layout(object);

	get_child(object, &inheritance->decimator[i]);
	inheritance->answers[i] = get_count(object, "answers");
	/* An older image does not say, and has one for all. */
	inheritance->decimator_layout[i] = own != 0 ? own : layout;
}

static struct inheritance *
get_state(const json_t *object)
{
	const json_t *channels = json_object_get(object, "channels");
	const json_t *decimators = json_object_get(object, "decimator");
	struct inheritance *inheritance = inheritance_new();
	size_t i;

	inheritance->upgrade = true;
	inheritance->version = xstrdup(get_text(object, "version"));
	inheritance->run_dir = xstrdup(get_text(object, "run_dir"));
	/* An older image does not say. */
	if (json_is_string(json_object_get(object, "user")))
		inheritance->user = xstrdup(get_text(object, "user"));
	inheritance->log_target = (int)get_count(object, "log_target");
	inheritance->log_level = (int)get_count(object, "log_level");
	inheritance->layout = get_layout(object);
	get_images(&inheritance->images, json_object_get(object, "images"));
	inheritance->lock = handoff_get_fd(object, "lock");
	inheritance->control = handoff_get_fd(object, "control");
	inheritance->client = handoff_get_fd(object, "client");
	inheritance->next_number = (uint32_t)get_count(object,
	    "next_number");
	inheritance->started_ns = get_count(object, "started_ns");
	inheritance->given_up = get_count(object, "given_up");
	inheritance->drained_ns = get_count(object, "drained");
	inheritance->decimators = (unsigned)get_count(object, "decimators");
	for (i = 0; i < MIN_OF(json_array_size(decimators),
	    NITEMS(inheritance->decimator)); i++)
		get_decimator(inheritance, i, json_array_get(decimators, i),
		    get_layout(object));
	handoff_get_places(inheritance, object);
	for (i = 0; i < json_array_size(channels); i++)
		get_channel(inheritance, json_array_get(channels, i));
	health_get_queriers(inheritance, json_object_get(object, "queriers"));
	handoff_events_read(inheritance, json_object_get(object, "events"));
	return inheritance;
}

static json_t *
load(int fd)
{
	json_t *object;
	FILE *stream;

	/* The offset is shared with whoever else reads it. */
	if (lseek(fd, 0, SEEK_SET) == -1 || (fd = dup(fd)) == -1)
		return NULL;
	if ((stream = fdopen(fd, "r")) == NULL) {
		close(fd);
		return NULL;
	}
	object = json_loadf(stream, 0, NULL);
	fclose(stream);
	return object;
}

struct inheritance *
handoff_read(int fd, const char **why)
{
	struct inheritance *inheritance = NULL;
	json_t *object = load(fd);

	if (object == NULL)
		*why = "the handoff cannot be read";
	else if (get_count(object, "handoff") != HANDOFF_VERSION)
		*why = "the handoff has another version than mine: a restart "
		    "is needed";
	else
		inheritance = get_state(object);
	json_decref(object);
	close(fd);
	return inheritance;
}
