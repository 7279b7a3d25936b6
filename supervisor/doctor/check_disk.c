/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of archives' disks that write there, for which one has
 * to ask.  What they make has a name of its own, and is removed.
 */
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rename.h"
#include "common/util.h"
#include "supervisor/budget.h"
#include "supervisor/doctor/archives.h"

/* What is written at most, and for how long. */
#define WRITE_MAX	(UINT64_C(512) << 20)
#define WRITE_NS	(2 * NS_PER_S)
#define WRITE_SIZE	(256U << 10)
/* As much of what is free: the archive goes on meanwhile. */
#define WRITE_PART	4U

static char	own_name[32], other_name[40];

static void
make_names(void)
{
	snprintf(own_name, sizeof(own_name), ".doctor-%d", (int)getpid());
	snprintf(other_name, sizeof(other_name), "%s-2", own_name);
}

/* With each archive that is there. */
static void
each_disk(struct doctor *doctor, void (*look)(struct doctor *doctor,
    const struct archive_view *view))
{
	if (!doctor->disk)
		doctor_say(doctor, DOCTOR_SKIP, "", "writes to the disk: only "
		    "with --disk");
	else {
		make_names();
		archives_each(doctor, look);
	}
}

/* -1: said. */
static int
open_directory(struct doctor *doctor, const struct archive_view *view)
{
	int fd = -1;

	errno = ENOENT;
	if (view->exists)
		fd = openat(view->root, view->below, O_RDONLY | O_DIRECTORY |
		    O_CLOEXEC);
	if (fd == -1)
		doctor_say(doctor, DOCTOR_SKIP, view->channel->name, "%s: %s",
		    view->path, strerror(errno));
	return fd;
}

/* What has the name is left by one who was killed. */
static int
make_file(int directory)
{
	(void)unlinkat(directory, own_name, 0);
	return openat(directory, own_name, O_WRONLY | O_CREAT | O_EXCL |
	    O_CLOEXEC, 0600);
}

/*** How fast? ***/

/* Bytes, not compressible; 0: nothing is to be written. */
static uint64_t
amount(int directory)
{
	struct statvfs says;

	if (fstatvfs(directory, &says) == -1)
		return 0;
	return MIN_OF(WRITE_MAX, (uint64_t)says.f_bavail * says.f_frsize /
	    WRITE_PART);
}

static void
fill(unsigned char *block, uint64_t *seed)
{
	size_t i;

	for (i = 0; i < WRITE_SIZE; i += sizeof(*seed)) {
		*seed = *seed * UINT64_C(6364136223846793005) + 1;
		memcpy(block + i, seed, sizeof(*seed));
	}
}

/* Bytes a second; 0 with errno. */
static uint64_t
write_all(int fd, uint64_t most)
{
	unsigned char *block = xmalloc(WRITE_SIZE);
	uint64_t begin_ns = clock_monotonic_ns(), done = 0, seed = begin_ns;
	ssize_t put = 1;

	while (done + WRITE_SIZE <= most && put > 0 &&
	    clock_monotonic_ns() - begin_ns < WRITE_NS) {
		fill(block, &seed);
		put = write(fd, block, WRITE_SIZE);
		if (put > 0)
			done += (uint64_t)put;
	}
	free(block);
	if (done == 0)
		errno = most < WRITE_SIZE ? ENOSPC : errno;
	if (done == 0 || fdatasync(fd) == -1)
		return 0;
	return done * 1000 / MAX_OF((clock_monotonic_ns() - begin_ns) /
	    NS_PER_MS, UINT64_C(1));
}

/* What comes to the channel, bytes a second: seen, or assumed. */
static uint64_t
wanted_rate(const struct doctor *doctor, const char *channel)
{
	uint64_t peak = facts_count(facts_status(doctor, channel),
	    "peak_rate"), count = facts_ledger(doctor, channel, "received");

	if (peak == 0 || count == 0)
		return (uint64_t)BUDGET_RATE * BUDGET_SIZE;
	return peak * (facts_ledger(doctor, channel, "received_bytes") /
	    count);
}

/* Into a file that nothing is left of, whenever this ends.  Bytes a second; 0
 * with errno. */
