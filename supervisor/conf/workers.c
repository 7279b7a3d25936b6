/* SPDX-License-Identifier: ISC */
/*
 * Workers that channels share.  Supervisor only.
 */
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/conf/conf_priv.h"

#define WORKERS_MAX	CHANNELS_MAX

static const struct number_key archive_threads_key = {
	.name = "archive_threads", .min = 1, .max = ARCHIVE_THREADS_MAX,
	.preset = 2,
};

static struct worker_conf *
find(const struct conf *conf, const char *name, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(conf->worker[i].name, name) == 0)
			return &conf->worker[i];
	return NULL;
}

static void
read_one(struct section *section, struct conf *conf)
{
	static const char *const words[] = {"shared", "channel", NULL};
	struct worker_conf *worker = &conf->worker[conf->workers];
	const struct worker_conf *twin;
	struct place place;

	worker->line = section_place(section).line;
	worker->own_threads = section_word(section, "threads", words, 0,
	    NULL) == 1;
	worker->archive_threads = (uint32_t)section_number(section,
	    &archive_threads_key, NULL);
	if (conf_read_name(section, worker->name, &place)) {
		twin = find(conf, worker->name, conf->workers);
		if (twin != NULL)
			problem_error(section->problems, place, "there is a "
			    "worker `%s' already (line %u)", worker->name,
			    twin->line);
		conf->workers++;
	}
	section_close(section);
}

void
conf_read_workers(struct section *top, struct conf *conf)
{
	const struct node *list = section_list(top, "workers", WORKERS_MAX);
	const struct node *item;
	struct section section;

	if (list == NULL)
		return;
	conf->worker = xcalloc(list->children + 1, sizeof(*conf->worker));
	for (item = list->first; item != NULL; item = item->next)
		if (section_item(top, "workers", item, &section))
			read_one(&section, conf);
}

void
conf_read_worker(struct section *section, struct channel_conf *channel,
    struct channel_places *places)
{
	const struct node *node = section_scalar(section, "worker", false);

	if (node == NULL)
		return;
	places->worker = node->place;
	/* What is cut off is no name of a worker. */
	(void)snprintf(channel->worker, sizeof(channel->worker), "%s",
	    node->text);
}

static bool
polls(const struct channel_conf *channel)
{
	size_t i;

	for (i = 0; i < channel->inputs; i++)
		if (channel->listen[i].busy_poll_ns != 0)
			return true;
	return false;
}

/* What cannot be had there, and why; NULL: nothing. */
static const char *
find_conflict(const struct conf *conf, const struct channel_conf *channel)
{
	if (conf_own_users(conf))
		return "its channels have one user, and `user' gives each "
		    "channel its own";
	if (channel->own_thread && channel->uring.enabled != 0)
		return "with `threads: channel' it receives by sockets: leave "
		    "`io_uring' out, or have `threads: shared'";
	if (channel->archive.enabled && channel->archive.cpu >= 0)
		return "its archives share their threads, and so CPUs: leave "
		    "`archive: {cpu}' out";
	if (channel->run.priority > 0)
		return "`priority' is a process's own: leave it out";
	if (!channel->own_thread && channel->run.cpu >= 0)
		return "its channels share a thread, and so a CPU: leave "
		    "`cpu' out, or have `threads: channel'";
	if (!channel->own_thread && polls(channel))
		return "its channels share a thread, which sleeps when none "
		    "has anything: leave `busy_poll' out, or have `threads: "
		    "channel'";
	return NULL;
}

static void
check_one(const struct conf *conf, struct channel_conf *channel,
    struct place place, struct problem_list *problems)
{
	const struct worker_conf *worker = find(conf, channel->worker,
	    conf->workers);
	const char *conflict;

	if (worker == NULL) {
		problem_error(problems, place, "there is no worker `%s' in "
		    "`workers'", channel->worker);
		return;
	}
	channel->own_thread = worker->own_threads;
	channel->archive_threads = worker->archive_threads;
	conflict = find_conflict(conf, channel);
	if (conflict != NULL)
		problem_error(problems, place, "channel `%s' cannot be of "
		    "worker `%s': %s", channel->name, channel->worker,
		    conflict);
}

void
conf_check_workers(struct conf *conf, const struct channel_places *places,
    struct problem_list *problems)
{
	size_t i;

	for (i = 0; i < conf->channels && !problem_enough(problems); i++)
		if (conf->channel[i].worker[0] != '\0')
			check_one(conf, &conf->channel[i], places[i].worker,
			    problems);
}
