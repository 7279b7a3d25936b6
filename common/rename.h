/* SPDX-License-Identifier: ISC */
/*
 * Giving a finished file its name, without ever replacing another one, on any
 * file system.  Any program, any thread.
 *
 * NFS, FUSE and some others have no RENAME_NOREPLACE (renameat2(2)): there the
 * name is another link first, or, without links, is looked for before it is
 * given.
 */
#ifndef MCRELAY_RENAME_H
#define MCRELAY_RENAME_H

#include "common/compiler.h"

/*
 * Renames `old' in one directory to `new' in the same or another of the file
 * system.  0, or -1 with errno: EEXIST when there is such a file, which stays.
 * One that was killed halfway may have left both names to the same file: then
 * the call goes on from there.
 */
int	rename_new(int from, const char *old, int to, const char *new)
	    ATTR_NONNULL;

/* The same by the file system alone, where the system has that: else ENOSYS, or
 * what the file system says that has it not. */
int	rename_exclusive(int from, const char *old, int to, const char *new)
	    ATTR_NONNULL;

#endif /* MCRELAY_RENAME_H */
