/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of archives that look only.
 */
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/doctor/archives.h"
#include "supervisor/mounts.h"

/* Less than that is nothing. */
#define FREE_MIN	(UINT64_C(64) << 20)
/* A disk that is full within so many days is worth a word. */
#define FULL_DAYS	7U
#define DAY_S		86400U
#define HOUR_S		3600U

/*** May it be written? ***/

static void
say_not_writable(struct doctor *doctor, const struct archive_view *view,
    int error)
{
	const struct privdrop *own = &view->channel->user;
	const char *user = archives_user(view->channel);

	if (error == EROFS)
		doctor_mend(doctor, "mount -o remount,rw (or ReadWritePaths= "
		    "of the unit), and why it was mounted read-only: dmesg");
	else if (view->channel->own_user)
		doctor_mend(doctor, "chown -hR %u:%u %s", (unsigned)own->uid,
		    (unsigned)own->gid, view->path);
	else
		doctor_mend(doctor, "chown %s %s", user, view->path);
	doctor_say(doctor, DOCTOR_FAIL, view->channel->name, "%s cannot be "
	    "written by %s: %s", view->path, user, strerror(error));
}

/* What is missing the supervisor makes, and in what is there the worker
 * writes. */
static void
look_at_directory(struct doctor *doctor, const struct archive_view *view)
{
	int error = 0;

	if (view->exists && !archives_become_user(doctor, view))
		return;
	if (faccessat(view->root, view->below, W_OK | X_OK, AT_EACCESS) == -1)
		error = errno;
	archives_be_self();
	if (error != 0)
		say_not_writable(doctor, view, error);
	else
		doctor_say(doctor, DOCTOR_OK, view->channel->name, "%s %s",
		    view->path, view->exists ? "can be written" :
		    "will be made");
}

void
doctor_check_archive_directory(struct doctor *doctor)
{
	archives_each(doctor, look_at_directory);
}

static void
look_at_mount(struct doctor *doctor, const struct archive_view *view)
{
	const char *mount = view->channel->require_mount;
	char *seen;
	bool is;

	if (mount == NULL)
		return;
	seen = xasprintf("%s%s", view->prefix, mount);
	is = mounts_is_point(seen);
	free(seen);
	doctor_mend(doctor, "mount %s", mount);
	doctor_say(doctor, is ? DOCTOR_OK : DOCTOR_FAIL, view->channel->name,
	    "%s is %smounted", mount, is ? "" : "not ");
}

void
doctor_check_archive_mount(struct doctor *doctor)
{
	archives_each(doctor, look_at_mount);
}

/*** What kind of file system? ***/

static const struct file_system {
	uint32_t		 type;
	enum doctor_result	 result;
	const char		*name;
	const char		*but;	/* what it lacks */
} file_systems[] = {
	{0x6969,	DOCTOR_WARN,	"NFS", "a server that does not answer "
	    "holds up the archive, and its directory cannot be locked"},
	{0xff534d42,	DOCTOR_WARN,	"SMB", "a server that does not answer "
	    "holds up the archive"},
	{0xfe534d42,	DOCTOR_WARN,	"SMB", "a server that does not answer "
	    "holds up the archive"},
	{0x65735546,	DOCTOR_WARN,	"FUSE", "a program that does not "
	    "answer holds up the archive"},
	{0x01021997,	DOCTOR_WARN,	"9p", "a host that does not answer "
	    "holds up the archive"},
	{0x4d44,	DOCTOR_FAIL,	"FAT", "no hard links, no files "
	    "beyond 4 GiB, and a power cut may take all"},
	{0x2011bab0,	DOCTOR_FAIL,	"exFAT", "no hard links, and a power "
	    "cut may take all"},
	{0x01021994,	DOCTOR_WARN,	"tmpfs", "it is memory, and gone when "
	    "the host restarts"},
	{0x858458f6,	DOCTOR_WARN,	"ramfs", "it is memory, and gone when "
	    "the host restarts"},
	{0x794c7630,	DOCTOR_WARN,	"overlayfs", "in a container it is "
	    "gone with that: use a volume"},
	{0xef53,	DOCTOR_OK,	"ext", NULL},
	{0x58465342,	DOCTOR_OK,	"XFS", NULL},
	{0x9123683e,	DOCTOR_OK,	"Btrfs", NULL},
	{0xf2f52010,	DOCTOR_OK,	"F2FS", NULL},
	{0x2fc12fc1,	DOCTOR_OK,	"ZFS", NULL},
};

static void
look_at_file_system(struct doctor *doctor, const struct archive_view *view)
{
	struct statfs says;
	uint32_t type;
	size_t i;

	if (statfs(view->there, &says) == -1) {
		doctor_say(doctor, DOCTOR_SKIP, view->channel->name, "%s: %s",
		    view->path, strerror(errno));
		return;
	}
	type = (uint32_t)says.f_type;
	for (i = 0; i < NITEMS(file_systems); i++)
		if (file_systems[i].type == type)
			break;
	if (i == NITEMS(file_systems)) {
		doctor_say(doctor, DOCTOR_OK, view->channel->name, "of a kind "
		    "that is not known here (%#" PRIx32 ")", type);
		return;
	}
	doctor_mend(doctor, "archive: {directory: ...} on a local disk (ext4, "
	    "XFS), and copy finished files from there");
	doctor_say(doctor, file_systems[i].result, view->channel->name,
	    "%s%s%s", file_systems[i].name, file_systems[i].but != NULL ?
	    ": " : "", file_systems[i].but != NULL ? file_systems[i].but :
	    "");
}

