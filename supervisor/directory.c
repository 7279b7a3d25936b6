/* SPDX-License-Identifier: ISC */
/*
 * A channel's archive directory.  Supervisor only.  What may hang is asked by a
 * process of its own, one after the other.
 */
#include <sys/vfs.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "common/wake.h"
#include "supervisor/directory.h"
#include "supervisor/dirs.h"
#include "supervisor/events.h"
#include "supervisor/schema_files.h"
#include "supervisor/supervisor.h"

/* Read by everybody, like a log. */
#define ARCHIVE_MODE	0755

/* linux/magic.h of Debian 12 lacks it. */
#ifndef CEPH_SUPER_MAGIC
#define CEPH_SUPER_MAGIC	0x00c36400
#endif

/* A file system of which a question may take for ever. */
static bool
may_hang(int directory)
{
	static const unsigned long remote[] = {NFS_SUPER_MAGIC,
	    SMB_SUPER_MAGIC, CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
	    FUSE_SUPER_MAGIC, CEPH_SUPER_MAGIC, V9FS_MAGIC, AFS_SUPER_MAGIC,
	    AFS_FS_MAGIC, CODA_SUPER_MAGIC, OCFS2_SUPER_MAGIC};
	struct statfs fs;
	size_t i;

	if (fstatfs(directory, &fs) == -1)
		return true;
	for (i = 0; i < NITEMS(remote); i++)
		if ((unsigned long)fs.f_type == remote[i])
			return true;
	return false;
}

char *
directory_path(const struct channel_conf *conf)
{
	return xasprintf("%s/%s", conf->archive.directory, conf->name);
}

/* As to file systems without such locks, nobody else is believed to write
 * there. */
static bool
claim(int fd, const struct channel_conf *conf,
    char by[static DIRECTORY_BY_SIZE])
{
	pid_t holder;

	if (dirs_lock(fd, &holder) == 0)
		return true;
	if (errno != EBUSY) {
		log_warn("channel %s: the archive directory %s/%s cannot be "
		    "locked: see to it that no other mcrelayd writes there",
		    conf->name, conf->archive.directory, conf->name);
		return true;
	}
	if (holder != 0)
		snprintf(by, DIRECTORY_BY_SIZE, "process %d", (int)holder);
	else
		snprintf(by, DIRECTORY_BY_SIZE, "another process");
	errno = EBUSY;
	return false;
}

