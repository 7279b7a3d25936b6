/* SPDX-License-Identifier: ISC */
/*
 * A channel's archive directory.  Supervisor only.  Who may never answer is
 * asked by an errand.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/util.h"
#include "common/wake.h"
#include "supervisor/directory.h"
#include "supervisor/dirs.h"
#include "supervisor/events.h"
#include "supervisor/mounts.h"
#include "supervisor/schema_files.h"
#include "supervisor/supervisor.h"

/* Read by everybody, like a log. */
#define ARCHIVE_MODE	0755

uint64_t
directory_path_hash(const struct channel_conf *conf)
{
	char *path = directory_path(conf);
	uint64_t hash = hash_text64(path);

	free(path);
	return hash;
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
is_his(int fd, const struct channel_conf *conf, enum dirs_reach reach,
    char by[static DIRECTORY_BY_SIZE])
{
	const struct privdrop *user = &conf->user;
	struct statx st;

	if (!conf->own_user)
		return true;
	/* As the kernel knows it: a server is not asked. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_UID,
	    &st) == 0 && (st.stx_uid == user->uid ||
	    (st.stx_uid == geteuid() && reach == DIRS_ANY && is_empty(fd) &&
	    fchown(fd, user->uid, user->gid) == 0)))
		return true;
	snprintf(by, DIRECTORY_BY_SIZE, "user id %u, and the channel's worker "
	    "is %u: give it all of it (chown -hR %u:%u)", (unsigned)st.stx_uid,
	    (unsigned)user->uid, (unsigned)user->uid, (unsigned)user->gid);
	errno = EPERM;
	return false;
}

/* What lies where the path of an archive leads; an errand's answer. */
struct found {
	enum directory_status	status;
	int			error;	/* of DIRECTORY_FAILED; EREMOTE: to
					 * know it may take for ever */
	bool			same;	/* it is what is open already */
	char			by[DIRECTORY_BY_SIZE];
};

/* Opens and locks it, unless it is `open' (-1: nothing is).  -1: see
 * `found'. */
static int
find(const struct channel_conf *conf, int open, enum dirs_reach reach,
    struct found *found)
{
	const char *mount = conf->require_mount;
	char *path = directory_path(conf);
	int fd = -1;

	memset(found, 0, sizeof(*found));
	found->status = DIRECTORY_OPEN;
	/* An errand has not got the list of mounts, and may ask. */
	if (mount != NULL && (reach == DIRS_ANY ||
	    (mounts_at(mount) == MOUNT_NONE && dirs_is_near(mount))) &&
	    !mounts_is_point(mount))
		found->status = DIRECTORY_UNMOUNTED;
	else if ((fd = dirs_open(path, ARCHIVE_MODE, &conf->user,
	    !conf->own_user, reach)) == -1) {
		found->status = DIRECTORY_FAILED;
		found->error = errno;
	} else if (open != -1 && dirs_leads_to(path, open, reach))
		found->same = true;
	else if (!is_his(fd, conf, DIRS_ANY, found->by))
		found->status = DIRECTORY_FOREIGN;
	else if (!claim(fd, conf, found->by))
		found->status = DIRECTORY_IN_USE;
	free(path);
	if (fd != -1 && (found->same || found->status != DIRECTORY_OPEN)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* What it is to find out may take as long as it likes. */
static void
run_errand(int answer, int open, const void *argument)
{
	struct found found;
	int fd = find(argument, open, DIRS_ANY, &found);

	(void)fd_send(answer, &found, sizeof(found), &fd, fd == -1 ? 0 : 1);
}

static int
start_errand(struct parts *parts, const struct channel_conf *conf)
{
	return errand_start(&parts->errand,
	    errand_kind(conf->archive.directory), run_errand, parts->archive,
	    conf);
}

static enum directory_status
take(struct parts *parts, const struct channel_conf *conf,
    const struct found *found, int fd, bool remote,
    char by[static DIRECTORY_BY_SIZE])
{
	memcpy(by, found->by, sizeof(found->by));
	errno = found->status == DIRECTORY_IN_USE ? EBUSY :
	    found->status == DIRECTORY_FOREIGN ? EPERM : found->error;
	if (found->status != DIRECTORY_OPEN || found->same)
		return found->status;
	if (parts->archive != -1)
		close(parts->archive);
	parts->archive = fd;
	parts->archive_away[0] = '\0';
	parts->archive_remote = remote;
	parts->archive_path = directory_path_hash(conf);
	return DIRECTORY_OPEN;
}

/* Asks where it may take for ever, or whether there is an answer by now. */
static enum directory_status
ask(struct parts *parts, const struct channel_conf *conf,
    char by[static DIRECTORY_BY_SIZE])
{
	struct found found;
	bool answered = false, remote;
	char *path;
	int fd = -1;

	if (parts->errand.answer == 0 && start_errand(parts, conf) == -1) {
		parts->archive_remote = true;
		return DIRECTORY_ASKED;
	}
	/* One that was killed is followed by another. */
	if (!errand_done(&parts->errand, &found, sizeof(found), &fd,
	    &answered) || !answered) {
		parts->archive_remote = true;
		errno = ETIMEDOUT;
		return DIRECTORY_ASKED;
	}
	/* It has answered just now. */
	path = directory_path(conf);
	remote = !dirs_is_near(path);
	free(path);
	if (found.same)
		parts->archive_remote = remote;
	return take(parts, conf, &found, fd, remote, by);
}

enum directory_status
directory_open(struct parts *parts, const struct channel_conf *conf,
    char by[static DIRECTORY_BY_SIZE])
{
	struct found found;
	int fd = find(conf, parts->archive, DIRS_NEAR, &found);

	if (found.status == DIRECTORY_FAILED && found.error == EREMOTE)
		return ask(parts, conf, by);
	errand_forget(&parts->errand);
	return take(parts, conf, &found, fd, false, by);
}

/* Where a server would have to be asked, the path alone must do. */
void
directory_share(struct parts *parts, int archive, uint64_t by_path,
    const struct channel_conf *conf)
{
	char by[DIRECTORY_BY_SIZE], *path;
	bool same, remote;

	if (!conf->archive.enabled || parts->archive != -1 || archive == -1)
		return;
	path = directory_path(conf);
	same = dirs_leads_to(path, archive, DIRS_NEAR);
	remote = !same && errno == EREMOTE;
	if ((same || (remote && hash_text64(path) == by_path)) &&
	    is_his(archive, conf, remote ? DIRS_NEAR : DIRS_ANY, by)) {
		parts->archive = fcntl(archive, F_DUPFD_CLOEXEC, 0);
		parts->archive_remote = remote;
		parts->archive_path = hash_text64(path);
	}
	free(path);
}

/* Where it is away, it is away for the next worker, too, which goes on as this
 * one does. */
void
directory_keep(struct parts *parts, const struct parts *from,
    const struct channel_conf *conf)
{
	if (from->archive_away[0] == '\0')
		directory_share(parts, from->archive, from->archive_path,
		    conf);
	else if (conf->archive.enabled && parts->archive == -1 &&
	    from->archive_path == directory_path_hash(conf) &&
	    directory_lose(parts, from->archive_away))
		parts->archive_path = from->archive_path;
}

void
directory_close(struct parts *parts)
{
	if (parts->archive != -1)
		close(parts->archive);
	parts->archive = -1;
	parts->archive_away[0] = '\0';
	errand_forget(&parts->errand);
	errand_forget(&parts->schemas);
	parts->schemas_due = false;
}

bool
directory_lose(struct parts *parts, const char *why)
{
	int fd = wake_open();	/* what asks for a file in it gets ENOTDIR */

	if (fd == -1)
		return false;
	if (parts->archive != -1)
		close(parts->archive);
	parts->archive = fd;
	snprintf(parts->archive_away, sizeof(parts->archive_away), "%s", why);
	return true;
}

/* Whether the path still leads to what is open, as far as is known. */
static bool
is_there(const struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;
	char *path;
	bool same;

	if (channel->parts.archive_away[0] != '\0' ||
	    (conf->require_mount != NULL &&
	    mounts_at(conf->require_mount) == MOUNT_NONE))
		return false;
	path = directory_path(conf);
	same = dirs_leads_to(path, channel->parts.archive, DIRS_NEAR);
	free(path);
	return same;
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
	if (strcmp(channel->parts.archive_away, why) == 0 ||
	    !directory_lose(&channel->parts, why))
		return;
	log_warnx("channel %s: %s: until that is over nothing is archived, "
	    "and what the ring cannot hold is shed", channel->name, why);
	if (!before)
		child_restart(&channel->child, false);
}

/* The worker finishes its files where they are, if that is anywhere. */
static void
follow(struct channel *channel, bool from_afar)
{
	const struct channel_conf *conf = channel->conf;
	bool before = channel->parts.archive_away[0] != '\0';
	int was = channel->parts.archive;
	char by[DIRECTORY_BY_SIZE];

	switch (from_afar ? ask(&channel->parts, conf, by) :
	    directory_open(&channel->parts, conf, by)) {
	case DIRECTORY_OPEN:
		if (channel->parts.archive == was)
			break;
		log_info("channel %s: %s: goes on in %s/%s", channel->name,
		    before ? "its archive directory is there again" :
		    "its archive directory was removed, moved or covered",
		    conf->archive.directory, conf->name);
		events_add(channel->supervisor, channel, EVENT_DIRECTORY,
		    json_pack("{s:b}", "back", before), "the archive goes on "
		    "in %s/%s", conf->archive.directory, conf->name);
		schema_files_have_written(&channel->parts, conf, false);
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
	case DIRECTORY_ASKED:
		/* One that is open is written to meanwhile. */
		if (before)
			lose(channel, "the archive directory %s/%s does not "
			    "answer", conf->archive.directory, conf->name);
		break;
	case DIRECTORY_FAILED:
		/* What we lack says nothing of the directory. */
		if (parts_exhausted(errno))
			break;
		lose(channel, "cannot make or open the archive directory %s/"
		    "%s: %s", conf->archive.directory, conf->name,
		    strerror(errno));
		break;
	}
}

/*** Looking. ***/

/* How many errands begin in a second. */
#define LOOKS_MAX	16U
/* Of how many paths nearby we look where they lead, in a second. */
#define LOOKS_NEAR_MAX	128U

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

/* What an errand has found is taken a second later. */
static void
look_from_afar(struct channel *channel)
{
	if (channel->parts.errand.answer != 0)
		follow(channel, true);
	else
		(void)start_errand(&channel->parts, channel->conf);
}

static void
look(struct channel *channel)
{
	if (is_of_interest(channel) && !is_there(channel))
		follow(channel, false);
}

void
directory_missed(struct channel *channel)
{
	if (atomic_exchange_explicit(
	    &channel->segment.state->directory_gone, 0,
	    memory_order_relaxed) == 0)
		return;
	if (!is_remote(channel))
		look(channel);
	else if (is_of_interest(channel))
		look_from_afar(channel);
}

/* Each in its turn, but all that may have changed with a mount, and that are
 * waited for. */
static void
look_nearby(struct supervisor *supervisor, unsigned near)
{
	unsigned reading = mounts_reading(), number = 0, turns =
	    reading != supervisor->mounts ? 1 : 1 + near / LOOKS_NEAR_MAX;
	struct channel *channel;

	supervisor->mounts = reading;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (!is_remote(channel) &&
		    ((supervisor->seconds + number++) % turns == 0 ||
		    channel->parts.archive_away[0] != '\0'))
			look(channel);
}

/* Each in its turn. */
static void
look_at_remote(struct supervisor *supervisor, unsigned remote)
{
	unsigned turns = 1 + remote / LOOKS_MAX, number = 0;
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		if (!is_remote(channel))
			continue;
		if (!is_of_interest(channel)) {
			if (channel->child.pid == 0 && !channel->child.wanted)
				errand_forget(&channel->parts.errand);
		} else if (channel->parts.errand.answer != 0 ||
		    (supervisor->seconds + number++) % turns == 0)
			look_from_afar(channel);
	}
}

void
directory_second(struct supervisor *supervisor)
{
	unsigned remote = 0, near = 0;
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		schema_files_go_on(&channel->parts, channel->conf);
		schema_files_go_on(&channel->next, channel->conf);
		if (is_remote(channel))
			remote++;
		else
			near++;
	}
	look_nearby(supervisor, near);
	supervisor->seconds++;
	look_at_remote(supervisor, remote);
}
