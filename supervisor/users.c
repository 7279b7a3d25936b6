/* SPDX-License-Identifier: ISC */
/*
 * Chooses user ids.  See users.h.  Supervisor only.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/util.h"
#include "supervisor/channels.h"
#include "supervisor/dirs.h"
#include "supervisor/errand.h"
#include "supervisor/names.h"
#include "supervisor/owners.h"
#include "supervisor/report.h"
#include "supervisor/supervisor.h"
#include "supervisor/users.h"

enum id_state {
	ID_FREE,
	ID_LEFT,		/* something on a disk has it */
	ID_TAKEN,
};

struct range {
	uint32_t	 base;
	uint32_t	 count;
	uint8_t		*state;		/* enum id_state, by id - base */
};

static bool
is_in(const struct range *range, uid_t uid)
{
	return uid > range->base && uid - range->base <= range->count;
}

/* Whoever has a name may log in, or is of another service.
 * False: it is not to be had.  `has_it': nobody has to be asked whose it is,
 * which may take its time. */
static bool
take(struct range *range, struct channel_conf *channel, uid_t uid,
    bool has_it)
{
	if (!is_in(range, uid) ||
	    range->state[uid - range->base] == ID_TAKEN ||
	    (!has_it && names_has(uid)))
		return false;
	range->state[uid - range->base] = ID_TAKEN;
	channel->user = (struct privdrop){.uid = uid, .gid = (gid_t)uid};
	return true;
}

static void
note_left(struct range *range, uid_t uid)
{
	if (is_in(range, uid) && range->state[uid - range->base] == ID_FREE)
		range->state[uid - range->base] = ID_LEFT;
}

/*** What there is. ***/

/* One that was removed and has not ended yet, or NULL. */
static const struct channel *
find_leaving(const struct supervisor *supervisor, const char *name)
{
	const struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->leaving, link)
		if (strcmp(channel->name, name) == 0)
			break;
	return channel;
}

/* Its user now, or NULL when it is new, or has none that it could keep. */
static const struct privdrop *
present_user(const struct supervisor *supervisor, const char *name)
{
	const struct channel *channel = channels_find(supervisor, name);
	const struct inherited *from;

	if (channel == NULL)
		channel = find_leaving(supervisor, name);
	if (channel != NULL)
		return &channel->user;
	if (supervisor->inheritance == NULL)
		return NULL;
	from = inheritance_find(supervisor->inheritance, name);
	return from != NULL && from->user.uid != 0 ? &from->user : NULL;
}

/* What a removed channel has, until its worker has ended. */
static void
note_leaving(struct range *range, const struct supervisor *supervisor)
{
	const struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->leaving, link)
		if (is_in(range, channel->user.uid))
			range->state[channel->user.uid - range->base] =
			    ID_TAKEN;
}

static void
scan(struct range *range, const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	struct statx st;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) &&
		    statx(dirfd(dir), entry->d_name, AT_SYMLINK_NOFOLLOW |
		    AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_MODE |
		    STATX_UID, &st) == 0 && S_ISDIR(st.stx_mode))
			note_left(range, st.stx_uid);
	closedir(dir);
}

struct scanning {
	struct range	*range;
	const char	*directory;
};

/* Its copy of the range comes back. */
static void
run_scan(int answer, int kept ATTR_UNUSED, const void *argument)
{
	const struct scanning *scanning = argument;

	scan(scanning->range, scanning->directory);
	(void)send(answer, scanning->range->state,
	    scanning->range->count + 1, MSG_NOSIGNAL);
}

/* Of other channels, of those that were, or of their copies. */
static void
note_owners(struct range *range, const char *directory)
{
	const struct scanning scanning = {range, directory};

	if (dirs_is_near(directory))
		scan(range, directory);
	else
		(void)errand_ask(directory, run_scan, &scanning, range->state,
		    range->count + 1);
}

/*** The choice. ***/

