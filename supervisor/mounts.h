/* SPDX-License-Identifier: ISC */
/*
 * What is mounted where, as the kernel lists it.  Supervisor only.
 */
#ifndef MCRELAY_MOUNTS_H
#define MCRELAY_MOUNTS_H

#include <stdbool.h>

#include "common/compiler.h"

enum mount {
	MOUNT_NONE,	/* no mount point */
	MOUNT_LOCAL,
	MOUNT_REMOTE,	/* a server's, or another process's (FUSE), which may
			 * take for ever to answer; or one that is mounted when
			 * it is asked for (autofs) */
};

/* What lies uppermost at `path', which has no links in it.  No file system is
 * asked. */
enum mount	mounts_at(const char *path) ATTR_NONNULL;
/* Another number after each change. */
unsigned	mounts_reading(void);
/* Whether something is mounted just there, as its file system says.  May
 * hang. */
bool	mounts_is_point(const char *path) ATTR_NONNULL;

#endif /* MCRELAY_MOUNTS_H */
