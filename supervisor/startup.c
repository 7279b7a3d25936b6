/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's start: what it needs of the machine, and all that it opens
 * before it starts anybody.
 */
#include <sys/resource.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/capabilities.h"
#include "supervisor/control.h"
#include "supervisor/fanout.h"
#include "supervisor/fdstore.h"
#include "supervisor/handoff.h"
#include "supervisor/needs.h"
#include "supervisor/orphans.h"
#include "supervisor/report.h"
#include "supervisor/segmentation.h"
#include "supervisor/runnable.h"
#include "supervisor/startup.h"
#include "supervisor/supervisor.h"
#include "supervisor/users.h"

static void
raise_to_hard(__rlimit_resource_t resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(resource, &limit);
}

/* Descriptors and threads for a thousand channels, memory that may be locked;
 * and what children may have of `priority', which only root can grant. */
void
startup_raise_limits(void)
{
	static const struct rlimit nice_limit = {40, 40};
	static const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};

	(void)setrlimit(RLIMIT_NICE, &nice_limit);
	raise_to_hard(RLIMIT_NOFILE);
	raise_to_hard(RLIMIT_NPROC);
	if (setrlimit(RLIMIT_MEMLOCK, &none) == -1)
		raise_to_hard(RLIMIT_MEMLOCK);
}

#define NO_USER	"mcrelayd was started by root, and the configuration does " \
	"not say whom its workers, which read what comes from the network, " \
	"are to run as: add `user: mcrelay', or whom you want; `user: root' " \
	"if it has to be"

static bool
says_nothing(const struct conf *conf)
{
	return conf->user == NULL && conf->user_base == 0;
}

void
startup_warn_user(const struct conf *conf, struct conf_problems *problems)
{
	if (says_nothing(conf) && geteuid() == 0)
		report_warning(problems, "%s", NO_USER);
}

/* Nobody may be made somebody else: that is well if nobody has to be. */
static void
stay(struct conf *conf, struct conf_problems *problems)
{
	uid_t wanted = conf->decimator_user.uid, own = geteuid();

	users_stay(conf);
	if (wanted == own)
		return;
	if (own == 0)
		report_error(problems, "root may not become another user here "
		    "(CAP_SETUID, CAP_SETGID), so workers would be root");
	else if (conf->user_base != 0)
		report_warning(problems, "not started as root: workers do not "
		    "run as users of their own, but all as user id %d",
		    (int)own);
	else
		report_warning(problems, "not started as root: workers do not "
		    "run as user %s but as user id %d", conf->user, (int)own);
}

/* Who is root and is to stay it, or is nobody else, stays as he is. */
static void
set_users(const struct supervisor *supervisor, struct conf_problems *problems)
{
	struct conf *conf = supervisor->conf;

	if (says_nothing(conf) && geteuid() == 0)
		report_error(problems, "%s", NO_USER);
	if (says_nothing(conf))
		return;
	if ((conf->decimator_user.uid != 0 || conf->user_base != 0) &&
	    !capable_of_users())
		stay(conf, problems);
	else
		users_assign(supervisor, conf, problems);
}

static void
check_program(struct supervisor *supervisor, const char *program,
    struct conf_problems *problems)
{
	if (spawn_check(&supervisor->spawn, program) == -1)
		report_error(problems, "cannot execute %s/%s: %s",
		    supervisor->spawn.directory, program, strerror(errno));
}

static void
set_spawning(struct supervisor *supervisor, struct conf_problems *problems)
{
	const char *directory = getenv("MCRELAY_LIBEXECDIR");

	supervisor->spawn.directory = directory != NULL ? directory :
	    PKGLIBEXECDIR;
	check_program(supervisor, "mcrelay-worker", problems);
	check_program(supervisor, "mcrelay-decimator", problems);
	if (supervisor->conf->web.address.ss_family != AF_UNSPEC)
		check_program(supervisor, "mcrelay-web", problems);
	if (conf_forwarders(supervisor->conf) > 0 ||
	    conf_has_leases(supervisor->conf))
		check_program(supervisor, "mcrelay-forwarder", problems);
}