static bool
choose(struct range *range, struct channel_conf *channel)
{
	/* It has to stay the same for ever. */
	uint32_t first = hash_text32(channel->name) % range->count, i, n;

	for (i = 0; i < range->count; i++) {
		n = (first + i) % range->count + 1;
		if (range->state[n] == ID_FREE &&
		    take(range, channel, range->base + n, false))
			return true;
	}
	return false;
}

static void
claim(struct range *range, const struct supervisor *supervisor,
    struct conf *conf, struct conf_problems *problems)
{
	uid_t *owner = owners_find(conf, problems);
	const struct privdrop *user;
	struct channel_conf *channel;
	size_t i;

	for (i = 0; i < conf->channels; i++) {
		channel = &conf->channel[i];
		memset(&channel->user, 0, sizeof(channel->user));
		user = present_user(supervisor, channel->name);
		if (user != NULL)
			(void)take(range, channel, user->uid, true);
	}
	note_leaving(range, supervisor);
	for (i = 0; i < conf->channels; i++)
		if (conf->channel[i].user.uid == 0)
			(void)take(range, &conf->channel[i], owner[i], false);
	free(owner);
	for (i = 0; i < conf->channels; i++)
		if (owners_first_in_directory(conf, i))
			note_owners(range,
			    conf->channel[i].archive.directory);
}

static void
assign_range(const struct supervisor *supervisor, struct conf *conf,
    struct conf_problems *problems)
{
	struct range range = {conf->user_base, conf->user_count, NULL};
	size_t i;

	range.state = xcalloc(range.count + 1, 1);
	conf->decimator_user = (struct privdrop){.uid = range.base,
	    .gid = (gid_t)range.base};
	if (names_has(range.base))
		report_error(problems, "user id %u, for the decimators, is "
		    "that of a user or group with a name: choose another "
		    "`base'", range.base);
	conf->web_user.uid = range.base + range.count + 1;
	conf->web_user.gid = (gid_t)conf->web_user.uid;
	if (conf_has_web(conf) && names_has(conf->web_user.uid))
		report_error(problems, "user id %u, for mcrelay-web, is that "
		    "of a user or group with a name: choose another `count'",
		    (unsigned)conf->web_user.uid);
	claim(&range, supervisor, conf, problems);
	for (i = 0; i < conf->channels; i++)
		if (conf->channel[i].user.uid == 0 &&
		    !choose(&range, &conf->channel[i]))
			report_error(problems, "channel %s: no user id from "
			    "%u to %u is left for it: those that have no "
			    "channel have a name, or own directories beside "
			    "the archives: raise `count'",
			    conf->channel[i].name, range.base + 1,
			    range.base + range.count);
	if (!names_end())
		report_warning(problems, "the name service does not answer: "
		    "whether the user ids from %u to %u are those of users or "
		    "groups with names is not known", range.base,
		    (unsigned)conf->web_user.uid);
	free(range.state);
}

/* By name they are known already; but the name may be another number's now. */
static void
keep_present(const struct supervisor *supervisor, struct conf *conf)
{
	const struct privdrop *user;
	size_t i;

	for (i = 0; i < conf->channels; i++) {
		user = present_user(supervisor, conf->channel[i].name);
		if (user != NULL && (user->uid != conf->channel[i].user.uid ||
		    user->gid != conf->channel[i].user.gid))
			conf->channel[i].user = *user;
	}
}

/* As the numbers of the names may have changed meanwhile. */
static void
check_distinct(const struct supervisor *supervisor, const struct conf *conf,
    struct conf_problems *problems)
{
	const struct channel *leaving;
	size_t i, j;

