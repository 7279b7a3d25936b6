/* SPDX-License-Identifier: ISC */
/*
 * Reload: read and check, compare, open all that is new, then commit.
 * Supervisor only.
 *
 * What is wrong in the file, or what this process has run out of, is found
 * before the commit; a channel that lacks something else waits for it.  What
 * can be opened beside what is open now is opened first; then come the inputs
 * whose address a socket of ours still has, which may fail only if somebody
 * else has it, too.  So no datagram is taken away from a worker before it is
 * all but certain that its successor will come.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/capabilities.h"
#include "supervisor/channels.h"
#include "supervisor/directory.h"
#include "supervisor/fanout.h"
#include "supervisor/fdstore.h"
#include "supervisor/needs.h"
#include "supervisor/notify.h"
#include "supervisor/pause.h"
#include "supervisor/reload.h"
#include "supervisor/report.h"
#include "supervisor/shards.h"
#include "supervisor/sockets.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"
#include "supervisor/users.h"
#include "supervisor/web.h"

/* What is to become of one channel of the new configuration. */
struct step {
	const struct channel_conf *conf;
	struct channel		*channel;
	bool			 added;	/* the channel is new */
	enum conf_change	 change;
	struct parts		 parts;	/* opened for the change */
};

struct plan {
	struct supervisor	*supervisor;
	struct conf		*conf;	/* the new one */
	struct step		*step;
	size_t			 steps;
	struct conf_problems	*problems;
	struct web_files	 web;	/* for mcrelay-web */
};

static void
check_fixed(struct plan *plan)
{
	const struct conf *old = plan->supervisor->conf, *new = plan->conf;
	char *before = conf_users_text(old), *after = conf_users_text(new);

	if (!text_same(old->run_dir, new->run_dir))
		report_error(plan->problems, "%s: run_dir cannot be changed "
		    "from %s to %s by a reload: restart mcrelayd", new->file,
		    old->run_dir, new->run_dir);
	if (strcmp(before, after) != 0)
		report_error(plan->problems, "%s: user cannot be changed by a "
		    "reload: restart mcrelayd", new->file);
	free(before);
	free(after);
}

/* Where nobody could be made somebody else at the start, nobody is now. */
static void
set_users(struct plan *plan)
{
	if (!capable_of_users())
		users_stay(plan->conf);
	else if (plan->problems->errors == 0)
		users_assign(plan->supervisor, plan->conf, plan->problems);
	if (plan->problems->errors == 0)
		capabilities_check(plan->supervisor, plan->conf,
		    plan->problems);
}

/* What waits in the socket of a channel that archives a stream is of its
 * schema. */
static bool
same_input(const struct channel_conf *a, const struct channel_conf *b)
{
	size_t i;

	for (i = 0; i < a->inputs && a->inputs == b->inputs; i++)
		if (!sockets_same_input(&a->listen[i], &b->listen[i]))
			return false;
	return a->inputs == b->inputs &&
	    (!a->archives_stream || conf_same_payload(a, b));
}

/* The parts that have to be opened for a change of an existing channel. */
static unsigned
parts_needed(const struct step *step)
{
	const struct channel *channel = step->channel;

	switch (step->change) {
	case CHANGE_NONE:
		break;
	case CHANGE_STREAMS:
		return PART_STREAMS;
	case CHANGE_WORKER:
		return PART_STREAMS | PART_WORKER;
	case CHANGE_SOCKET:
		/* A stopped channel has none: it gets one when it starts. */
		if (!parts_has_input(&channel->parts) ||
		    same_input(channel->conf, step->conf))
			return PART_STREAMS | PART_WORKER;
		return PART_ALL;
	}
	return 0;
}

