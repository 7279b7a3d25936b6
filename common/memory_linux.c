/* SPDX-License-Identifier: ISC */
/*
 * Files in memory, by memfd_create().  Any process.
 */
#include <sys/mman.h>
#include <fcntl.h>
#include <stddef.h>

#include "common/memory.h"

int
memory_open(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

int
memory_seal(int fd, unsigned seals)
{
	int kernel = F_SEAL_SEAL;

	kernel |= (seals & MEMORY_NO_SHRINK) != 0 ? F_SEAL_SHRINK : 0;
	kernel |= (seals & MEMORY_NO_GROW) != 0 ? F_SEAL_GROW : 0;
	kernel |= (seals & MEMORY_NO_WRITE) != 0 ? F_SEAL_WRITE : 0;
	return fcntl(fd, F_ADD_SEALS, kernel);
}

const char *
memory_why_unsafe(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals == -1)
		return "not a memory file";
	return (seals & F_SEAL_SHRINK) == 0 ?
	    "not sealed against shrinking" : NULL;
}

void
memory_want_huge(void *at, size_t size)
{
	(void)madvise(at, size, MADV_HUGEPAGE);
}

void
memory_populate(void *at, size_t size)
{
	(void)madvise(at, size, MADV_POPULATE_WRITE);
}
