/* SPDX-License-Identifier: ISC */
/*
 * Files in memory, by shm_open(): the name is gone at once.  Any process.
 */
#include <sys/mman.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "common/memory.h"

/* Names that a killed process has left are passed over. */
#define TRIES	100U

int
memory_open(const char *name ATTR_UNUSED)
{
	static _Atomic unsigned number;
	char path[48];
	unsigned i;
	int fd = -1;

	for (i = 0; fd == -1 && i < TRIES; i++) {
		snprintf(path, sizeof(path), "/mcrelay.%ld.%u", (long)getpid(),
		    atomic_fetch_add_explicit(&number, 1,
		    memory_order_relaxed));
		fd = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd == -1 && errno != EEXIST)
			return -1;
	}
	if (fd != -1)
		(void)shm_unlink(path);
	return fd;
}

int
memory_seal(int fd ATTR_UNUSED, unsigned seals ATTR_UNUSED)
{
	return 0;
}

const char *
memory_why_unsafe(int fd ATTR_UNUSED)
{
	return NULL;
}

void
memory_want_huge(void *at ATTR_UNUSED, size_t size ATTR_UNUSED)
{
}

void
memory_populate(void *at ATTR_UNUSED, size_t size ATTR_UNUSED)
{
}
