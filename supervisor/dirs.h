/* SPDX-License-Identifier: ISC */
/*
 * Directories that the supervisor makes: its run directory and the channels'
 * archives.
 */
#ifndef MCRELAY_DIRS_H
#define MCRELAY_DIRS_H

#include <sys/types.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/privdrop.h"

enum dirs_reach {
	DIRS_NEAR,	/* EREMOTE rather than ask a file system that may never
			 * answer (mounts.h) */
	DIRS_ANY,
};

/*
 * Opens the directory `path' (absolute); makes it and the directories above
 * it when they are missing.  What it makes belongs to `owner' (uid 0: to us),
 * of the directories above it only if `all' is to; what exists is left as it
 * is.  A symbolic link is followed only where nobody but root and ourselves
 * can have put it (else: ENOTDIR).  A close-on-exec descriptor, or -1 with
 * errno.
 */
int	dirs_open(const char *path, mode_t mode,
	    const struct privdrop *owner, bool all, enum dirs_reach reach)
	    ATTR_NONNULL;
/* Whether dirs_open() would open the directory that `fd' is; makes nothing.
 * If not, errno says why: ENOENT: it would open another. */
bool	dirs_leads_to(const char *path, int fd, enum dirs_reach reach)
	    ATTR_NONNULL;
/* False: to look there may take for ever. */
bool	dirs_is_near(const char *path) ATTR_NONNULL;

/*
 * The same for a directory whose names nobody else may change: it and those
 * above it, links resolved, belong to root or to us, and neither their group
 * nor others may write there (but above it where the sticky bit is set).
 * -1 with errno, and `*why' (NULL: see errno; else to be freed) says which
 * directory is not like that, and what to do.
 */
int	dirs_open_own(const char *path, mode_t mode, char **why)
	    ATTR_NONNULL;

/*
 * Locks a directory that was opened, for as long as a descriptor that was
 * duplicated or inherited from `fd' is open in any process.  0, or -1 with
 * errno.  EBUSY: somebody else has; `*holder' is the process that took the
 * lock, or 0 when that has ended or is not known.
 */
int	dirs_lock(int fd, pid_t *holder) ATTR_NONNULL;

#endif /* MCRELAY_DIRS_H */
