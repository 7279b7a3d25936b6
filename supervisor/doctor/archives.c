/* SPDX-License-Identifier: ISC */
/*
 * Finds the archives' directories.  See archives.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

bool
archives_become_user(const struct doctor *doctor)
{
	struct privdrop drop;

	if (geteuid() != 0 || doctor->conf->user == NULL)
		return true;
	if (privdrop_lookup(&drop, doctor->conf->user) == -1)
		return false;
	return drop.uid == 0 || privdrop_now(&drop) == 0;
}