static uint64_t
write_there(int directory)
{
	int fd = make_file(directory), saved;
	uint64_t rate;

	if (fd == -1)
		return 0;
	(void)unlinkat(directory, own_name, 0);
	rate = write_all(fd, amount(directory));
	saved = errno;
	close(fd);
	errno = saved;
	return rate;
}

/* As much as the same disk took when it was asked first: many archives on it
 * would wear it for minutes. */
static uint64_t
rate_of(int directory)
{
	static struct disk {
		dev_t		 device;
		uint64_t	 rate;
	}	*disks;
	static size_t count;
	struct stat of;
	size_t i;

	if (fstat(directory, &of) == -1)
		return 0;
	for (i = 0; i < count; i++)
		if (disks[i].device == of.st_dev)
			return disks[i].rate;
	disks = xgrow(disks, count, sizeof(*disks));
	disks[count].device = of.st_dev;
	disks[count].rate = write_there(directory);
	/* What failed may have been the directory. */
	return disks[count].rate == 0 ? 0 : disks[count++].rate;
}

static void
measure(struct doctor *doctor, const struct archive_view *view, int directory)
{
	uint64_t wanted = wanted_rate(doctor, view->channel->name);
	uint64_t rate = rate_of(directory);
	char rate_text[LOOK_SIZE_TEXT], wanted_text[LOOK_SIZE_TEXT];
	int error = errno;

	doctor_mend(doctor, "iostat -x 1 (what else writes there), a faster "
	    "disk, or archive: {codec: ...} for less to write");
	if (rate == 0)
		doctor_say(doctor, DOCTOR_FAIL, view->channel->name, "%s "
		    "cannot be written: %s", view->path, strerror(error));
	else
		doctor_say(doctor, rate < 2 * wanted ? DOCTOR_WARN :
		    DOCTOR_OK, view->channel->name, "the disk takes %s/s, "
		    "this channel %s %s/s", look_size(rate, rate_text),
		    facts_status(doctor, view->channel->name) == NULL ?
		    "is assumed to bring" : "brings up to",
		    look_size(wanted, wanted_text));
}

static void
look_at_speed(struct doctor *doctor, const struct archive_view *view)
{
	int directory;

	if (!archives_become_user(doctor, view))
		return;
	directory = open_directory(doctor, view);
	if (directory != -1) {
		measure(doctor, view, directory);
		close(directory);
	}
	archives_be_self();
}

void
doctor_check_archive_speed(struct doctor *doctor)
{
	each_disk(doctor, look_at_speed);
}

/*** Can it do what is asked of it? ***/

static void
try_names(struct doctor *doctor, const char *channel, int directory)
{
	const char *cannot = NULL;
	int error = 0;

	if (linkat(directory, own_name, directory, other_name, 0) == -1) {
		cannot = "make hard links, which hold needs";
		error = errno;
	} else if (unlinkat(directory, other_name, 0) == 0 &&
	    renameat2(directory, own_name, directory, other_name,
	    RENAME_NOREPLACE) == -1) {
		cannot = "rename without replacing (renameat2)";
		error = errno;
	}
	doctor_mend(doctor, "archive: {directory: ...} on ext4 or XFS");
	if (cannot != NULL)
		doctor_say(doctor, DOCTOR_WARN, channel, "it cannot %s: %s",
		    cannot, strerror(error));
	else
		doctor_say(doctor, DOCTOR_OK, channel, "it makes hard links, "
		    "and renames without replacing");
}

static void
try_directory(struct doctor *doctor, const struct archive_view *view,
    int directory)
{
	int fd = make_file(directory);

	if (fd == -1) {
		doctor_say(doctor, DOCTOR_FAIL, view->channel->name, "no file "
		    "can be made in %s: %s", view->path, strerror(errno));
		return;
	}
	close(fd);
	try_names(doctor, view->channel->name, directory);
	(void)unlinkat(directory, own_name, 0);
	(void)unlinkat(directory, other_name, 0);
}

static void
look_at_links(struct doctor *doctor, const struct archive_view *view)
{
	int directory;

	if (!archives_become_user(doctor, view))
		return;
	directory = open_directory(doctor, view);
	if (directory != -1) {
		try_directory(doctor, view, directory);
		close(directory);
	}
	archives_be_self();
}

void
doctor_check_archive_links(struct doctor *doctor)
{
	each_disk(doctor, look_at_links);
}
