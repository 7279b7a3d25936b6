/* SPDX-License-Identifier: ISC */
/*
 * Finds the archives' directories.  See archives.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/doctor/archives.h"
#include "supervisor/privdrop.h"

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

/* What `view' has is freed by archives_each(). */
static void
view_fill(struct archive_view *view, const struct channel_conf *channel,
    const char *root)
{
	view->channel = channel;
	view->prefix = root;
	view->path = xasprintf("%s/%s", channel->archive.directory,
	    channel->name);
	view->seen = xasprintf("%s%s", root, view->path);
	view->there = part_that_exists(view->seen);
	view->exists = strcmp(view->there, view->seen) == 0;
	view->below = view->there + MIN_OF(strlen(view->there),
	    strlen(root));
	view->below += strspn(view->below, "/");
	if (view->below[0] == '\0')
		view->below = ".";
}

void
archives_each(struct doctor *doctor, void (*look)(struct doctor *doctor,
    const struct archive_view *view))
{
	const struct channel_conf *channel;
	char *root = root_of(doctor);
	struct archive_view view = {.root = open(root[0] != '\0' ? root : "/",
	    O_PATH | O_DIRECTORY | O_CLOEXEC)};
	size_t i;

	for (i = 0; i < doctor->conf->channels; i++) {
		channel = &doctor->conf->channel[i];
		if (!channel->archive.enabled)
			continue;
		view_fill(&view, channel, root);
		look(doctor, &view);
		free(view.path);
		free(view.seen);
		free(view.there);
	}
	if (view.root != -1)
		close(view.root);
	free(root);
}

bool
archives_become_user(struct doctor *doctor, const struct archive_view *view)
{
	const struct privdrop *user = &view->channel->user;

	if (geteuid() != 0 || user->uid == 0)
		return true;
	if (setgroups(user->groups, user->group) == 0 &&
	    setegid(user->gid) == 0 && seteuid(user->uid) == 0)
		return true;
	doctor_say(doctor, DOCTOR_SKIP, view->channel->name, "nobody can "
	    "become user %s here: %s", archives_user(view->channel),
	    strerror(errno));
	archives_be_self();
	return false;
}

void
archives_be_self(void)
{
	if (seteuid(getuid()) == -1 || setegid(getgid()) == -1)
		fatal("back to user id %u", (unsigned)getuid());
}

const char *
archives_user(const struct channel_conf *channel)
{
	uid_t uid = channel->user.uid != 0 ? channel->user.uid : geteuid();
	const struct passwd *account = getpwuid(uid);
	static char text[32];

	if (account != NULL)
		return account->pw_name;
	snprintf(text, sizeof(text), "%u", (unsigned)uid);
	return text;
}
