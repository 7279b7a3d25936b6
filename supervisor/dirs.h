/* SPDX-License-Identifier: ISC */
/*
 * Directories that the supervisor makes: its run directory and the channels'
 * archives.
 */
#ifndef MCRELAY_DIRS_H
#define MCRELAY_DIRS_H

#include <sys/types.h>

#include "common/compiler.h"
#include "supervisor/privdrop.h"

/*
 * Opens the directory `path' (absolute); makes it and the directories above
 * it when they are missing.  What it makes belongs to `owner', unless that is
 * NULL; what exists is left as it is.  A symbolic link is followed only where
 * nobody but root and ourselves can have put it (else: ENOTDIR).  A
 * close-on-exec descriptor, or -1 with errno.
 */
int	dirs_open(const char *path, mode_t mode, const struct privdrop *owner);

#endif /* MCRELAY_DIRS_H */
