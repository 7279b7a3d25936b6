/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's life: open everything, start everybody, watch, end in
 * order.  Never touches a datagram; nothing in the loop may block.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_loop.h"
#include "common/udp.h"
#include "common/util.h"
#include "supervisor/capabilities.h"
#include "supervisor/channels.h"
#include "supervisor/control.h"
#include "supervisor/daemon.h"
#include "supervisor/directory.h"
#include "supervisor/events.h"
#include "supervisor/far_file.h"
#include "supervisor/fanout.h"
#include "supervisor/fdstore.h"
#include "supervisor/handoff_events.h"
#include "supervisor/names.h"
#include "supervisor/notify.h"
#include "supervisor/reload.h"
#include "supervisor/report.h"
#include "supervisor/rings.h"
#include "supervisor/room.h"
#include "supervisor/runnable.h"
#include "supervisor/startup.h"
#include "supervisor/segmentation.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

#define PROGRAM		"mcrelayd"

struct conf *
supervisor_load(const struct supervisor *supervisor,
    struct conf_problems *problems)
{
	struct conf *conf = conf_load(supervisor->file, problems);

	if (conf == NULL)
		return NULL;
	if (supervisor->spoils_runs || !udp_sends_runs())
		segmentation_turn_off(conf);
	rings_fit(conf, supervisor->conf, problems);
	if (problems->errors > 0) {
		conf_free(conf);
		return NULL;
	}
	if (supervisor->foreground)
		conf->log_target = LOG_TARGET_STDERR;
	if (supervisor->verbose)
		conf->log_level = LOG_DEBUG;
	return conf;
}

void
supervisor_apply_log(struct supervisor *supervisor)
{
	const struct conf *conf = supervisor->conf;

	/* The launcher says its last words where the log was. */
	spawn_end(&supervisor->spawn);
	/* Until the shell knows how the start went, what goes wrong is said
	 * where it can be seen. */
	if (supervisor->phase == PHASE_STARTING && supervisor->start_pipe != -1)
		log_init(PROGRAM, NULL, LOG_TARGET_STDERR,
		    supervisor->verbose ? LOG_DEBUG : LOG_WARNING);
	else
		log_init(PROGRAM, NULL, conf->log_target, conf->log_level);
	if (supervisor->foreground)
		log_with_times();
}

/*** Turns: what follows from what has happened. ***/

static bool
is_settled(const struct child *child)
{
	return !child->wanted || child->settled;
}

static void
finish_start(struct supervisor *supervisor)
{
	const struct conf *conf = supervisor->conf;
	const struct channel *channel;
	size_t running = 0;
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		if (!is_settled(&supervisor->decimator[i].child))
			return;
	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		if (!is_settled(&channel->child))
			return;
		running += channel->child.state == CHILD_RUNNING ||
		    channel->asleep;
	}
	supervisor->phase = PHASE_RUNNING;
	if (running < conf->channels)
		log_warnx("%zu of %zu channels are not up yet",
		    conf->channels - running, conf->channels);
	if (supervisor->start_pipe != -1)
		daemon_started(supervisor->start_pipe, 0,
		    conf->log_target == LOG_TARGET_STDERR);
	supervisor_apply_log(supervisor);
	supervisor->start_pipe = -1;
	log_info("%s %s runs with %zu channels, as process %d", PROGRAM,
	    PACKAGE_VERSION, conf->channels, (int)getpid());
	notify_ready();
	if (supervisor->taken_over)
		upgrade_taken_over(&supervisor->upgrade);
}

static void
say_status(const struct supervisor *supervisor)
{
	const struct channel *channel;
	size_t running = 0;

	if (supervisor->phase == PHASE_STOPPING || !notify_active())
		return;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		running += channel->child.state == CHILD_RUNNING;
	notify_status("%zu of %zu channels are running", running,
	    supervisor->conf->channels);
}

/* One after the other, as the datums go: the decimators send what the workers
 * have left, and what they have sent is archived.  Nobody waits for the web and
 * the forwarders but we, at last. */
static void
finish_stop(struct supervisor *supervisor)
{
	bool others_gone = web_stop(supervisor);

	others_gone = forwarders_stop(supervisor) && others_gone;
	others_gone = fleet_stop(&supervisor->fleet) && others_gone;
	if (!channels_stop(supervisor, false) ||
	    !TAILQ_EMPTY(&supervisor->leaving) ||
	    !decimators_stop(supervisor) ||
	    !channels_stop(supervisor, true) || !others_gone ||
	    !shared_gone(supervisor))
		return;
	supervisor->ended = true;
	ev_break(supervisor->loop, EVBREAK_ALL);
}

