/* SPDX-License-Identifier: ISC */
/*
 * Files in memory, which have no name and end with their last descriptor or
 * mapping.  Any process.
 */
#ifndef MCRELAY_MEMORY_H
#define MCRELAY_MEMORY_H

#include <stddef.h>

#include "common/compiler.h"

/* What can be forbidden, for good, to everybody who has one. */
enum memory_seal {
	MEMORY_NO_SHRINK = 1,
	MEMORY_NO_GROW = 2,
	MEMORY_NO_WRITE = 4,
};

/* An empty one, close-on-exec; -1 with errno.  `name' is for who looks into
 * /proc. */
int	memory_open(const char *name) ATTR_NONNULL ATTR_UNUSED_RESULT;
/* Forbids that, and to forbid more.  0, or -1 with errno.  Where the system has
 * no such thing nothing is forbidden, and whoever has a file is trusted not to
 * shrink it under others. */
int	memory_seal(int fd, unsigned seals) ATTR_UNUSED_RESULT;
/* What is wrong with a file that cannot shrink under whoever maps it; NULL:
 * nothing that the system tells. */
const char	*memory_why_unsafe(int fd);

/* Of what is mapped: large pages, if there are; all pages now, if that is to be
 * had. */
void	memory_want_huge(void *at, size_t size) ATTR_NONNULL;
void	memory_populate(void *at, size_t size) ATTR_NONNULL;

#endif /* MCRELAY_MEMORY_H */
