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
	const struct node *list = section_list(section, "hosts", HOSTS_MAX);
	const struct node *item;

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
		conf->channel[ours] = conf->channel[i];
		places[ours++] = places[i];
	}
	conf->channels = ours;
	if (all > 0 && ours == 0 && problems->errors == 0)
		problem_warning(problems, place, "this host is `%s', and no "
		    "channel has it among its `hosts': there is nothing to do",
		    conf->host);
}
