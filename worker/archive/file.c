/* SPDX-License-Identifier: ISC */
/*
 * The files of an archive: names, opening, finishing.  Worker, archive and
 * closer threads.  Never overwrites a file.
 */
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/rename.h"
#include "common/util.h"
#include "worker/archive/file.h"

#define PART_NAME_SIZE	(FILE_NAME_SIZE + sizeof(FILE_PART))

void
file_name(char name[static FILE_NAME_SIZE], const char *channel,
    enum archive_kind kind, const struct archive_file *file)
{
	archive_name_write(name, channel, kind, file->started_ns,
	    file->first_sequence);
}

static void
part_name(char part[static PART_NAME_SIZE], const char *name)
{
	snprintf(part, PART_NAME_SIZE, "%s" FILE_PART, name);
}

int
file_create(int directory, const char *name, bool again)
{
	char part[PART_NAME_SIZE];

	if (faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	part_name(part, name);
	return openat(directory, part, O_RDWR | O_CREAT | O_CLOEXEC |
	    O_NOFOLLOW | (again ? O_TRUNC : O_EXCL), 0644);
}

int
file_open(int directory, const char *name, const char *suffix)
{
	char path[PART_NAME_SIZE];
	int fd;

	snprintf(path, sizeof(path), "%s%s", name, suffix);
	/* O_NONBLOCK: it may be a FIFO. */
	fd = openat(directory, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK);
	if (fd == -1 || file_size(fd) != -1)
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

off_t
file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : -1;
}

bool
file_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	    (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

int
file_reopen(int directory, const char *name, uint64_t size)
{
	int fd = file_open(directory, name, FILE_PART);

	if (fd == -1)
		return -1;
	if (file_size(fd) < (off_t)size)
		errno = ENODATA;
	else if (ftruncate(fd, (off_t)size) == 0)
		return fd;
	return file_close(fd, -1);
}

/* Drops the first `size' bytes of the iovecs. */
static void
advance(struct iovec **iov, unsigned *count, size_t size)
{
	while (*count > 0 && size >= (*iov)->iov_len) {
		size -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (*count > 0) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + size;
		(*iov)->iov_len -= size;
	}
}

int
file_write(int fd, struct iovec *iov, unsigned count, uint64_t offset)
{
	ssize_t done;

	while (count > 0) {
		done = pwritev(fd, iov, (int)count, (off_t)offset);
		if (done == -1 && errno == EINTR)
			continue;
		if (done <= 0) {
			if (done == 0)
				errno = ENOSPC;
			return -1;
		}
		offset += (uint64_t)done;
		advance(&iov, &count, (size_t)done);
	}
	return 0;
}

int
file_synced(int fd, int error)
{
	if (error == 0)
		return 0;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	errno = error;
	return -1;
}

int
file_sync(int fd)
{
	return file_synced(fd, fdatasync(fd) == 0 ? 0 : errno);
}

int
file_close(int fd, int result)
{
	int saved = errno;

	/* NFS and quotas may tell of a failed write only now. */
	if (close(fd) == -1 && errno != EINTR && result == 0)
		return -1;
	errno = saved;
	return result;
}

void
file_remove(int directory, const char *name)
{
	int saved = errno;

	unlinkat(directory, name, 0);
	errno = saved;
}

DIR *
file_list(int directory)
{
	/* A descriptor of its own, with a position of its own. */
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);

	if (dir == NULL && fd != -1)
		file_close(fd, -1);
	return dir;
}

bool
file_is(const char *name, const char *channel, const char *ending,
    enum archive_kind *kind)
{
	struct archive_name parsed;

	if (!archive_name_parse(name, channel, &parsed) ||
	    strcmp(parsed.ending, ending) != 0)
		return false;
	*kind = parsed.kind;
	return true;
}

const char *
file_stem(char stem[static FILE_NAME_SIZE], const char *name,
    const char *suffix)
{
	snprintf(stem, FILE_NAME_SIZE, "%.*s",
	    (int)(strlen(name) - strlen(suffix)), name);
	return stem;
}

int
file_finish(int directory, const char *name, int fd, uint64_t size)
{
	char part[PART_NAME_SIZE];

	part_name(part, name);
	if (ftruncate(fd, (off_t)size) == -1 || file_sync(fd) == -1)
		return file_close(fd, -1);
	if (file_close(fd, 0) == -1)
		return -1;
	if (rename_new(directory, part, directory, name) == -1)
		return -1;
	return fsync(directory);
}