static bool
is_empty(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own == -1 ? NULL : fdopendir(own);
	struct dirent *entry;
	bool empty = dir != NULL;

	if (dir == NULL && own != -1)
		close(own);
	while (empty && (entry = readdir(dir)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0;
	if (dir != NULL)
		closedir(dir);
	return empty;
}

/*
 * Where each channel has a user of its own, a directory is that user's, or
 * the worker could not write there, or somebody else could.  One of ours that
 * is empty was made for it: by an administrator, or by one of us that was
 * killed before it gave it away.
 */
static bool
is_his(int fd, const struct channel_conf *conf,
    char by[static DIRECTORY_BY_SIZE])
{
	const struct privdrop *user = &conf->user;
	struct stat st;

	if (!conf->own_user)
		return true;
	if (fstat(fd, &st) == 0 && (st.st_uid == user->uid ||
	    (st.st_uid == geteuid() && is_empty(fd) &&
	    fchown(fd, user->uid, user->gid) == 0)))
		return true;
	snprintf(by, DIRECTORY_BY_SIZE, "user id %u, and the channel's worker "
	    "is %u: give it all of it (chown -hR %u:%u)", (unsigned)st.st_uid,
	    (unsigned)user->uid, (unsigned)user->uid, (unsigned)user->gid);
	errno = EPERM;
	return false;
}

enum directory_status
directory_open(struct parts *parts, const struct channel_conf *conf,
    char by[static DIRECTORY_BY_SIZE])
{
	char *path;
	bool same;
	int fd;

	if (conf->require_mount != NULL &&
	    !peek_is_mount_point(conf->require_mount))
		return DIRECTORY_UNMOUNTED;
	path = directory_path(conf);
	fd = dirs_open(path, ARCHIVE_MODE, &conf->user, !conf->own_user);
	same = fd != -1 && parts->archive != -1 &&
	    dirs_leads_to(path, parts->archive);
	free(path);
	if (fd == -1)
		return DIRECTORY_FAILED;
	if (same) {
		close(fd);
		return DIRECTORY_OPEN;
	}
	if (!is_his(fd, conf, by)) {
		close(fd);
		errno = EPERM;
		return DIRECTORY_FOREIGN;
	}
	if (!claim(fd, conf, by)) {
		close(fd);
		errno = EBUSY;
		return DIRECTORY_IN_USE;
	}
	if (parts->archive != -1)
		close(parts->archive);
	parts->archive = fd;
	parts->archive_away[0] = '\0';
	parts->archive_remote = may_hang(fd);
	return DIRECTORY_OPEN;
}

void
directory_share(struct parts *parts, int archive,
    const struct channel_conf *conf)
{
	char by[DIRECTORY_BY_SIZE], *path;

	if (!conf->archive.enabled || parts->archive != -1 || archive == -1)
		return;
	path = directory_path(conf);
	if (dirs_leads_to(path, archive) && is_his(archive, conf, by)) {
		parts->archive = fcntl(archive, F_DUPFD_CLOEXEC, 0);
		parts->archive_remote = may_hang(archive);
	}
	free(path);
}

void
directory_close(struct parts *parts)
{
	if (parts->archive != -1)
		close(parts->archive);
	parts->archive = -1;
	parts->archive_away[0] = '\0';
}

void
directory_lose(struct parts *parts, const char *why)
{
	int fd = wake_open();	/* what asks for a file in it gets ENOTDIR */

	if (fd == -1)
		return;
	if (parts->archive != -1)
		close(parts->archive);
	parts->archive = fd;
	parts->archive_remote = false;
	snprintf(parts->archive_away, sizeof(parts->archive_away), "%s", why);
}

static void ATTR_PRINTF(2, 3)
lose(struct channel *channel, const char *fmt, ...)
{
	bool before = channel->parts.archive_away[0] != '\0';
	char why[sizeof(channel->parts.archive_away)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (strcmp(channel->parts.archive_away, why) == 0)
		return;
	log_warnx("channel %s: %s: until that is over nothing is archived, "
	    "and what the ring cannot hold is shed", channel->name, why);
	directory_lose(&channel->parts, why);
	if (!before)
		child_restart(&channel->child, false);
}

/* The worker finishes its files where they are, if that is anywhere. */
static void
follow(struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;
	bool before = channel->parts.archive_away[0] != '\0';
	char by[DIRECTORY_BY_SIZE];

	switch (directory_open(&channel->parts, conf, by)) {
	case DIRECTORY_OPEN:
		log_info("channel %s: %s: goes on in %s/%s", channel->name,
		    before ? "its archive directory is there again" :
		    "its archive directory was removed, moved or covered",
		    conf->archive.directory, conf->name);
		events_add(channel->supervisor, channel, EVENT_DIRECTORY,
		    json_pack("{s:b}", "back", before), "the archive goes on "
		    "in %s/%s", conf->archive.directory, conf->name);
		schema_files_write(channel->parts.archive, conf);
		child_restart(&channel->child, false);
		break;
	case DIRECTORY_UNMOUNTED:
		lose(channel, "%s is not mounted", conf->require_mount);
		break;
	case DIRECTORY_IN_USE:
		lose(channel, "the archive directory is in use by %s: %s/%s",
		    by, conf->archive.directory, conf->name);
		break;
	case DIRECTORY_FOREIGN:
		lose(channel, "the archive directory %s/%s belongs to %s",
		    conf->archive.directory, conf->name, by);
		break;
	case DIRECTORY_FAILED:
		lose(channel, "cannot make or open the archive directory "
		    "%s/%s: %s", conf->archive.directory, conf->name,
		    strerror(errno));
		break;
	}
}

/*** Looking. ***/

/* How many processes are to look in a second, and at one file system. */
#define LOOKS_MAX	16U

/* Others open it when they start, or with the next configuration. */
static bool
is_of_interest(const struct channel *channel)
{
	return channel->parts.archive != -1 &&
	    channel->child.state == CHILD_RUNNING &&
	    (channel->next.have & PART_WORKER) == 0;
}

static bool
is_remote(const struct channel *channel)
{
	return channel->parts.archive_remote || channel->watch.archive_stuck;
}

static bool
same_id(const struct dirs_id *a, const struct dirs_id *b)
{
	return a->major == b->major && a->minor == b->minor &&
	    a->inode == b->inode;
}

/* What a process has found out, of what was open then. */
static void
on_elsewhere(void *owner)
{
	struct channel *channel = owner;
	struct dirs_id id;

	if (is_of_interest(channel) &&
	    dirs_identify(channel->parts.archive, &id) &&
	    same_id(&id, &channel->peek.id))
		follow(channel);
}

/* A server that is away keeps some processes, and nobody else's channels. */
static bool
may_look(const struct channel *channel)
{
	const struct channel *each;
	struct dirs_id id;
	unsigned looking = 0;

	if (!dirs_identify(channel->parts.archive, &id))
		return false;
	TAILQ_FOREACH(each, &channel->supervisor->channels, link)
		looking += each->peek.pid != 0 &&
		    each->peek.id.major == id.major &&
		    each->peek.id.minor == id.minor;
	return looking < LOOKS_MAX;
}

static void
look_from_afar(struct channel *channel)
{
	char *path;

	if (channel->peek.pid != 0 || !may_look(channel))
		return;
	path = directory_path(channel->conf);
	peek_start(&channel->peek, channel->supervisor->loop, path,
	    channel->conf->require_mount, channel->parts.archive);
	free(path);
}

static bool
is_there(const struct channel *channel)
{
	struct dirs_id id;
	char *path;
	bool there;

	if (channel->parts.archive_away[0] != '\0' ||
	    !dirs_identify(channel->parts.archive, &id))
		return false;
	path = directory_path(channel->conf);
	there = peek_here(path, channel->conf->require_mount, &id);
	free(path);
	return there;
}

static void
check(struct channel *channel)
{
	if (!is_of_interest(channel))
		return;
	if (is_remote(channel))
		look_from_afar(channel);
	else if (!is_there(channel))
		follow(channel);
}

void
directory_look_init(struct channel *channel)
{
	channel->peek.owner = channel;
	channel->peek.elsewhere = on_elsewhere;
	peek_init(&channel->peek);
}

void
directory_missed(struct channel *channel)
{
	if (atomic_exchange_explicit(
	    &channel->segment.state->directory_gone, 0,
	    memory_order_relaxed) != 0)
		check(channel);
}

void
directory_second(struct supervisor *supervisor)
{
	struct channel *channel;
	unsigned remote = 0, distance;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		remote += is_remote(channel);
	/* Each in its turn. */
	distance = 1 + remote / LOOKS_MAX;
	supervisor->seconds++;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (!is_remote(channel) ||
		    (supervisor->seconds + channel->number) % distance == 0)
			check(channel);
}
