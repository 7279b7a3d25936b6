/* SPDX-License-Identifier: ISC */
/*
 * The section `forward', and whose archives are forwarded.  Supervisor only.
 * Asks no server: that belongs to mcrelay-forwarder.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/forward.h"
#include "common/shard_name.h"
#include "common/util.h"
#include "supervisor/conf/conf_priv.h"

/* A stream's or subject's name. */
#define NAME_MAX_SIZE	200U
#define DAY		(86400 * NS_PER_S)

static const struct number_key forwarders_key = {
	.name = "forwarders", .min = 1, .max = FORWARDERS_MAX, .preset = 1,
};
static const struct number_key replicas_key = {
	.name = "replicas", .min = 1, .max = 5, .preset = 1,
};
static const struct number_key age_key = {
	.name = "age", .unit = UNIT_TIME, .min = NS_PER_S, .max = 36600 * DAY,
};
static const struct number_key size_key = {
	.name = "size", .unit = UNIT_BYTES, .min = 1 << 20,
	.max = UINT64_C(1) << 60,
};
static const struct number_key messages_key = {
	.name = "messages", .min = 1, .max = UINT64_C(1) << 60,
};

/*** Names. ***/

char *
conf_forward_name(const char *pattern, const char *host, const char *channel)
{
	char *name = xstrdup(pattern), *mark, *next;
	char token[CHANNEL_NAME_MAX + 1];
	const char *value;
	size_t size;

	shard_name_token(channel, token, sizeof(token));
	while ((mark = strchr(name, '{')) != NULL) {
		value = strncmp(mark, "{host}", 6) == 0 ? host : token;
		size = strcspn(mark, "}");
		next = xasprintf("%.*s%s%s", (int)(mark - name), name, value,
		    mark + size + 1);
		free(name);
		name = next;
	}
	return name;
}

/* Its braces are {host} and {channel}, and what comes of them is a name. */
static bool
is_pattern(const char *pattern, bool subject)
{
	const char *at = pattern;
	size_t size;

	if (*at == '\0' || strlen(at) > NAME_MAX_SIZE ||
	    strpbrk(at, subject ? "*> \t\r\n/\\" : ".*> \t\r\n/\\") != NULL)
		return false;
	while ((size = strcspn(at, "{}")) != strlen(at)) {
		if (strncmp(at + size, "{host}", 6) != 0 &&
		    strncmp(at + size, "{channel}", 9) != 0)
			return false;
		at += size + strcspn(at + size, "}") + 1;
	}
	return !subject || (*pattern != '.' && strstr(pattern, "..") == NULL &&
	    pattern[strlen(pattern) - 1] != '.' &&
	    strncmp(pattern, "$", 1) != 0);
}

static char *
read_pattern(struct section *section, const char *key, const char *preset,
    bool subject)
{
	const struct node *node = section_scalar(section, key, false);

	if (node == NULL)
		return xstrdup(preset);
	if (!is_pattern(node->text, subject))
		problem_error(section->problems, node->place, "`%s: %s': not "
		    "a name that a NATS server takes for a %s, with {host} and "
		    "{channel} in it", key, node->text, key);
	else if (strstr(node->text, "{channel}") == NULL)
		problem_error(section->problems, node->place, "`%s: %s': "
		    "without {channel} in it, all channels would have the "
		    "same", key, node->text);
	return xstrdup(node->text);
}

/*** The section. ***/

static bool
is_server(const char *text)
{
	size_t scheme = strncmp(text, "nats://", 7) == 0 ? 7 :
	    strncmp(text, "tls://", 6) == 0 ? 6 : 0;

	return scheme != 0 && text[scheme] != '\0' &&
	    strpbrk(text, " ,\t\r\n") == NULL;
}

static void
read_servers(struct section *section, struct forward_conf *forward)
{
	const struct node *list, *item;

	list = section_list(section, "servers", FORWARD_SERVERS_MAX);
	if (list == NULL) {
		section_missing(section, "servers");
		return;
	}
	for (item = list->first; item != NULL; item = item->next) {
		if (item->kind == NODE_BAD)
			continue;
		if (item->kind != NODE_SCALAR)
			problem_error(section->problems, item->place, "each "
			    "item of `servers' has to be a text, not %s",
			    node_kind_name(item));
		else if (!is_server(item->text))
			problem_error(section->problems, item->place,
			    "`servers: [%s]': write nats://HOST:PORT, or tls: "
			    "for nats:", item->text);
		else
			forward->server[forward->servers++] =
			    xstrdup(item->text);
	}
	if (list->children == 0)
		problem_error(section->problems, list->place,
		    "`servers' is empty");
}

