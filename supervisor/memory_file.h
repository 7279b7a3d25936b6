/* SPDX-License-Identifier: ISC */
/*
 * Files in memory that tell a child something, and memory that is shared with
 * one.  Supervisor only.
 *
 * Memory of such a file is no process's: nobody sees who has so much of it.  So
 * whoever gets one may neither change it nor make it grow, and we can have its
 * memory back while a child still has it open.
 */
#ifndef MCRELAY_MEMORY_FILE_H
#define MCRELAY_MEMORY_FILE_H

#include <stddef.h>

#include "common/compiler.h"

/* A file that has this in it; close-on-exec.  -1 with errno. */
int	memory_file(const char *name, const void *data, size_t size)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;
/* Closes it; who has it open finds it empty.  -1: does nothing. */
void	memory_file_take_back(int fd);

/* Memory that a child writes to as we do, of a size that nobody can change; all
 * zeros.  NULL with errno, and `fd' is -1. */
void	*memory_file_shared(const char *name, size_t size, int *fd)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;

#endif /* MCRELAY_MEMORY_FILE_H */
