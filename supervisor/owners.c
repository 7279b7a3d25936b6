/* SPDX-License-Identifier: ISC */
/*
 * Whose the directories of archives are.  Supervisor only.  A file system that
 * may never answer is asked by an errand.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/dirs.h"
#include "supervisor/errand.h"
#include "supervisor/owners.h"
#include "supervisor/report.h"

bool
owners_first_in_directory(const struct conf *conf, size_t channel)
{
	const char *directory = conf->channel[channel].archive.directory;
	size_t i;

	if (!conf->channel[channel].archive.enabled)
		return false;
	for (i = 0; i < channel; i++)
		if (conf->channel[i].archive.enabled &&
		    strcmp(conf->channel[i].archive.directory, directory) == 0)
			return false;
	return true;
}

static struct owned
look_at(const char *path)
{
	struct owned owned = {.there = false};
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		owned = (struct owned){true, st.st_uid, st.st_mode};
	return owned;
}

static void
run_look(int answer, int kept ATTR_UNUSED, const void *path)
{
	struct owned owned = look_at(path);

	(void)send(answer, &owned, sizeof(owned), MSG_NOSIGNAL);
}

bool
owners_see(const char *base, const char *path, struct owned *owned)
{
	if (!dirs_is_near(path))
		return errand_ask(base, run_look, path, owned, sizeof(*owned));
	*owned = look_at(path);
	return true;
}

/* The owners of all channels' directories below one that archives are in;
 * root's, where there is none. */
struct owners {
	const struct conf	*conf;
	const char		*base;
	uid_t			*uid;	/* of each channel of `conf' */
};

/* Where its user has mounted something: what that says of itself is not worth
 * a question. */
static uid_t
owner_below(const char *base, const struct channel_conf *channel, bool near)
{
	char *path = xasprintf("%s/%s", base, channel->name);
	struct owned owned = {.there = false};

	if (!near || dirs_is_near(path))
		owned = look_at(path);
	free(path);
	return owned.there ? owned.uid : 0;
}

static void
look_below(const struct owners *owners, bool near)
{
	const struct channel_conf *channel;
	size_t i;

	for (i = 0; i < owners->conf->channels; i++) {
		channel = &owners->conf->channel[i];
		if (channel->archive.enabled && strcmp(
		    channel->archive.directory, owners->base) == 0)
			owners->uid[i] = owner_below(owners->base, channel,
			    near);
	}
}

/* Its copy comes back. */
static void
run_look_below(int answer, int kept ATTR_UNUSED, const void *argument)
{
	const struct owners *owners = argument;

	look_below(owners, false);
	(void)send(answer, owners->uid, owners->conf->channels *
	    sizeof(*owners->uid), MSG_NOSIGNAL);
}

uid_t *
owners_find(const struct conf *conf, struct conf_problems *problems)
{
	struct owners owners = {.conf = conf,
	    .uid = xcalloc(conf->channels, sizeof(*owners.uid))};
	size_t i;

	for (i = 0; i < conf->channels; i++) {
		if (!owners_first_in_directory(conf, i))
			continue;
		owners.base = conf->channel[i].archive.directory;
		if (dirs_is_near(owners.base))
			look_below(&owners, true);
		else if (!errand_ask(owners.base, run_look_below, &owners,
		    owners.uid, conf->channels * sizeof(*owners.uid)))
			report_warning(problems, "%s does not answer, so that "
			    "who owns the archives there is not known: "
			    "reload when it does", owners.base);
	}
	return owners.uid;
}
