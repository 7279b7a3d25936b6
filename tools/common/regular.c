/* SPDX-License-Identifier: ISC */
/*
 * Opening regular files only.  Tools.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/regular.h"

/* What is wrong with it; NULL: nothing. */
static const char *
what_else(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return NULL;
	case S_IFIFO:
		return "a FIFO, not a regular file";
	case S_IFDIR:
		return "a directory, not a regular file";
	case S_IFSOCK:
		return "a socket, not a regular file";
	case S_IFLNK:
		return "a symbolic link, not a regular file";
	case S_IFCHR:
	case S_IFBLK:
		return "a device, not a regular file";
	default:
		return "not a regular file";
	}
}

/* Whether it may be read; sets *why and errno if not. */
static bool
judge(int result, const struct stat *st, const char **why)
{
	*why = result == -1 ? strerror(errno) : what_else(st->st_mode);
	if (result == 0 && *why != NULL)
		errno = EINVAL;
	return *why == NULL;
}

bool
regular_is(int directory, const char *path, int flags, const char **why)
{
	struct stat st;

	return judge(fstatat(directory, path, &st, (flags & O_NOFOLLOW) != 0 ?
	    AT_SYMLINK_NOFOLLOW : 0), &st, why);
}

int
regular_open(int directory, const char *path, int flags, const char **why)
{
	struct stat st;
	int fd, saved;

	/* Before it is opened, which a device may not take lightly; and after,
	 * as it may have been replaced. */
	if (!regular_is(directory, path, flags, why))
		return -1;
	fd = openat(directory, path, O_RDONLY | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC | flags);
	if (fd == -1) {
		*why = strerror(errno);
		return -1;
	}
	if (judge(fstat(fd, &st), &st, why))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

FILE *
regular_fopen(int directory, const char *path, int flags, const char **why)
{
	const int fd = regular_open(directory, path, flags, why);
	FILE *file = fd == -1 ? NULL : fdopen(fd, "r");

	if (file == NULL && fd != -1) {
		*why = strerror(errno);
		close(fd);
	}
	return file;
}