/* Channels and decimators that were inherited but are not configured. */
static void
open_rest(struct supervisor *supervisor, struct inheritance *inheritance)
{
	struct inherited *each;
	struct channel *channel;
	size_t i;

	if (!inheritance->upgrade)
		return;
	for (i = 0; i < inheritance->channels; i++) {
		each = &inheritance->channel[i];
		if (each->taken)
			continue;
		channel = channel_new_leaving(supervisor, each);
		TAILQ_INSERT_TAIL(&supervisor->leaving, channel, link);
	}
	for (i = 0; i < NITEMS(supervisor->decimator); i++) {
		/* It could not read what we tell it of. */
		if (inheritance->decimator[i].pid != 0 &&
		    inheritance->decimator_layout[i] != segment_layout())
			supervisor->decimator[i].foreign =
			    inheritance->decimator_layout[i];
		decimator_adopt(&supervisor->decimator[i],
		    &inheritance->decimator[i],
		    inheritance->answers[i], inheritance->told_state[i]);
	}
	supervisor->decimators = inheritance->decimators;
	supervisor->started_ns = inheritance->started_ns;
	supervisor->given_up = inheritance->given_up;
	fleet_inherit(&supervisor->fleet, inheritance->drained_ns);
	querier_inherit(&supervisor->querier, inheritance->querier,
	    inheritance->queriers);
	inheritance->querier = NULL;
}

static void
open_channels(struct supervisor *supervisor, struct conf_problems *problems)
{
	struct conf *conf = supervisor->conf;
	struct channel *channel;
	size_t i;

	if (supervisor->rundir.unclean)
		orphans_wait(conf, &supervisor->rundir, problems);
	if (supervisor->inheritance != NULL)
		supervisor->next_number =
		    supervisor->inheritance->next_number;
	kernel_path_begin(supervisor);
	fanout_expect(supervisor, conf);
	if (supervisor->inheritance != NULL)
		fanout_inherit(supervisor->inheritance);
	for (i = 0; i < conf->channels; i++) {
		channel = channel_new(supervisor, conf, &conf->channel[i],
		    problems);
		TAILQ_INSERT_TAIL(&supervisor->channels, channel, link);
		parts_leave_inputs(&channel->parts, channel->conf);
	}
	if (supervisor->inheritance != NULL)
		open_rest(supervisor, supervisor->inheritance);
	foreign_settle(supervisor);
}

static int
inherited_lock(struct supervisor *supervisor)
{
	if (supervisor->inheritance == NULL)
		return -1;
	return inheritance_take(&supervisor->inheritance->lock);
}

int
startup_open(struct supervisor *supervisor, struct conf_problems *problems)
{
	set_users(supervisor, problems);
	set_spawning(supervisor, problems);
	(void)capabilities_suffice(supervisor->conf, supervisor->given_up,
	    problems);
	if (problems->errors > 0)
		return -1;
	runnable_check(supervisor, problems, false);
	images_open(&supervisor->images, supervisor->spawn.directory);
	fdstore_image(&supervisor->images.image[0]);
	if (supervisor->inheritance != NULL)
		images_take(&supervisor->images,
		    &supervisor->inheritance->images);
	/* A second instance would only find all addresses in use. */
	if (rundir_open(&supervisor->rundir, supervisor->conf->run_dir,
	    inherited_lock(supervisor), problems) == -1)
		return -1;
	needs_report(supervisor->conf, supervisor->inheritance == NULL ? NULL :
	    supervisor->conf, problems);
	supervisor->control = control_open(supervisor, problems);
	if (supervisor->spoils_runs)
		log_warnx("a run of %u datagrams that is sent at once on "
		    "loopback arrives as something else: all is sent and "
		    "received one by one, as with `segmentation: off'",
		    SEGMENTATION_RUN);
	open_channels(supervisor, problems);
	return problems->errors > 0 ? -1 : 0;
}

int
startup_check_handoff(struct supervisor *supervisor, struct conf *conf)
{
	struct conf_problems problems = {NULL, 0, 0};
	size_t i, errors;

	supervisor->conf = conf;
	set_users(supervisor, &problems);
	set_spawning(supervisor, &problems);
	runnable_check(supervisor, &problems, true);
	supervisor->given_up = supervisor->inheritance->given_up;
	capabilities_check(supervisor, conf, &problems);
	handoff_check(supervisor, conf, &problems);
	/* The last line is the one that is passed on. */
	for (i = 0; i < problems.count; i++)
		if (!problems.list[i].warning)
			fprintf(stderr, "%s\n", problems.list[i].text);
	errors = problems.errors;
	conf_problems_free(&problems);
	conf_free(conf);
	return errors > 0 ? 1 : 0;
}
