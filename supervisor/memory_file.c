/* SPDX-License-Identifier: ISC */
/*
 * Files in memory.  See memory_file.h.  Supervisor only.
 */
#include <sys/mman.h>
#include <errno.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "supervisor/memory_file.h"

/* Not F_SEAL_SHRINK: that is how it is taken back. */
#define SEALS	(MEMORY_NO_WRITE | MEMORY_NO_GROW)

int
memory_file(const char *name, const void *data, size_t size)
{
	int fd = memory_open(name), saved;

	if (fd == -1)
		return -1;
	errno = ENOSPC;
	if (write(fd, data, size) == (ssize_t)size &&
	    memory_seal(fd, SEALS) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

void
memory_file_take_back(int fd)
{
	if (fd == -1)
		return;
	if (ftruncate(fd, 0) == -1)
		log_debug("a file in memory stays as it is");
	close(fd);
}

void *
memory_file_shared(const char *name, size_t size, int *fd)
{
	void *memory = MAP_FAILED;

	*fd = memory_open(name);
	if (*fd == -1)
		return NULL;
	if (ftruncate(*fd, (off_t)size) == 0 &&
	    memory_seal(*fd, MEMORY_NO_SHRINK | MEMORY_NO_GROW) == 0)
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    *fd, 0);
	if (memory != MAP_FAILED)
		return memory;
	close(*fd);
	*fd = -1;
	return NULL;
}
