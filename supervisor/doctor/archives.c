/* SPDX-License-Identifier: ISC */
/*
 * Finds the archives' directories.  See archives.h.
 */
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/capabilities.h"
#include "supervisor/doctor/archives.h"
#include "supervisor/privdrop.h"

/* What look_as_own_user() calls. */
static void	(*own_look)(struct doctor *doctor,
		    const struct archive_view *view);

/* A service may see other mounts than we do. */
static char *
root_of(const struct doctor *doctor)
{
	char *root = xasprintf("/proc/%d/root", (int)facts_pid(doctor));

	if (faccessat(AT_FDCWD, root, X_OK, AT_EACCESS) == 0)
		return root;
	free(root);
	return xstrdup("");
}

static bool
exists(const char *path)
{
	return faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0 ||
	    (errno != ENOENT && errno != ENOTDIR);
}

static char *
part_that_exists(const char *path)
{
	char *part = xstrdup(path), *slash;

	while (!exists(part) && (slash = strrchr(part, '/')) != NULL &&
	    slash > part)
		*slash = '\0';
	return part;
}

void
archives_each(struct doctor *doctor, void (*look)(struct doctor *doctor,
    const struct archive_view *view))
{
	const struct channel_conf *channel;
	char *root = root_of(doctor);
	struct archive_view view;
	size_t i;

	for (i = 0; i < doctor->conf->channels; i++) {
		channel = &doctor->conf->channel[i];
		if (!channel->archive.enabled)
			continue;
		view.channel = channel;
		view.path = xasprintf("%s/%s", channel->archive.directory,
		    channel->name);
		view.seen = xasprintf("%s%s", root, view.path);
		view.there = part_that_exists(view.seen);
		view.exists = strcmp(view.there, view.seen) == 0;
		look(doctor, &view);
		free(view.path);
		free(view.seen);
		free(view.there);
	}
	free(root);
}

/* The way by the daemon's root is not everybody's to pass. */
static void
enter_root(struct archive_view *view)
{
	size_t length = strlen(view->seen) - strlen(view->path);

	view->seen[length] = '\0';
	if (length > 0 && (chroot(view->seen) == -1 || chdir("/") == -1))
		_exit(1);
	view->seen = view->there = view->path;
}

/* For good: each channel's directory is looked at by a process of its own. */
static void
look_as_own_user(struct doctor *doctor, const struct archive_view *view)
{
	struct archive_view own = *view;
	pid_t pid;

	fflush(doctor->out);
	pid = fork();
	if (pid == 0) {
		enter_root(&own);
		if (privdrop_now(&view->channel->user) == 0)
			own_look(doctor, &own);
		fflush(doctor->out);
		_exit(0);
	}
	if (pid != -1)
		(void)waitpid(pid, NULL, 0);
}

bool
archives_each_as_user(struct doctor *doctor, void (*look)(
    struct doctor *doctor, const struct archive_view *view))
{
	const struct conf *conf = doctor->conf;

	if (geteuid() == 0 && conf_own_users(conf)) {
		if (!capable_of_users())
			return false;
		own_look = look;
		archives_each(doctor, look_as_own_user);
		return true;
	}
	if (geteuid() == 0 && conf->decimator_user.uid != 0 &&
	    privdrop_now(&conf->decimator_user) == -1)
		return false;
	archives_each(doctor, look);
	return true;
}
