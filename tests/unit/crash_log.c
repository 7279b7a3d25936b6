/* SPDX-License-Identifier: ISC */
/*
 * A log of all that a worker asks of the file system.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/crash_log.h"

struct crash_log	*crash_log;

void
crash_log_open(void)
{
	crash_log = mmap(NULL, sizeof(*crash_log), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (crash_log == MAP_FAILED)
		abort();
}

/* Calls and their entries have one order.  NULL: nothing is logged. */
static struct crash_entry *
begin(enum crash_call call, const char *name)
{
	struct crash_entry *entry;
	int expected = 0;

	if (crash_log == NULL || !crash_log->on)
		return NULL;
	while (!atomic_compare_exchange_weak(&crash_log->lock, &expected, 1)) {
		expected = 0;
		sched_yield();
	}
	if (crash_log->count == CRASH_CALLS_MAX)
		abort();
	entry = &crash_log->entry[crash_log->count];
	memset(entry, 0, sizeof(*entry));
	entry->call = call;
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	return entry;
}

static long
end(struct crash_entry *entry, long result, int keep)
{
	if (entry == NULL)
		return result;
	crash_log->count += result >= 0 && keep;
	atomic_store(&crash_log->lock, 0);
	return result;
}

/* Whether the descriptor is a regular file: which one. */
static int
file_of(struct crash_entry *entry, int fd)
{
	struct stat st;

	if (entry == NULL || fstat(fd, &st) == -1)
		return 0;
	entry->inode = st.st_ino;
	if (S_ISDIR(st.st_mode) && entry->call == CRASH_SYNC)
		entry->call = CRASH_SYNC_DIRECTORY;
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
}

static void
add_data(struct crash_entry *entry, const void *data, size_t size)
{
	if (crash_log->used + size > CRASH_DATA_MAX)
		abort();
	memcpy(crash_log->data + crash_log->used, data, size);
	crash_log->used += size;
	entry->size += size;
}

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	struct crash_entry *entry = begin(CRASH_WRITE, "");
	int keep = file_of(entry, fd), i;

	if (keep) {
		entry->offset = (uint64_t)offset;
		entry->data = crash_log->used;
		for (i = 0; i < count; i++)
			add_data(entry, iov[i].iov_base, iov[i].iov_len);
	}
	return end(entry, syscall(SYS_pwritev, fd, iov, count, offset, 0L),
	    keep);
}

/* Of what we write with it, only the catalogue is a file: it appends. */
ssize_t
write(int fd, const void *data, size_t size)
{
	struct crash_entry *entry = begin(CRASH_WRITE, "");
	int keep = file_of(entry, fd);
	struct stat st;

	if (keep && fstat(fd, &st) == 0) {
		entry->offset = (uint64_t)st.st_size;
		entry->data = crash_log->used;
		add_data(entry, data, size);
	}
	return end(entry, syscall(SYS_write, fd, data, size), keep);
}

int
openat(int directory, const char *path, int flags, ...)
{
	struct crash_entry *entry = NULL;
	mode_t mode = 0;
	va_list ap;
	long fd;
	int made;

	va_start(ap, flags);
	if ((flags & O_CREAT) != 0) {
		mode = va_arg(ap, mode_t);
		made = faccessat(directory, path, F_OK, 0) == -1;
		entry = made ? begin(CRASH_CREATE, path) : NULL;
	}
	va_end(ap);
	fd = syscall(SYS_openat, directory, path, flags, mode);
	if (fd >= 0)
		file_of(entry, (int)fd);
	return (int)end(entry, fd, 1);
}

int
ftruncate(int fd, off_t size)
{
	struct crash_entry *entry = begin(CRASH_TRUNCATE, "");
	int keep = file_of(entry, fd);

	if (keep)
		entry->offset = (uint64_t)size;
	return (int)end(entry, syscall(SYS_ftruncate, fd, size), keep);
}

int
fdatasync(int fd)
{
	struct crash_entry *entry = begin(CRASH_SYNC, "");
	int keep = file_of(entry, fd);

	return (int)end(entry, syscall(SYS_fdatasync, fd), keep);
}

int
fsync(int fd)
{
	struct crash_entry *entry = begin(CRASH_SYNC, "");
	int keep = file_of(entry, fd);

	return (int)end(entry, syscall(SYS_fsync, fd), keep);
}

int
renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	struct crash_entry *entry = begin(CRASH_RENAME, old);

	if (entry != NULL)
		snprintf(entry->other_name, CRASH_NAME, "%s", new);
	return (int)end(entry, syscall(SYS_renameat2, from, old, to, new,
	    flags), 1);
}

int
unlinkat(int directory, const char *path, int flags)
{
	struct crash_entry *entry = begin(CRASH_UNLINK, path);

	return (int)end(entry, syscall(SYS_unlinkat, directory, path, flags),
	    1);
}
