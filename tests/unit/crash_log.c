/* SPDX-License-Identifier: ISC */
/*
 * A log of all that a worker asks of the file system.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_URING
#include <liburing.h>
#endif

#include "tests/unit/crash_log.h"

#define PAGE	4096U
#define MAPS	4U
#define FILES	256

struct crash_log	*crash_log;

/* The writable maps of files of this process, and what was in them. */
static struct {
	uint8_t		*at;		/* NULL: none */
	size_t		 length;
	int		 fd;
	uint64_t	 inode;
	off_t		 offset;
	size_t		 seen;
	uint8_t		 shadow[CRASH_MAP_MAX];
} map[MAPS];

/* Descriptors that write past the page cache. */
static _Atomic int	unbuffered[FILES];

void
crash_log_open(void)
{
	crash_log = mmap(NULL, sizeof(*crash_log), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (crash_log == MAP_FAILED)
		abort();
}

static struct crash_entry *
next_entry(enum crash_call call, const char *name)
{
	struct crash_entry *entry;

	if (crash_log->count == CRASH_CALLS_MAX)
		abort();
	entry = &crash_log->entry[crash_log->count];
	memset(entry, 0, sizeof(*entry));
	entry->call = call;
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	return entry;
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

/* What has been stored to a page since the last look. */
static void
look_at_page(unsigned m, size_t page, size_t size)
{
	uint8_t *now = map[m].at + page, *then = map[m].shadow + page;
	struct crash_entry *entry;
	size_t from = 0, to = size;

	while (from < to && now[from] == then[from])
		from++;
	while (to > from && now[to - 1] == then[to - 1])
		to--;
	if (from == to)
		return;
	memcpy(then + from, now + from, to - from);
	entry = next_entry(CRASH_STORE, "");
	entry->inode = map[m].inode;
	entry->offset = (uint64_t)map[m].offset + page + from;
	entry->data = crash_log->used;
	add_data(entry, then + from, to - from);
	crash_log->count++;
}

/* Bytes of the map that the file has. */
static size_t
map_reach(unsigned m)
{
	struct stat st;
	size_t size;

	if (fstat(map[m].fd, &st) == -1 || st.st_ino != map[m].inode ||
	    st.st_size <= map[m].offset)
		return 0;
	size = (size_t)(st.st_size - map[m].offset);
	if (size > CRASH_MAP_MAX)
		abort();
	return size;
}

static void
look_at_maps(void)
{
	size_t page, reach;
	unsigned m;

	for (m = 0; m < MAPS; m++) {
		reach = map[m].at == NULL ? 0 : map_reach(m);
		/* The rest was zeros, or is what a shorter file had there. */
		if (reach > map[m].seen)
			memset(map[m].shadow + map[m].seen, 0,
			    reach - map[m].seen);
		map[m].seen = reach;
		for (page = 0; page < reach; page += PAGE)
			look_at_page(m, page, reach - page < PAGE ?
			    reach - page : PAGE);
	}
}

/* Calls and their entries have one order.  NULL: nothing is logged. */
static struct crash_entry *
begin(enum crash_call call, const char *name)
{
	int expected = 0;

	if (crash_log == NULL || !crash_log->on)
		return NULL;
	while (!atomic_compare_exchange_weak(&crash_log->lock, &expected, 1)) {
		expected = 0;
		sched_yield();
	}
	look_at_maps();
	return next_entry(call, name);
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

int
fcntl(int fd, int command, ...)
{
	long argument, result;
	va_list ap;

	va_start(ap, command);
	argument = va_arg(ap, long);
	va_end(ap);
	if (command == F_SETFL && fd >= 0 && fd < FILES) {
		unbuffered[fd] = (argument & O_DIRECT) != 0;
		argument &= ~(long)O_DIRECT;
	}
	result = syscall(SYS_fcntl, fd, command, argument);
	if (command == F_GETFL && result != -1 && fd < FILES && unbuffered[fd])
		result |= O_DIRECT;
	return (int)result;
}

#ifdef STATX_DIOALIGN
int
statx(int fd, const char *restrict path, int flags, unsigned mask,
    struct statx *restrict st)
{
	long result = syscall(SYS_statx, fd, path, flags, mask, st);

	if (result == 0 && (mask & STATX_DIOALIGN) != 0) {
		st->stx_mask |= STATX_DIOALIGN;
		st->stx_dio_mem_align = CRASH_SECTOR;
		st->stx_dio_offset_align = CRASH_SECTOR;
	}
	return (int)result;
}
#endif

/* Each file system refuses what is not aligned. */
static void
note_direct(struct crash_entry *entry, int fd, const void *data)
{
	if (fd >= FILES || !unbuffered[fd])
		return;
	if (((uintptr_t)data | entry->offset | entry->size) % CRASH_SECTOR !=
	    0)
		abort();
	entry->direct = 1;
	crash_log->direct_writes++;
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
		note_direct(entry, fd, iov[0].iov_base);
	}
	return end(entry, syscall(SYS_pwritev, fd, iov, count, offset, 0L),
	    keep);
}

#ifdef HAVE_URING
/* Until the ring's owner would see this one; 0, or what has failed. */
static int
await(struct io_uring *ring, uint64_t data)
{
	struct io_uring_cqe *cqe;
	unsigned head, ready;

	for (;;) {
		ready = 0;
		io_uring_for_each_cqe(ring, head, cqe) {
			ready++;
			if (cqe->user_data == data)
				return cqe->res;
		}
		(void)__io_uring_get_cqe(ring, &cqe, 0, ready + 1, NULL);
	}
}

/* What is written by a ring, each write by itself: as if the ones before it had
 * come to their end.  The lock is held. */
static void
add_writes(const struct io_uring *ring, unsigned from, unsigned to)
{
	const struct io_uring_sqe *sqe;
	struct crash_entry *entry;

	for (; from != to; from++) {
		sqe = &ring->sq.sqes[from & ring->sq.ring_mask];
		if (sqe->opcode != IORING_OP_WRITE &&
		    sqe->opcode != IORING_OP_WRITE_FIXED)
			continue;
		entry = next_entry(CRASH_WRITE, "");
		file_of(entry, sqe->fd);
		entry->offset = sqe->off;
		entry->data = crash_log->used;
		add_data(entry, (const void *)(uintptr_t)sqe->addr, sqe->len);
		note_direct(entry, sqe->fd,
		    (const void *)(uintptr_t)sqe->addr);
		crash_log->count++;
		crash_log->ring_writes++;
	}
}

/* What is synced behind them: before anything else is asked for. */
static void
add_syncs(struct io_uring *ring, unsigned from, unsigned to)
{
	const struct io_uring_sqe *sqe;
	struct crash_entry *entry;

	for (; from != to; from++) {
		sqe = &ring->sq.sqes[from & ring->sq.ring_mask];
		if (sqe->opcode != IORING_OP_FSYNC ||
		    await(ring, sqe->user_data) != 0)
			continue;
		entry = next_entry(CRASH_SYNC, "");
		file_of(entry, sqe->fd);
		crash_log->count++;
		crash_log->ring_syncs++;
	}
}

int
io_uring_submit(struct io_uring *ring)
{
	struct crash_entry *entry = begin(CRASH_WRITE, "");
	int (*real)(struct io_uring *) =
	    (int (*)(struct io_uring *))dlsym(RTLD_NEXT, "io_uring_submit");
	unsigned from = ring->sq.sqe_head, to = ring->sq.sqe_tail;
	int result;

	if (entry != NULL)
		add_writes(ring, from, to);
	result = real(ring);
	if (entry != NULL)
		add_syncs(ring, from, to);
	return (int)end(entry, result, 0);
}
#endif

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

int
fallocate(int fd, int mode, off_t from, off_t size)
{
	struct crash_entry *entry = begin(CRASH_ALLOCATE, "");
	int keep = (mode & FALLOC_FL_KEEP_SIZE) == 0 && file_of(entry, fd);

	if (keep)
		entry->offset = (uint64_t)(from + size);
	return (int)end(entry, syscall(SYS_fallocate, fd, mode, from, size),
	    keep);
}

/* The lock is held. */
static void
remember_map(uint8_t *at, size_t length, int fd, off_t offset)
{
	struct stat st;
	unsigned m;

	/* The segment is a file without a name. */
	if (fstat(fd, &st) == -1 || st.st_nlink == 0)
		return;
	for (m = 0; m < MAPS && map[m].at != NULL; m++)
		continue;
	if (m == MAPS)
		abort();
	map[m].at = at;
	map[m].length = length;
	map[m].fd = fd;
	map[m].inode = st.st_ino;
	map[m].offset = offset;
	map[m].seen = map_reach(m);
	memcpy(map[m].shadow, at, map[m].seen);
}

void *
mmap(void *address, size_t length, int protection, int flags, int fd,
    off_t offset)
{
	int ours = (flags & MAP_SHARED) != 0 && fd != -1 &&
	    (protection & PROT_WRITE) != 0;
	struct crash_entry *entry = ours ? begin(CRASH_STORE, "") : NULL;
	long at = syscall(SYS_mmap, address, length, protection, flags, fd,
	    offset);

	if (entry != NULL && at != -1)
		remember_map((uint8_t *)at, length, fd, offset);
	end(entry, at, 0);
	return (void *)at;
}

int
munmap(void *address, size_t length)
{
	struct crash_entry *entry = begin(CRASH_STORE, "");
	unsigned m;

	for (m = 0; entry != NULL && m < MAPS; m++)
		if (map[m].at == address)
			map[m].at = NULL;
	return (int)end(entry, syscall(SYS_munmap, address, length), 0);
}
