/* SPDX-License-Identifier: ISC */
/*
 * Giving a finished file its name.  Any program, any thread.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "common/rename.h"

/* Keeps errno. */
static bool
same_file(int from, const char *old, int to, const char *new)
{
	const int error = errno;
	struct stat a, b;
	bool same;

	same = fstatat(from, old, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstatat(to, new, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	errno = error;
	return same;
}

/* What a file system says that does not have it. */
static bool
is_missing(int error)
{
	return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP ||
	    error == EPERM;
}

/* Only mcrelay makes files of these names: nobody comes between. */
static int
look_and_rename(int from, const char *old, int to, const char *new)
{
	if (faccessat(to, new, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		errno = EEXIST;
	else if (errno == ENOENT)
		return renameat(from, old, to, new);
	return -1;
}

int
rename_new(int from, const char *old, int to, const char *new)
{
	if (rename_exclusive(from, old, to, new) == 0)
		return 0;
	if (errno != EEXIST && !is_missing(errno))
		return -1;
	if (errno != EEXIST && linkat(from, old, to, new, 0) == 0)
		return unlinkat(from, old, 0);
	if (errno == EEXIST)
		return same_file(from, old, to, new) ?
		    unlinkat(from, old, 0) : -1;
	return is_missing(errno) ? look_and_rename(from, old, to, new) : -1;
}
