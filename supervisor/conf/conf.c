/* SPDX-License-Identifier: ISC */
/*
 * A configuration that has been read: what is looked up in it, and its end.
 * Supervisor only.
 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/conf/conf_priv.h"

void
conf_clear_channel(struct channel_conf *channel)
{
	size_t i;

	free(channel->listen);
	free(channel->schema_file);
	for (i = 0; i < channel->schema_parts; i++)
		free(channel->schema_part[i]);
	free(channel->schema_part);
	free(channel->require_mount);
	free(channel->schema_text);
	free(channel->program);
	free(channel->relay);
	for (i = 0; i < channel->hosts; i++)
		free(channel->host[i]);
	free(channel->host);
	for (i = 0; i < channel->decimates; i++) {
		free(channel->decimate[i].plan);
		free(channel->decimate[i].schema_text);
	}
	free(channel->decimate);
	*channel = (struct channel_conf){ 0 };
}

void
conf_free(struct conf *conf)
{
	size_t i;

	if (conf == NULL)
		return;
	for (i = 0; i < conf->channels; i++)
		conf_clear_channel(&conf->channel[i]);
	free(conf->channel);
	free(conf->worker);
	conf_clear_forward(&conf->forward);
	free(conf->host);
	free(conf->fleet_bucket);
	free(conf->run_dir);
	free(conf->user);
	free(conf->file);
	free(conf);
}

void
conf_problems_free(struct conf_problems *problems)
{
	size_t i;

	for (i = 0; i < problems->count; i++)
		free(problems->list[i].text);
	free(problems->list);
	*problems = (struct conf_problems){ 0 };
}

bool
conf_relays_by_kernel(const struct channel_conf *channel)
{
	size_t i;

	for (i = 0; i < channel->relays; i++)
		if (channel->relay[i].kernel)
			return true;
	return false;
}

bool
conf_has_web(const struct conf *conf)
{
	return conf->web.address.ss_family != AF_UNSPEC;
}

unsigned
conf_forwarders(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->channels; i++)
		if (conf->channel[i].forward)
			return conf->forward.processes;
	return conf->forward.live ? 1 : 0;
}

bool
conf_own_users(const struct conf *conf)
{
	return conf->user_base != 0 ||
	    (conf->user != NULL && strstr(conf->user, "%c") != NULL);
}

char *
conf_users_text(const struct conf *conf)
{
	if (conf->user_base == 0)
		return xstrdup(conf->user != NULL ? conf->user : "");
	return xasprintf("%u+%u", conf->user_base, conf->user_count);
}

struct channel_conf *
conf_channel(const struct conf *conf, const char *name)
{
	size_t i;

	for (i = 0; i < conf->channels; i++)
		if (strcmp(conf->channel[i].name, name) == 0)
			return &conf->channel[i];
	return NULL;
}
