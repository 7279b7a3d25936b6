/* SPDX-License-Identifier: ISC */
/*
 * `user': whom workers and decimators run as.  Supervisor only.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/conf/conf_priv.h"
#include "supervisor/names.h"

/* What comes before are the system's own users. */
#define BASE_MIN	1000U

/* Instead of a channel's. */
#define DECIMATOR_NAME	"decimator"
#define WEB_NAME	"web"

static const struct number_key base_key = {
	.name = "base", .min = BASE_MIN, .max = UINT32_MAX - 1,
	.required = true,
};
static const struct number_key count_key = {
	.name = "count", .min = 1, .max = 65536, .preset = CHANNELS_MAX,
};

/*** Reading. ***/

/* Neither of the numbers that mean "no user", of 16 and of 32 bits. */
static void
read_range(struct section *top, struct conf *conf)
{
	const uint64_t none[] = {UINT16_MAX, UINT32_MAX};
	struct section section;
	uint64_t base, count, last;
	size_t i;

	(void)section_enter(top, "user", &section);
	base = section_number(&section, &base_key, NULL);
	count = section_number(&section, &count_key, NULL);
	section_close(&section);
	last = base + count + 1;
	for (i = 0; i < NITEMS(none); i++)
		if (base <= none[i] && none[i] <= last) {
			problem_error(top->problems, section_place(&section),
			    "the user ids from %" PRIu64 " to %" PRIu64 " have "
			    "%" PRIu64 " among them, which is nobody's", base,
			    last, none[i]);
			return;
		}
	conf->user_base = (uint32_t)base;
	conf->user_count = (uint32_t)count;
}

/* In a pattern stands %c, once, for the channel's name. */
static bool
is_pattern(const char *name)
{
	const char *mark = strchr(name, '%');

	return mark != NULL && mark[1] == 'c' && strchr(mark + 1, '%') == NULL;
}

/* False: reported. */
static bool
look_up(const char *name, const char *whom, struct place place,
    struct problem_list *problems, struct privdrop *user)
{
	if (names_user(name, user) == 0)
		return true;
	if (errno == ENOENT && whom != NULL)
		problem_error(problems, place, "there is no user `%s' for %s: "
		    "make it (useradd --system --user-group --no-create-home "
		    "--shell /usr/sbin/nologin %s)", name, whom, name);
	else if (errno == ENOENT)
		problem_error(problems, place, "there is no user `%s'", name);
	else
		problem_error(problems, place, "user `%s' cannot be looked "
		    "up: %s", name, errno == ETIMEDOUT ?
		    "the name service does not answer" : strerror(errno));
	return false;
}

static void
read_name(struct section *top, struct conf *conf)
{
	const struct node *node = section_scalar(top, "user", false);

	if (node == NULL)
		return;
	if (strchr(node->text, '%') != NULL && !is_pattern(node->text))
		problem_error(top->problems, node->place, "`%%' in `user' can "
		    "only be %%c, once, which is the channel's name");
	else if (is_pattern(node->text) || look_up(node->text, NULL,
	    node->place, top->problems, &conf->decimator_user))
		conf->user = xstrdup(node->text);
}

struct place
conf_read_user(struct section *top, struct conf *conf)
{
	const struct node *node = section_get(top, "user");

	if (node == NULL)
		return (struct place){0, 0};
	if (node->kind == NODE_MAPPING)
		read_range(top, conf);
	else
		read_name(top, conf);
	return node->place;
}

/*** Users of their own, by name. ***/

/* To be freed. */
static char *
user_name(const char *pattern, const char *channel)
{
	size_t before = strcspn(pattern, "%");

	return xasprintf("%.*s%s%s", (int)before, pattern, channel,
	    pattern + before + 2);
}

static void
find_one(const struct conf *conf, const char *channel, const char *whom,
    struct place place, struct problem_list *problems, struct privdrop *user)
{
	char *name = user_name(conf->user, channel);

	if (look_up(name, whom, place, problems, user) && user->uid == 0)
		problem_error(problems, place, "user `%s' for %s is root",
		    name, whom);
	/* What a user's groups may do is not for what comes from the
	 * network. */
	user->groups = 0;
	free(name);
}

static void
find_named(struct conf *conf, struct place place,
    struct problem_list *problems)
{
	struct channel_conf *channel;
	char *whom;
	size_t i;

	memset(&conf->web_user, 0, sizeof(conf->web_user));
	find_one(conf, DECIMATOR_NAME, "the decimators", place, problems,
	    &conf->decimator_user);
	if (conf_has_web(conf))
		find_one(conf, WEB_NAME, "mcrelay-web", place, problems,
		    &conf->web_user);
	for (i = 0; i < conf->channels && !problem_enough(problems); i++) {
		channel = &conf->channel[i];
		whom = xasprintf("channel %s", channel->name);
		find_one(conf, channel->name, whom, place, problems,
		    &channel->user);
		free(whom);
	}
}

static void
check_distinct(const struct conf *conf, struct place place,
    struct problem_list *problems)
{
	const struct channel_conf *one, *other;
	size_t i, j;

	if (conf->decimator_user.uid == conf->web_user.uid)
		problem_error(problems, place, "mcrelay-web and the decimators "
		    "would both be user id %u: give each its own",
		    (unsigned)conf->web_user.uid);
	for (i = 0; i < conf->channels && !problem_enough(problems); i++) {
		one = &conf->channel[i];
		if (one->user.uid == conf->decimator_user.uid ||
		    one->user.uid == conf->web_user.uid)
			problem_error(problems, place, "channel %s and %s "
			    "would both be user id %u: give each its own",
			    one->name, one->user.uid == conf->web_user.uid ?
			    "mcrelay-web" : "the decimators",
			    (unsigned)one->user.uid);
		for (j = 0; j < i; j++) {
			other = &conf->channel[j];
			if (one->user.uid == other->user.uid)
				problem_error(problems, place, "channels %s "
				    "and %s would both be user id %u: give "
				    "each its own", other->name, one->name,
				    (unsigned)one->user.uid);
		}
	}
}

void
conf_find_users(struct conf *conf, struct place place,
    struct problem_list *problems)
{
	size_t i;

	conf->web_user = conf->decimator_user;
	for (i = 0; i < conf->channels; i++) {
		conf->channel[i].own_user = conf_own_users(conf);
		conf->channel[i].user = conf->decimator_user;
	}
	if (conf->user_base != 0 && conf->channels > conf->user_count)
		problem_error(problems, place, "there are %zu channels%s, and "
		    "only %u user ids for them: raise `count'",
		    conf->channels, conf->channels > 0 &&
		    conf->channel[conf->channels - 1].archives_stream ?
		    ", those that archive streams included" : "",
		    conf->user_count);
	if (conf->user_base != 0 || !conf_own_users(conf))
		return;
	find_named(conf, place, problems);
	if (problems->errors == 0)
		check_distinct(conf, place, problems);
}