static void
read_tls(const struct conf_reader *reader, struct section *top,
    struct forward_conf *forward)
{
	struct section section;

	forward->tls = section_enter(top, "tls", &section);
	if (!forward->tls)
		return;
	forward->ca = conf_read_path(reader, &section, "ca", false,
	    FORWARD_PATH_MAX, NULL);
	forward->certificate = conf_read_path(reader, &section, "certificate",
	    false, FORWARD_PATH_MAX, NULL);
	forward->key = conf_read_path(reader, &section, "key", false,
	    FORWARD_PATH_MAX, NULL);
	if ((forward->certificate == NULL) != (forward->key == NULL))
		problem_error(section.problems, section_place(&section),
		    "`certificate' and `key' belong together");
	section_close(&section);
}

static void
read_limits(struct section *top, struct forward_conf *forward)
{
	struct section section;

	(void)section_enter(top, "limits", &section);
	forward->age_ns = section_number(&section, &age_key, NULL);
	forward->size = section_number(&section, &size_key, NULL);
	forward->messages = section_number(&section, &messages_key, NULL);
	section_close(&section);
}

void
conf_read_forward(const struct conf_reader *reader, struct section *top,
    struct conf *conf)
{
	struct forward_conf *forward = &conf->forward;
	struct section section;

	forward->processes = (unsigned)section_number(top, &forwarders_key,
	    NULL);
	forward->wanted = section_enter(top, "forward", &section);
	if (!forward->wanted)
		return;
	/* One that the file names has been looked at. */
	if (section_get(top, "host") == NULL && !conf_is_token(conf->host))
		problem_error(top->problems, (struct place){ 0, 0 }, "this "
		    "host's name, `%s', cannot be part of a subject: say "
		    "`host: NAME'", conf->host);
#ifndef HAVE_NATS
	problem_error(section.problems, section_place(&section),
	    "`forward' needs libnats, which this mcrelay was built without");
#endif
	read_servers(&section, forward);
	forward->credentials = conf_read_path(reader, &section, "credentials",
	    false, FORWARD_PATH_MAX, NULL);
	read_tls(reader, &section, forward);
	forward->stream = read_pattern(&section, "stream", "mcrelay-{channel}",
	    false);
	forward->subject = read_pattern(&section, "subject",
	    "mcrelay.{host}.{channel}", true);
	forward->replicas = (unsigned)section_number(&section, &replicas_key,
	    NULL);
	forward->live = section_bool(&section, "live", false);
	read_limits(&section, forward);
	section_close(&section);
}

void
conf_clear_forward(struct forward_conf *forward)
{
	unsigned i;

	for (i = 0; i < forward->servers; i++)
		free(forward->server[i]);
	free(forward->credentials);
	free(forward->ca);
	free(forward->certificate);
	free(forward->key);
	free(forward->stream);
	free(forward->subject);
}

/*** With the channels. ***/

/* What is kept for a stream has to be on its way there, and must not fill the
 * disk when it gets nowhere. */
static void
check_keep(const struct channel_conf *channel, struct place place,
    struct problem_list *problems)
{
	if (!channel->archive.keep_unforwarded)
		return;
	if (!channel->forward)
		problem_error(problems, place, "channel %s has "
		    "`keep_unforwarded: true' and is not forwarded: it needs "
		    "`forward: true', too", channel->name);
	if (channel->archive.min_free == 0)
		problem_error(problems, place, "channel %s has "
		    "`keep_unforwarded: true' and no `min_free', which bounds "
		    "what is kept when nobody takes it", channel->name);
}

void
conf_check_forward(const struct conf *conf,
    const struct channel_places *places, struct problem_list *problems)
{
	const struct forward_conf *forward = &conf->forward;
	const struct channel_conf *channel;
	size_t i, count = 0;

	for (i = 0; i < conf->channels && !problem_enough(problems); i++) {
		channel = &conf->channel[i];
		check_keep(channel, places[i].name, problems);
		if (!channel->forward)
			continue;
		count++;
		if (!forward->wanted)
			problem_error(problems, places[i].name, "channel %s "
			    "has `forward: true', and there is no `forward' "
			    "at the top that says where", channel->name);
		else if (!channel->archive.enabled)
			problem_error(problems, places[i].name, "channel %s "
			    "has `forward: true' and no `archive': what is "
			    "forwarded is the archive", channel->name);
	}
	if (count > (size_t)forward->processes * FORWARD_CHANNELS_MAX)
		problem_error(problems, (struct place){ 0, 0 }, "a forwarder "
		    "has at most %u channels, and there are %zu with "
		    "`forward: true': raise `forwarders'",
		    FORWARD_CHANNELS_MAX, count);
}
