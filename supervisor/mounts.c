/* SPDX-License-Identifier: ISC */
/*
 * The list of mounts, read again when it has changed.  Supervisor only.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <mntent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/mounts.h"

struct entry {
	char		*path;
	enum mount	 mount;
};

static FILE		*list;
static struct entry	*entries;
static size_t		 count;
static unsigned		 readings;

/* A type with a dot is a FUSE file system's own name for itself. */
static enum mount
kind_of(const char *type)
{
	static const char *const remote[] = {"nfs", "nfs4", "cifs", "smb3",
	    "fuse", "fuseblk", "ceph", "9p", "afs", "coda", "ocfs2", "gfs2",
	    "lustre", "beegfs", "pvfs2", "virtiofs", "autofs"};
	size_t i;

	if (strncmp(type, "fuse.", strlen("fuse.")) == 0)
		return MOUNT_REMOTE;
	for (i = 0; i < NITEMS(remote); i++)
		if (strcmp(type, remote[i]) == 0)
			return MOUNT_REMOTE;
	return MOUNT_LOCAL;
}

static void
forget(void)
{
	while (count > 0)
		free(entries[--count].path);
	free(entries);
	entries = NULL;
}

static void
read_list(void)
{
	struct mntent buffer, *entry;
	char line[8192];

	forget();
	readings++;
	rewind(list);
	while ((entry = getmntent_r(list, &buffer, line, sizeof(line))) !=
	    NULL) {
		entries = xgrow(entries, count, sizeof(*entries));
		entries[count].path = xstrdup(entry->mnt_dir);
		entries[count++].mount = kind_of(entry->mnt_type);
	}
}

/* As proc(5) says of it: once after each change. */
static bool
has_changed(void)
{
	struct pollfd fd = {.fd = fileno(list), .events = POLLPRI};

	return poll(&fd, 1, 0) == 1 &&
	    (fd.revents & (POLLPRI | POLLERR)) != 0;
}

/* Reads the list if it is not what is known. */
static void
keep_up(void)
{
	bool known = list != NULL && !has_changed();

	if (list == NULL)
		list = setmntent("/proc/self/mounts", "re");
	if (list != NULL && !known)
		read_list();
}

unsigned
mounts_reading(void)
{
	keep_up();
	return readings;
}

enum mount
mounts_at(const char *path)
{
	size_t i;

	keep_up();
	/* Later ones lie over earlier ones. */
	for (i = count; i-- > 0;)
		if (strcmp(entries[i].path, path) == 0)
			return entries[i].mount;
	return MOUNT_NONE;
}

bool
mounts_is_point(const char *path)
{
	struct statx at, above;
	char *parent;
	bool is;

	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
	    STATX_INO, &at) == -1)
		return false;
#ifdef STATX_ATTR_MOUNT_ROOT
	if ((at.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
		return (at.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
#endif
	/* Before Linux 5.8: one that is bound from the same file system is
	 * not seen. */
	parent = xasprintf("%s/..", path);
	is = statx(AT_FDCWD, parent, AT_NO_AUTOMOUNT, STATX_INO, &above) ==
	    0 && (at.stx_dev_major != above.stx_dev_major ||
	    at.stx_dev_minor != above.stx_dev_minor ||
	    at.stx_ino == above.stx_ino);
	free(parent);
	return is;
}
