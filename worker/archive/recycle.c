/* SPDX-License-Identifier: ISC */
/*
 * Files whose time is over, written again.  Worker, keeper and archive threads.
 * Must not touch what somebody else has open.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/archive_names.h"
#include "common/rename.h"
#include "common/util.h"
#include "worker/archive/file.h"
#include "worker/archive/recycle.h"

#define SPARE_NAME_SIZE	(CHANNEL_NAME_MAX + 16)

static void
spare_name(char spare[static SPARE_NAME_SIZE], const char *channel, unsigned n)
{
	snprintf(spare, SPARE_NAME_SIZE, "%s.spare-%u", channel, n);
}

static void
retired_name(char retired[static SPARE_NAME_SIZE], const char *channel)
{
	snprintf(retired, SPARE_NAME_SIZE, "%s.retired", channel);
}

/* Whether nobody else has the file open, nor can get at it by another name. */
static bool
is_ours_alone(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || st.st_nlink != 1)
		return false;
	/* Who opens it just then has us told: by a signal that is ignored, not
	 * by SIGIO, which would end the worker. */
	if (fcntl(fd, F_SETSIG, SIGURG) == -1 ||
	    fcntl(fd, F_SETLEASE, F_WRLCK) == -1)
		return false;
	return fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

/* What was its header is none any more, and that is on the disk. */
static int
blot_out(int fd)
{
	char sector[ARCHIVE_SECTOR] = ARCHIVE_SPARE_MARK;
	struct iovec iov = {sector, sizeof(sector)};

	return file_write(fd, &iov, 1, 0) == 0 ? file_sync(fd) : -1;
}

/* Makes a spare of the file that has its last name no more. */
static bool
keep(int directory, const char *channel, const char *retired, unsigned most)
{
	char spare[SPARE_NAME_SIZE];
	int fd, result;
	unsigned n;

	fd = file_open(directory, retired, "");
	if (fd == -1)
		return false;
	/* Under its old name it stays whole, whatever is cut off now. */
	result = is_ours_alone(fd) && fsync(directory) == 0 ? blot_out(fd) :
	    -1;
	if (file_close(fd, result) == -1)
		return false;
	for (n = 0; n < most; n++) {
		spare_name(spare, channel, n);
		if (rename_new(directory, retired, directory, spare) == 0)
			return true;
	}
	return false;
}

static bool
has_room(int directory, const char *channel, unsigned most)
{
	char spare[SPARE_NAME_SIZE];
	unsigned n;

	for (n = 0; n < most; n++) {
		spare_name(spare, channel, n);
		if (faccessat(directory, spare, F_OK, AT_SYMLINK_NOFOLLOW) ==
		    -1 && errno == ENOENT)
			return true;
	}
	return false;
}

int
recycle_retire(int directory, const char *channel, const char *name,
    unsigned most, bool *kept)
{
	char retired[SPARE_NAME_SIZE];

	*kept = false;
	if (!has_room(directory, channel, most))
		return unlinkat(directory, name, 0);
	retired_name(retired, channel);
	file_remove(directory, retired);
	if (rename_new(directory, name, directory, retired) == -1)
		return unlinkat(directory, name, 0);
	*kept = keep(directory, channel, retired, most);
	return *kept ? 0 : unlinkat(directory, retired, 0);
}

/* One that had been taken when the power was cut, and has its name again, may
 * have another beginning. */
static bool
is_blotted_out(int directory, const char *spare)
{
	int fd = file_open(directory, spare, "");
	bool is;

	if (fd == -1)
		return false;
	is = archive_is_spare(fd);
	close(fd);
	return is;
}

void
recycle_bound(int directory, const char *channel, unsigned most)
{
	char name[SPARE_NAME_SIZE];
	unsigned n;

	retired_name(name, channel);
	file_remove(directory, name);
	for (n = 0; n < RECYCLE_FILES_MAX; n++) {
		spare_name(name, channel, n);
		if (n >= most || !is_blotted_out(directory, name))
			file_remove(directory, name);
	}
}

uint64_t
recycle_bytes(int directory, const char *channel)
{
	char spare[SPARE_NAME_SIZE];
	uint64_t bytes = 0;
	struct stat st;
	unsigned n;

	for (n = 0; n < RECYCLE_FILES_MAX; n++) {
		spare_name(spare, channel, n);
		if (fstatat(directory, spare, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	return bytes;
}

int
recycle_take(int directory, const char *channel, const char *name,
    unsigned most)
{
	char spare[SPARE_NAME_SIZE], part[FILE_NAME_SIZE + 8];
	unsigned n;
	int fd;

	snprintf(part, sizeof(part), "%s" FILE_PART, name);
	/* A file of that name is somebody else's. */
	if (faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -1;
	for (n = 0; n < most; n++) {
		spare_name(spare, channel, n);
		if (rename_new(directory, spare, directory, part) == 0)
			break;
	}
	if (n == most)
		return -1;
	fd = file_open(directory, name, FILE_PART);
	if (fd == -1)
		file_remove(directory, part);
	return fd;
}