	for (i = 0; i < conf->channels && problems->errors == 0; i++) {
		for (j = 0; j < i; j++)
			if (conf->channel[i].user.uid ==
			    conf->channel[j].user.uid)
				report_error(problems, "channels %s and %s "
				    "would both be user id %u, which one of "
				    "them has still: restart mcrelayd",
				    conf->channel[j].name,
				    conf->channel[i].name,
				    (unsigned)conf->channel[i].user.uid);
		TAILQ_FOREACH(leaving, &supervisor->leaving, link)
			if (leaving->user.uid == conf->channel[i].user.uid &&
			    strcmp(leaving->name, conf->channel[i].name) != 0)
				report_error(problems, "channel %s would be "
				    "user id %u, as channel %s, which has not "
				    "ended yet: try again",
				    conf->channel[i].name,
				    (unsigned)leaving->user.uid,
				    leaving->name);
	}
}

/*** The directory around the channels'. ***/

/* Whoever may change names there can put another directory in a channel's
 * place. */
static void
check_directory(const struct conf *conf, const char *directory,
    struct conf_problems *problems)
{
	char *itself = xasprintf("%s/.", directory);	/* no link to it */
	struct owned owned;
	bool seen = owners_see(directory, itself, &owned);

	free(itself);
	if (!seen) {
		report_warning(problems, "the directory %s does not answer: "
		    "whether one worker could take those of the others away "
		    "is not known", directory);
		return;
	}
	if (!owned.there)
		return;
	if (users_is_child(conf, owned.uid))
		report_error(problems, "the directory %s belongs to user id "
		    "%u, and so to one worker, which could take those of the "
		    "others away: chown root %s", directory,
		    (unsigned)owned.uid, directory);
	else if ((owned.mode & S_IWOTH) != 0 && (owned.mode & S_ISVTX) == 0)
		report_error(problems, "everybody may write to the directory "
		    "%s, and one worker could take those of the others away: "
		    "chmod o-w %s", directory, directory);
}

void
users_assign(const struct supervisor *supervisor, struct conf *conf,
    struct conf_problems *problems)
{
	size_t i;

	if (conf->user_base != 0)
		assign_range(supervisor, conf, problems);
	else {
		keep_present(supervisor, conf);
		if (conf_own_users(conf))
			check_distinct(supervisor, conf, problems);
	}
	for (i = 0; conf_own_users(conf) && i < conf->channels; i++)
		if (owners_first_in_directory(conf, i))
			check_directory(conf,
			    conf->channel[i].archive.directory, problems);
}

void
users_check_directories(const struct conf *conf,
    struct conf_problems *problems)
{
	uid_t *owner = owners_find(conf, problems);
	const struct channel_conf *channel;
	unsigned uid, gid;
	size_t i;

	for (i = 0; i < conf->channels; i++) {
		channel = &conf->channel[i];
		if (!channel->own_user || owner[i] == 0 ||
		    owner[i] == channel->user.uid)
			continue;
		uid = (unsigned)channel->user.uid;
		gid = (unsigned)channel->user.gid;
		report_warning(problems, "channel %s will wait: its archive "
		    "directory belongs to user id %u: chown -hR %u:%u %s/%s",
		    channel->name, (unsigned)owner[i], uid, gid,
		    channel->archive.directory, channel->name);
	}
	free(owner);
}

void
users_stay(struct conf *conf)
{
	size_t i;

	memset(&conf->decimator_user, 0, sizeof(conf->decimator_user));
	memset(&conf->web_user, 0, sizeof(conf->web_user));
	for (i = 0; i < conf->channels; i++) {
		memset(&conf->channel[i].user, 0,
		    sizeof(conf->channel[i].user));
		conf->channel[i].own_user = false;
	}
}

bool
users_is_child(const struct conf *conf, uid_t uid)
{
	size_t i;

	/* Nobody is anybody else: users_stay(). */
	if (uid == 0 || conf->decimator_user.uid == 0 ||
	    !conf_own_users(conf))
		return false;
	/* Of the range, who had another channel may have left something. */
	if (conf->user_base != 0)
		return uid >= conf->user_base &&
		    uid - conf->user_base <= conf->user_count + 1;
	for (i = 0; i < conf->channels; i++)
		if (conf->channel[i].user.uid == uid)
			return true;
	return conf->decimator_user.uid == uid || conf->web_user.uid == uid;
}
