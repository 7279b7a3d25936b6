/* SPDX-License-Identifier: ISC */
/*
 * Opening what should be a regular file, for reading, where anything may lie:
 * a FIFO would wait for a writer, a device do as it pleases.  Tools.
 */
#ifndef MCRELAY_TOOLS_REGULAR_H
#define MCRELAY_TOOLS_REGULAR_H

#include <stdbool.h>
#include <stdio.h>

#include "common/compiler.h"

/*
 * `path' is relative to `directory' (or AT_FDCWD).  `flags' is O_NOFOLLOW for
 * what was found in a directory that somebody else writes to, or 0 for what
 * the user has named.  Returns a descriptor (close-on-exec), or -1: then *why
 * says why not, and errno is EINVAL when it is there but no regular file.
 */
int	regular_open(int directory, const char *path, int flags,
	    const char **why) ATTR_NONNULL;
/* The same, as a stream. */
FILE	*regular_fopen(int directory, const char *path, int flags,
	    const char **why) ATTR_NONNULL;

/* Whether it would be opened; else *why and errno as above. */
bool	regular_is(int directory, const char *path, int flags,
	    const char **why) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_REGULAR_H */
