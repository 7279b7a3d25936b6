/* SPDX-License-Identifier: ISC */
/*
 * What is mounted where, as the kernel lists it: no file system is asked.
 * Supervisor only.
 */
#ifndef MCRELAY_MOUNTS_H
#define MCRELAY_MOUNTS_H

#include "common/compiler.h"

enum mount {
	MOUNT_NONE,	/* no mount point */
	MOUNT_LOCAL,
	MOUNT_REMOTE,	/* a server's, or another process's (FUSE), which may
			 * take for ever to answer; or one that is mounted when
			 * it is asked for (autofs) */
};

/* What lies uppermost at `path', which has no links in it. */
enum mount	mounts_at(const char *path) ATTR_NONNULL;

#endif /* MCRELAY_MOUNTS_H */
