/* SPDX-License-Identifier: ISC */
/*
 * Whether users can execute programs.  See runnable.h.
 */
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/report.h"
#include "supervisor/runnable.h"
#include "supervisor/supervisor.h"

/* Finds the first directory of the path that is closed, if one is; errno is
 * that of the last question. */
static bool
reachable(char *path)
{
	char *slash;
	bool open;

	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
		return true;
	for (slash = strchr(path + 1, '/'); slash != NULL;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		open = faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
		if (!open)
			return false;
		*slash = '/';
	}
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* With his rights and none of ours; also what we may as root goes with the
 * user id. */
static bool
reachable_by(char *path, const struct privdrop *user)
{
	int dumpable = prctl(PR_GET_DUMPABLE), groups, error;
	gid_t group[1024];
	bool result;

	groups = getgroups(NITEMS(group), group);
	if (groups == -1 || setgroups(user->groups, user->group) == -1)
		return reachable(path);
	setfsgid(user->gid);
	setfsuid(user->uid);
	result = reachable(path);
	error = errno;
	setfsuid(geteuid());
	setfsgid(getegid());
	(void)setgroups((size_t)groups, group);
	/* Which the change has taken away. */
	(void)prctl(PR_SET_DUMPABLE, dumpable);
	errno = error;
	return result;
}

bool
runnable(const struct supervisor *supervisor, const char *program,
    const struct privdrop *user, char *why, size_t size)
{
	bool other = user->uid != 0 && user->uid != geteuid();
	const char *directory = supervisor->spawn.directory;
	char path[PATH_MAX];
	int error;

	snprintf(path, sizeof(path), "%s/%s", directory, program);
	if (other ? reachable_by(path, user) : reachable(path))
		return true;
	error = errno;
	/* Of all programs the same, if it is for the way to them. */
	snprintf(why, size, "the configured user cannot execute what is in "
	    "%s: %s: %s", directory, path, strerror(error));
	errno = error;
	return false;
}

void
runnable_check(struct supervisor *supervisor, struct conf_problems *problems,
    bool error)
{
	const struct conf *conf = supervisor->conf;
	char *why = supervisor->not_runnable;
	size_t i, size = sizeof(supervisor->not_runnable);
	bool all = true;

	for (i = 0; all && i < conf->channels; i++)
		all = runnable(supervisor, "mcrelay-worker",
		    &conf->channel[i].user, why, size);
	if (all && runnable(supervisor, "mcrelay-decimator",
	    &conf->decimator_user, why, size))
		return;
	if (error)
		report_error(problems, "%s", why);
	else
		report_warning(problems, "%s; install mcrelay where everybody "
		    "can reach it, or let others through; until then it is "
		    "waited for", why);
}

bool
runnable_worker(struct channel *channel)
{
	struct lack *lack = &channel->program;

	*lack = (struct lack){.program = true};
	if (runnable(channel->supervisor, "mcrelay-worker", &channel->user,
	    lack->detail, sizeof(lack->detail))) {
		channel->supervisor->not_runnable[0] = '\0';
		return true;
	}
	lack->error = errno;
	return false;
}

bool
runnable_child(struct supervisor *supervisor, struct child *child,
    const char *program, const struct privdrop *user)
{
	char why[sizeof(supervisor->not_runnable)];

	if (runnable(supervisor, program, user, why, sizeof(why))) {
		child->held = false;
		return true;
	}
	if (strcmp(why, supervisor->not_runnable) != 0 && !child->held)
		log_warnx("%s waits: %s", child->label, why);
	child->held = true;
	return false;
}

static void
retry(struct supervisor *supervisor, struct child *child,
    const char *program, const struct privdrop *user)
{
	if (child->state != CHILD_WAITING ||
	    !runnable_child(supervisor, child, program, user))
		return;
	log_info("%s: what it waited for is there", child->label);
	child_start(child);
}

void
runnable_second(struct supervisor *supervisor)
{
	const struct conf *conf = supervisor->conf;
	unsigned i;

	if (supervisor->phase == PHASE_STOPPING)
		return;
	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		retry(supervisor, &supervisor->decimator[i].child,
		    "mcrelay-decimator", &conf->decimator_user);
	retry(supervisor, &supervisor->web.child, "mcrelay-web",
	    &conf->web_user);
	for (i = 0; i < NITEMS(supervisor->forwarder); i++)
		retry(supervisor, &supervisor->forwarder[i].child,
		    "mcrelay-forwarder", &conf->decimator_user);
	retry(supervisor, &supervisor->fleet.child, "mcrelay-forwarder",
	    &conf->decimator_user);
}