static void
prepare(struct plan *plan, struct step *step)
{
	struct supervisor *supervisor = plan->supervisor;
	unsigned needed;

	parts_init(&step->parts);
	step->channel = channels_find(supervisor, step->conf->name);
	if (step->channel == NULL) {
		step->added = true;
		step->channel = channel_new(supervisor, plan->conf,
		    step->conf, plan->problems);
		return;
	}
	step->change = conf_compare(supervisor->conf, step->channel->conf,
	    plan->conf, step->conf);
	needed = parts_needed(step);
	if ((needed & PART_WORKER) != 0) {
		directory_keep(&step->parts, &step->channel->next,
		    step->conf);
		directory_keep(&step->parts, &step->channel->parts,
		    step->conf);
	}
	/* What is the same stays on its socket. */
	if ((needed & PART_INPUT) != 0 && (step->conf->inputs > 1 ||
	    step->channel->parts.inputs > 1)) {
		parts_keep_inputs(&step->parts, step->conf,
		    &step->channel->next);
		parts_keep_inputs(&step->parts, step->conf,
		    &step->channel->parts);
	}
	parts_open(&step->parts, step->conf, needed, plan->problems);
}

/* The parts with this step's new input. */
static struct parts *
input_parts(struct step *step)
{
	return step->added ? &step->channel->parts : &step->parts;
}

static void
share_all(struct plan *plan, bool now)
{
	struct supervisor *supervisor = plan->supervisor;
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		parts_share(&channel->parts, now);
		parts_share(&channel->next, now);
	}
	TAILQ_FOREACH(channel, &supervisor->leaving, link) {
		parts_share(&channel->parts, now);
		parts_share(&channel->next, now);
	}
}

/*
 * A new input may have the address of a socket that goes with this reload.
 * Whatever else has it, the configuration check has excluded, or it is not
 * ours.
 */
static void
bind_rest(struct plan *plan)
{
	struct parts *parts;
	struct step *step;
	size_t i;

	share_all(plan, true);
	for (i = 0; i < plan->steps; i++) {
		step = &plan->step[i];
		parts = input_parts(step);
		if (!parts_unbound(parts))
			continue;
		parts_share(parts, true);
		if (!parts_bind(parts, step->conf, plan->problems))
			parts_leave_inputs(parts, step->conf);
		parts_share(parts, false);
	}
	share_all(plan, false);
}

static void
stage(struct plan *plan)
{
	size_t i;

	plan->steps = plan->conf->channels;
	plan->step = xcalloc(plan->steps, sizeof(*plan->step));
	fanout_expect(plan->supervisor, plan->conf);
	for (i = 0; i < plan->steps; i++) {
		plan->step[i].conf = &plan->conf->channel[i];
		prepare(plan, &plan->step[i]);
	}
	if (plan->problems->errors == 0)
		bind_rest(plan);
}

static void
roll_back(struct plan *plan)
{
	size_t i;

	web_files_close(&plan->web);
	for (i = 0; i < plan->steps; i++) {
		parts_close(&plan->step[i].parts, PART_ALL);
		if (plan->step[i].added)
			channel_free(plan->step[i].channel);
	}
	conf_free(plan->conf);
}

/*** Commit: nothing here can fail. ***/

static void
remove_channel(struct supervisor *supervisor, struct channel *channel)
{
	log_info("channel %s: removed", channel->name);
	pause_forget(channel);
	TAILQ_INSERT_TAIL(&supervisor->leaving, channel, link);
	/* The configuration that the channel points to is about to be freed. */
	channel->conf = NULL;
	if (channel->parts.streams > 0)
		decimator_forget(channel);
	channel_stop(channel);
}

/* Where the inputs are that it is to have. */
static struct parts *
inputs_now(struct step *step)
{
	struct channel *channel = step->channel;

	return (step->parts.have & PART_INPUT) != 0 ? &step->parts :
	    (channel->next.have & PART_INPUT) != 0 ? &channel->next :
	    &channel->parts;
}

static void
commit_step(struct plan *plan, struct step *step,
    struct reload_summary *summary)
{
	struct channel *channel = step->channel;

	if (step->added) {
		log_info("channel %s: added", channel->name);
		summary->added++;
		return;
	}
	if (step->change == CHANGE_NONE)
		summary->unchanged++;
	else
		summary->changed++;
	if (step->change == CHANGE_SOCKET)
		/* Sockets that stay, with what is configured now. */
		parts_adapt(inputs_now(step), step->conf, plan->problems);
	channel_change(channel, step->conf, step->change, &step->parts);
	/* A reload gives everybody another chance. */
	if (channel->child.state == CHILD_FAILED)
		channel_start(channel, plan->problems);
}