static void
on_turn(struct ev_loop *loop, ev_timer *watcher, int events ATTR_UNUSED)
{
	struct supervisor *supervisor = watcher->data;

	ev_timer_stop(loop, watcher);
	/* All programs that were to be started at once have been. */
	spawn_end(&supervisor->spawn);
	channels_free_leaving(supervisor);
	if (supervisor->phase == PHASE_STARTING)
		finish_start(supervisor);
	else if (supervisor->phase == PHASE_STOPPING)
		finish_stop(supervisor);
	if (supervisor->phase != PHASE_STOPPING)
		fanout_update(supervisor);
	kernel_path_update(supervisor);
	upgrade_turn(&supervisor->upgrade);
	fdstore_update(supervisor);
	say_status(supervisor);
	control_check(supervisor->control);
}

void
supervisor_notice(struct supervisor *supervisor)
{
	if (ev_is_active(&supervisor->turn))
		return;
	ev_timer_set(&supervisor->turn, 0., 0.);
	ev_timer_start(supervisor->loop, &supervisor->turn);
}

static void
on_second(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher,
    int events ATTR_UNUSED)
{
	struct supervisor *supervisor = watcher->data;
	uint64_t now = clock_monotonic_ns();
	struct channel *channel;
	unsigned i;

	silence_second(supervisor, now);
	directory_second(supervisor);
	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		budget_check(channel);
		decimator_measure(channel);
		watch_check(channel);
	}
	room_check(supervisor, true);
	channels_retry(supervisor);
	runnable_second(supervisor);
	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		reasons_tick(channel);
		tell_state(channel);
		tell_files(channel);
	}
	events_second(supervisor);
	for (i = 0; i < NITEMS(supervisor->decimator); i++) {
		watch_check_decimator(&supervisor->decimator[i]);
		tell_decimator(&supervisor->decimator[i]);
	}
	heal_second(&supervisor->heal);
	web_second(supervisor);
	forwarders_second(supervisor);
	fleet_second(&supervisor->fleet);
	if (supervisor->phase != PHASE_STOPPING)
		fanout_update(supervisor);
	kernel_path_update(supervisor);
	xdp_path_update(supervisor);
	/* It may wait for an archive to move again. */
	if (supervisor->upgrade.rolling)
		supervisor_notice(supervisor);
	fdstore_update(supervisor);
	say_status(supervisor);
}

/*** Signals. ***/

static void
begin_stop(struct supervisor *supervisor)
{
	if (supervisor->phase == PHASE_STOPPING)
		return;
	if (supervisor->start_pipe != -1)
		log_warnx("told to end before it was up");
	log_info("%s ends", PROGRAM);
	events_add(supervisor, NULL, EVENT_STOP, NULL, "%s ends", PROGRAM);
	supervisor->phase = PHASE_STOPPING;
	upgrade_cancel(&supervisor->upgrade);
	notify_stopping();
	(void)channels_stop(supervisor, false);
	supervisor_notice(supervisor);
}

void
supervisor_reload(struct supervisor *supervisor)
{
	struct conf_problems problems = {NULL, 0, 0};
	struct reload_summary summary;

	if (upgrade_busy(&supervisor->upgrade)) {
		/* The new image reads it anyway. */
		log_info("reload: not before the upgrade");
		supervisor->upgrade.reload = true;
		return;
	}
	(void)reload(supervisor, &problems, &summary);
	conf_problems_free(&problems);
}

static void
on_signal(struct ev_loop *loop ATTR_UNUSED, ev_signal *watcher,
    int events ATTR_UNUSED)
{
	struct supervisor *supervisor = watcher->data;

	switch (watcher->signum) {
	case SIGTERM:
	case SIGINT:
		begin_stop(supervisor);
		break;
	case SIGHUP:
		if (supervisor->phase != PHASE_STOPPING)
			supervisor_reload(supervisor);
		break;
	case SIGUSR1:
		log_info("rotating all archives");
		channels_rotate(supervisor, NULL);
		break;
	case SIGUSR2:
		if (upgrade_begin(&supervisor->upgrade) == -1)
			log_warnx("no upgrade: %s",
			    supervisor->upgrade.error);
		break;
	}
}

static void
watch(struct supervisor *supervisor)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1,
	    SIGUSR2};
	sigset_t none;
	size_t i;

	for (i = 0; i < NITEMS(signals); i++) {
		ev_signal_init(&supervisor->signal[i], on_signal, signals[i]);
		supervisor->signal[i].data = supervisor;
		ev_signal_start(supervisor->loop, &supervisor->signal[i]);
	}
	ev_timer_init(&supervisor->second, on_second, 1., 1.);
	supervisor->second.data = supervisor;
	ev_timer_start(supervisor->loop, &supervisor->second);
	/* Signals were blocked across the execve; those that came are ours. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*** Start. ***/