void
doctor_check_archive_filesystem(struct doctor *doctor)
{
	archives_each(doctor, look_at_file_system);
}

/*** Is there room? ***/

/* What all channels with archives below the same directory may keep. */
static uint64_t
kept_beside(const struct doctor *doctor, const struct archive_config *archive)
{
	const struct archive_config *other;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < doctor->conf->channels; i++) {
		other = &doctor->conf->channel[i].archive;
		if (other->enabled && strcmp(other->directory,
		    archive->directory) == 0 && sum <= UINT64_MAX -
		    other->retain_size)
			sum += other->retain_size;
	}
	return sum;
}

static uint64_t
ns_of(const struct statx_timestamp *time)
{
	return time->tv_sec < 0 ? 0 :
	    (uint64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

/*
 * Bytes a second by which it has grown in the last day, 0: not known.  As the
 * files say, for counters may be older than the daemon that tells them, and
 * speak of what is not packed yet.
 */
static uint64_t
archive_rate(const struct archive_view *view)
{
	uint64_t now_ns = clock_realtime_ns(), first_ns = now_ns, sum = 0;
	DIR *directory = view->exists ? opendir(view->there) : NULL;
	const struct dirent *entry;
	struct statx file;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		if (statx(dirfd(directory), entry->d_name,
		    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE |
		    STATX_SIZE | STATX_MTIME | STATX_BTIME, &file) == -1 ||
		    !S_ISREG(file.stx_mode) || (file.stx_mask &
		    STATX_BTIME) == 0 || ns_of(&file.stx_mtime) + DAY_S *
		    NS_PER_S < now_ns)
			continue;
		sum += file.stx_size;
		first_ns = MIN_OF(first_ns, ns_of(&file.stx_btime));
	}
	if (directory != NULL)
		closedir(directory);
	if (now_ns - first_ns < NS_PER_S)
		return 0;
	return sum / ((now_ns - first_ns) / NS_PER_S);
}

/* Whether nothing is removed before the disk is full, in so many hours. */
static bool
fills(const struct archive_config *archive, uint64_t rate, uint64_t room,
    uint64_t *hours)
{
	uint64_t full_s;

	if (rate == 0 || archive->retain_size != 0 ||
	    archive->retain_files != 0 || archive->min_free != 0)
		return false;
	full_s = room / rate;
	*hours = full_s / HOUR_S;
	return full_s < FULL_DAYS * DAY_S && (archive->retain_age_ns == 0 ||
	    full_s < archive->retain_age_ns / NS_PER_S);
}

static void
judge_space(struct doctor *doctor, const struct archive_view *view,
    const struct statvfs *says)
{
	const struct archive_config *archive = &view->channel->archive;
	const char *name = view->channel->name;
	uint64_t free_bytes = says->f_bavail * says->f_frsize, hours;
	uint64_t all = says->f_blocks * says->f_frsize;
	uint64_t kept = kept_beside(doctor, archive);
	uint64_t rate = archive_rate(view);
	char free_text[LOOK_SIZE_TEXT], other[LOOK_SIZE_TEXT];

	look_size(free_bytes, free_text);
	if (free_bytes < FREE_MIN || (says->f_files > 0 &&
	    says->f_favail == 0)) {
		doctor_mend(doctor, "df -h %s; df -i %s; remove files",
		    view->path, view->path);
		doctor_say(doctor, DOCTOR_FAIL, name, "%s free, and room for "
		    "%" PRIu64 " files", free_text, (uint64_t)says->f_favail);
	} else if (free_bytes < archive->min_free) {
		doctor_mend(doctor, "df -h %s; remove what is not mcrelay's, "
		    "or a smaller archive.min_free", view->path);
		doctor_say(doctor, DOCTOR_WARN, name, "%s free, less than the "
		    "%s of min_free: each new file costs an old one",
		    free_text, look_size(archive->min_free, other));
	} else if (kept > all && archive->min_free == 0) {
		doctor_mend(doctor, "archive: {min_free: 5GiB}, or a smaller "
		    "retain.size");
		doctor_say(doctor, DOCTOR_WARN, name, "what is to be kept, "
		    "%s, is more than the disk has", look_size(kept, other));
	} else if (fills(archive, rate, free_bytes, &hours)) {
		doctor_mend(doctor, "archive: {min_free: 5GiB}, or a limit in "
		    "retain");
		doctor_say(doctor, DOCTOR_WARN, name, "%s free, and full in "
		    "%" PRIu64 " %s, for nothing is removed before",
		    free_text, hours < 48 ? hours : hours / 24,
		    hours < 48 ? "hours" : "days");
	} else
		doctor_say(doctor, DOCTOR_OK, name, "%s free", free_text);
}

static void
look_at_space(struct doctor *doctor, const struct archive_view *view)
{
	struct statvfs says;

	if (statvfs(view->there, &says) == -1)
		doctor_say(doctor, DOCTOR_SKIP, view->channel->name, "%s: %s",
		    view->path, strerror(errno));
	else
		judge_space(doctor, view, &says);
}

void
doctor_check_archive_space(struct doctor *doctor)
{
	archives_each(doctor, look_at_space);
}
