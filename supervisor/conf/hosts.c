/* SPDX-License-Identifier: ISC */
/*
 * One configuration for many hosts: what this one is called, and which
 * channels are its.  Supervisor only.
 */
#include <sys/utsname.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/conf/conf_priv.h"

#define IS_NO_HOST	"up to %u characters, without blanks and any of " \
			". * > / \\ { }"

static const struct number_key lease_key = {
	.name = "lease", .unit = UNIT_TIME, .min = NS_PER_S,
	.max = 3600 * NS_PER_S, .preset = 3 * NS_PER_S,
};

bool
conf_is_token(const char *text)
{
	return *text != '\0' && strlen(text) <= CHANNEL_NAME_MAX &&
	    strpbrk(text, ".*>/\\ \t\r\n{}") == NULL;
}

void
conf_read_host(struct section *top, struct conf *conf)
{
	const struct node *node = section_scalar(top, "host", false);
	struct utsname name;

	if (node == NULL) {
		(void)uname(&name);
		name.nodename[strcspn(name.nodename, ".")] = '\0';
		conf->host = xstrdup(name.nodename);
		return;
	}
	if (!conf_is_token(node->text))
		problem_error(top->problems, node->place, "`host: %s': "
		    IS_NO_HOST, node->text, CHANNEL_NAME_MAX);
	conf->host = xstrdup(node->text);
}

bool
conf_names_host(const struct channel_conf *channel, const char *host)
{
	unsigned i;

	for (i = 0; i < channel->hosts; i++)
		if (strcmp(channel->host[i], host) == 0)
			return true;
	return false;
}

static void
read_one(const struct section *section, const struct node *item,
    struct channel_conf *channel)
{
	if (item->kind != NODE_SCALAR)
		problem_error(section->problems, item->place, "each item of "
		    "`hosts' has to be a text, not %s", node_kind_name(item));
	else if (!conf_is_token(item->text))
		problem_error(section->problems, item->place, "`hosts: [%s]': "
		    IS_NO_HOST, item->text, CHANNEL_NAME_MAX);
	else if (conf_names_host(channel, item->text))
		problem_error(section->problems, item->place, "`hosts' has "
		    "`%s' twice", item->text);
	else
		channel->host[channel->hosts++] = xstrdup(item->text);
}

void
conf_read_hosts(struct section *section, struct channel_conf *channel)
{
	static const char *const words[] = {"hot", "cold", NULL};
	const struct node *list = section_list(section, "hosts", HOSTS_MAX);
	const struct node *item;

	channel->cold = section_word(section, "standby", words, 0, NULL) == 1;
	if (list == NULL)
		return;
	if (list->children == 0)
		problem_error(section->problems, list->place,
		    "`hosts' is empty: without it, every host has the channel");
	channel->host = xcalloc(list->children + 1, sizeof(*channel->host));
	for (item = list->first; item != NULL; item = item->next)
		if (item->kind != NODE_BAD)
			read_one(section, item, channel);
}

void
conf_take_hosts(struct conf *conf, struct channel_places *places,
    struct place place, struct problem_list *problems)
{
	size_t i, ours = 0, all = conf->channels;

	for (i = 0; i < all; i++) {
		if (conf->channel[i].hosts > 0 &&
		    !conf_names_host(&conf->channel[i], conf->host)) {
			conf_clear_channel(&conf->channel[i]);
			continue;
		}
		conf->channel[i].leased = conf->lease_ns != 0 &&
		    conf->channel[i].hosts > 1;
		conf->channel[ours] = conf->channel[i];
		places[ours++] = places[i];
	}
	conf->channels = ours;
	if (all > 0 && ours == 0 && problems->errors == 0)
		problem_warning(problems, place, "this host is `%s', and no "
		    "channel has it among its `hosts': there is nothing to do",
		    conf->host);
}

/*** Taking turns. ***/

bool
conf_has_leases(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->channels; i++)
		if (conf->channel[i].leased)
			return true;
	return false;
}

void
conf_read_fleet(struct section *top, struct conf *conf)
{
	const struct node *node;
	struct section section;

	if (!section_enter(top, "fleet", &section))
		return;
	conf->lease_ns = section_number(&section, &lease_key, NULL);
	node = section_scalar(&section, "bucket", false);
	if (node != NULL && !lease_is_bucket(node->text))
		problem_error(section.problems, node->place, "`bucket: %s': "
		    "up to 63 of A-Z, a-z, 0-9, _ and -", node->text);
	conf->fleet_bucket = xstrdup(node != NULL ? node->text :
	    "mcrelay-fleet");
	if (!conf->forward.wanted)
		problem_error(section.problems, section_place(&section),
		    "`fleet' asks the servers of `forward', and there is no "
		    "`forward' at the top");
	section_close(&section);
}

void
conf_check_fleet(const struct conf *conf, struct problem_list *problems)
{
	size_t i, count = 0;

	for (i = 0; i < conf->channels; i++)
		count += conf->channel[i].leased;
	if (count > LEASES_MAX)
		problem_error(problems, (struct place){ 0, 0 }, "of %zu "
		    "channels, hosts would take turns: at most %u", count,
		    LEASES_MAX);
}