static void
prepare(struct supervisor *supervisor, struct conf *conf)
{
	supervisor->conf = conf;
	supervisor->phase = PHASE_STARTING;
	supervisor->started_ns = clock_monotonic_ns();
	TAILQ_INIT(&supervisor->channels);
	TAILQ_INIT(&supervisor->leaving);
	TAILQ_INIT(&supervisor->shared);
	supervisor_apply_log(supervisor);
	signal(SIGPIPE, SIG_IGN);
	startup_raise_limits();
	supervisor->loop = ev_default_loop(EVFLAG_AUTO);
	if (supervisor->loop == NULL)
		fatalx("libev cannot start");
	log_loop_start(supervisor->loop);
	ev_timer_init(&supervisor->turn, on_turn, 0., 0.);
	supervisor->turn.data = supervisor;
	supervisor->events = handoff_events_take(supervisor->inheritance);
	decimators_init(supervisor);
	web_init(supervisor);
	forwarders_init(supervisor);
	fleet_init(&supervisor->fleet, supervisor);
	upgrade_init(&supervisor->upgrade, supervisor);
	notify_init(supervisor->loop);
	supervisor->taken_over = supervisor->inheritance != NULL &&
	    supervisor->inheritance->upgrade;
	tell_start(supervisor);
}

static void
close_all(struct supervisor *supervisor)
{
	struct channel *channel;

	kernel_path_end(supervisor);
	while ((channel = TAILQ_FIRST(&supervisor->channels)) != NULL) {
		TAILQ_REMOVE(&supervisor->channels, channel, link);
		tell_end(channel);
		channel_free(channel);
	}
	xdp_path_end(supervisor);
	shared_done(supervisor);
	decimators_done(supervisor);
	web_done(supervisor);
	forwarders_done(supervisor);
	fleet_done(&supervisor->fleet);
	heal_stop(&supervisor->heal);
	querier_stop(&supervisor->querier);
	control_close(supervisor->control);
	events_free(supervisor->events);
	rundir_close(&supervisor->rundir);
	fdstore_remove_image(&supervisor->images.image[0]);
	images_done(&supervisor->images);
	conf_free(supervisor->conf);
	notify_done(supervisor->loop);
	ev_loop_destroy(supervisor->loop);
}

/* All that has been taken over is in its place; the rest goes. */
static void
start(struct supervisor *supervisor)
{
	struct channel *channel;

	watch(supervisor);
	querier_start(&supervisor->querier, supervisor->loop);
	/* Before anybody else is started. */
	capabilities_reduce(supervisor);
	if (!supervisor->taken_over && supervisor->inheritance != NULL)
		fdstore_remove_unused(supervisor->inheritance);
	inheritance_free(supervisor->inheritance);
	supervisor->inheritance = NULL;
	fanout_update(supervisor);
	TAILQ_FOREACH(channel, &supervisor->leaving, link)
		channel_stop(channel);
	channels_start_new(supervisor);
	decimators_update(supervisor);
	web_second(supervisor);
	forwarders_second(supervisor);
	fleet_second(&supervisor->fleet);
	heal_start(&supervisor->heal, supervisor);
	kernel_path_update(supervisor);
	xdp_path_update(supervisor);
	/* No image has reaped the children that ended during the execve. */
	if (supervisor->taken_over)
		ev_feed_signal_event(supervisor->loop, SIGCHLD);
	supervisor_notice(supervisor);
}

/* The workers notice that we are gone, finish their files, and leave. */
void
supervisor_give_up(void)
{
	log_warnx("the upgrade has failed after all: the workers finish their "
	    "files and end; start mcrelayd again");
	_exit(1);
}

int
supervisor_run(struct supervisor *supervisor, struct conf *conf)
{
	struct conf_problems problems = {NULL, 0, 0};
	int status = 0;

	prepare(supervisor, conf);
	if (startup_open(supervisor, &problems) == -1)
		status = 1;
	report_log(&problems, 0);
	conf_problems_free(&problems);
	if (status != 0 && supervisor->taken_over)
		supervisor_give_up();
	if (status == 0) {
		start(supervisor);
		names_hurry();
		far_file_hurry();
		do {
			ev_run(supervisor->loop, 0);
			if (supervisor->upgrade.step == UPGRADE_DUE)
				upgrade_execute(&supervisor->upgrade);
		} while (!supervisor->ended);
		if (supervisor->incomplete)
			status = 1;
		log_info("%s has ended%s", PROGRAM, status == 0 ? "" :
		    ": not everything that it received is in the archives");
	}
	close_all(supervisor);
	/* Last: a shell that starts another at once finds nothing locked. */
	if (supervisor->start_pipe != -1)
		daemon_started(supervisor->start_pipe, 1, true);
	return status;
}
