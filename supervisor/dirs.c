/* SPDX-License-Identifier: ISC */
/*
 * Makes directories.  Supervisor only.  Never changes one that it did not
 * make, and never follows a symbolic link to hand away what is behind it.
 */
#include <sys/stat.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/dirs.h"

static int
make_one(int at, const char *name, int flags, mode_t mode,
    const struct privdrop *owner)
{
	bool made = mkdirat(at, name, mode) == 0;
	int fd;

	if (!made && errno != EEXIST)
		return -1;
	if (!made || owner == NULL)
		return openat(at, name, flags);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	if (fchown(fd, owner->uid, owner->gid) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Whoever may write to a directory may put a link there in a name's place:
 * only those of root and of ourselves have links that are followed. */
static int
link_flag(int at)
{
	struct stat st;

	if (fstat(at, &st) == 0 &&
	    (st.st_uid == 0 || st.st_uid == geteuid()) &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return 0;
	return O_NOFOLLOW;
}

/* Takes `at' over. */
static int
step(int at, const char *name, int flags, mode_t mode,
    const struct privdrop *owner)
{
	int fd, saved;

	flags |= link_flag(at);
	fd = openat(at, name, flags);
	if (fd == -1 && errno == ENOENT)
		fd = make_one(at, name, flags, mode, owner);
	saved = errno;
	close(at);
	errno = saved;
	return fd;
}

int
dirs_open(const char *path, mode_t mode, const struct privdrop *owner)
{
	char *copy, *name, *next, *save;
	int fd;

	assert(path[0] == '/');
	/* The directories above may be ours to pass but not to read. */
	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	copy = xstrdup(path);
	for (name = strtok_r(copy, "/", &save); name != NULL && fd != -1;
	    name = next) {
		next = strtok_r(NULL, "/", &save);
		fd = step(fd, name, O_DIRECTORY | O_CLOEXEC |
		    (next == NULL ? O_RDONLY : O_PATH), mode, owner);
	}
	free(copy);
	return fd;
}
