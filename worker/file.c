/* SPDX-License-Identifier: ISC */
/*
 * The files of an archive: names, opening, finishing.  Worker, archive and
 * closer threads.  Never overwrites or removes a file.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/util.h"
#include "worker/file.h"

#define PART_SUFFIX	".part"
#define PART_NAME_SIZE	(FILE_NAME_SIZE + sizeof(PART_SUFFIX))

void
file_name(char name[static FILE_NAME_SIZE], const char *channel,
    enum archive_stream stream, const struct archive_file *file)
{
	char utc[UTC_TEXT_SIZE];

	format_utc(file->started_ns, utc);
	snprintf(name, FILE_NAME_SIZE, "%s%s_%s_%" PRIu64 ".avro", channel,
	    stream == ARCHIVE_REJECTED ? ".rejected" : "", utc,
	    file->first_sequence);
}

static void
part_name(char part[static PART_NAME_SIZE], const char *name)
{
	snprintf(part, PART_NAME_SIZE, "%s" PART_SUFFIX, name);
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
file_reopen(int directory, const char *name, uint64_t size)
{
	char part[PART_NAME_SIZE];
	int fd, saved;

	part_name(part, name);
	fd = openat(directory, part, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return -1;
	if (ftruncate(fd, (off_t)size) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
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
file_finish(int directory, const char *name, int fd, uint64_t size)
{
	char part[PART_NAME_SIZE];
	int saved;

	part_name(part, name);
	if (ftruncate(fd, (off_t)size) == -1 || fdatasync(fd) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	/* NFS and quotas may tell of a failed write only now. */
	if (close(fd) == -1 && errno != EINTR)
		return -1;
	if (renameat2(directory, part, directory, name,
	    RENAME_NOREPLACE) == -1)
		return -1;
	return fsync(directory);
}