/* Puts the channels into the new file's order; what is left over goes. */
static void
sort_channels(struct plan *plan, struct reload_summary *summary)
{
	struct supervisor *supervisor = plan->supervisor;
	struct channel_list rest;
	struct channel *channel;
	size_t i;

	TAILQ_INIT(&rest);
	TAILQ_CONCAT(&rest, &supervisor->channels, link);
	for (i = 0; i < plan->steps; i++) {
		channel = plan->step[i].channel;
		if (!plan->step[i].added)
			TAILQ_REMOVE(&rest, channel, link);
		TAILQ_INSERT_TAIL(&supervisor->channels, channel, link);
	}
	while ((channel = TAILQ_FIRST(&rest)) != NULL) {
		TAILQ_REMOVE(&rest, channel, link);
		remove_channel(supervisor, channel);
		summary->removed++;
	}
}

static void
set_log_level(struct supervisor *supervisor)
{
	struct channel *channel;

	decimators_log_level(supervisor);
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		channel_log_level(channel, supervisor->conf->log_level);
}

/* Before a worker is told that it is to end: what comes from now on waits where
 * its successor will find it. */
static void
route(const struct plan *plan)
{
	struct fanout_user *user = xcalloc(plan->steps + 1, sizeof(*user));
	size_t i;

	for (i = 0; i < plan->steps; i++)
		user[i] = (struct fanout_user){plan->step[i].conf,
		    inputs_now(&plan->step[i])};
	fanout_route(user, plan->steps);
	free(user);
}

/* The channels that archive streams, or those that are not. */
static void
commit_steps(struct plan *plan, struct reload_summary *summary,
    bool stream_archives)
{
	size_t i;

	for (i = 0; i < plan->steps; i++)
		if (plan->step[i].conf->archives_stream == stream_archives)
			commit_step(plan, &plan->step[i], summary);
}

static void
commit(struct plan *plan, struct reload_summary *summary)
{
	struct supervisor *supervisor = plan->supervisor;
	struct conf *old = supervisor->conf;

	supervisor->conf = plan->conf;
	web_stage(supervisor, &plan->web);
	if (old->log_target != plan->conf->log_target ||
	    old->log_level != plan->conf->log_level) {
		supervisor_apply_log(supervisor);
		set_log_level(supervisor);
	}
	route(plan);
	shards_tell(old, plan->conf);
	sort_channels(plan, summary);
	/* Their new sockets are what the decimator is told with the others'
	 * new streams. */
	commit_steps(plan, summary, true);
	commit_steps(plan, summary, false);
	conf_free(old);
	web_reloaded(supervisor);
	forwarders_streams(supervisor);
	forwarders_second(supervisor);
	fleet_second(&supervisor->fleet);
	decimators_update(supervisor);
	channels_start_new(supervisor);
	channels_retry(supervisor);
	kernel_path_update(supervisor);
	xdp_path_update(supervisor);
}

int
reload(struct supervisor *supervisor, struct conf_problems *problems,
    struct reload_summary *summary)
{
	struct plan plan = {.supervisor = supervisor, .problems = problems};
	size_t logged;

	memset(summary, 0, sizeof(*summary));
	log_info("reloading %s", supervisor->file);
	notify_reloading();
	fdstore_settle();
	plan.conf = supervisor_load(supervisor, problems);
	if (plan.conf != NULL) {
		check_fixed(&plan);
		set_users(&plan);
		needs_report(plan.conf, supervisor->conf, problems);
		web_read(plan.conf, &plan.web, problems);
		stage(&plan);
	}
	logged = problems->count;
	report_log(problems, 0);
	if (problems->errors > 0) {
		log_warnx("the old configuration stays in force");
		if (plan.conf != NULL)
			roll_back(&plan);
		tell_reload(supervisor, false, problems, summary);
		free(plan.step);
		notify_ready();
		return -1;
	}
	commit(&plan, summary);
	notify_ready();
	supervisor_notice(supervisor);
	free(plan.step);
	report_log(problems, logged);
	tell_reload(supervisor, true, problems, summary);
	log_info("reloaded: %zu channels unchanged, %zu changed, %zu added, "
	    "%zu removed", summary->unchanged, summary->changed,
	    summary->added, summary->removed);
	return 0;
}
