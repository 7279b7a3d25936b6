/* SPDX-License-Identifier: ISC */
/*
 * Channels that are shared out by who sends.  Supervisor only.  Each shard is a
 * channel like those in the file, but that it has its input's address together
 * with the others: so all that is known of channels holds for it.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/conf/conf_priv.h"

/* A dot, and the number of a shard. */
#define SUFFIX_MAX	3U
_Static_assert(SHARDS_MAX <= 100, "two digits");

/* To the kernel, which says so instead of a connection.  Not of 255.255.255.255
 * if it has no way to any other host. */
static bool
is_broadcast(const struct sockaddr_storage *address)
{
	const struct sockaddr *to = (const void *)address;
	bool is = false;
	int fd;

	if (address->ss_family != AF_INET || address_is_any(address))
		return false;
	if (((const struct sockaddr_in *)address)->sin_addr.s_addr ==
	    htonl(INADDR_BROADCAST))
		return true;
	if ((fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return false;
	if (connect(fd, to, sockaddr_size(to)) == -1)
		is = errno == EACCES;
	close(fd);
	return is;
}

/* NULL: nothing. */
static const char *
find_conflict(const struct channel_conf *channel)
{
	const struct listen_config *listen = channel->listen;

	if (channel->inputs > 1)
		return "is for a channel with one input";
	if (udp_is_group(&listen->address))
		return "is not for groups: each shard would receive all";
	if (listen->address.ss_family == AF_INET &&
	    address_is_any(&listen->address))
		return "needs one `address' of this host: what is sent to a "
		    "broadcast address, each shard would receive";
	if (is_broadcast(&listen->address))
		return "is not for a broadcast address: each shard would "
		    "receive all";
	if (listen->xdp)
		return "and `path: xdp' do not go together: its program knows "
		    "one channel at an address";
	if (listen->interface[0] != '\0')
		return "and `interface' the kernel does not keep together: "
		    "give an address of that interface";
	if (listen->share)
		return "and `share' do not go together: nobody else can have "
		    "the port";
	if (channel->decimates > 0)
		return "and `decimate' do not go together: each shard would "
		    "make a stream of its own of what it has";
	if (channel->leased)
		return "and several `hosts' do not go together";
	if (conf_relays_by_kernel(channel))
		return "and `path: kernel' do not go together: the program "
		    "knows one channel at an address";
	if (strlen(channel->name) + SUFFIX_MAX > CHANNEL_NAME_MAX)
		return "needs a shorter `name', which gets a dot and a number";
	return NULL;
}

void
conf_check_shards(const struct conf *conf, const struct channel_places *places,
    struct problem_list *problems)
{
	const struct channel_conf *channel;
	const char *conflict;
	size_t i;

	for (i = 0; i < conf->channels && !problem_enough(problems); i++) {
		channel = &conf->channel[i];
		conflict = channel->shards == 0 ? NULL :
		    find_conflict(channel);
		if (conflict != NULL)
			problem_error(problems, places[i].shards, "channel "
			    "`%s': `shards' %s", channel->name, conflict);
	}
}

static void *
copy(const void *from, size_t size)
{
	void *to = xmalloc(MAX_OF(size, (size_t)1));

	if (size > 0)
		memcpy(to, from, size);
	return to;
}

static char *
copy_text(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

static void
copy_texts(char ***list, size_t count)
{
	char *const *from = *list;
	size_t i;

	*list = xcalloc(count + 1, sizeof(**list));
	for (i = 0; i < count; i++)
		(*list)[i] = xstrdup(from[i]);
}

/* Of a channel without decimated streams. */
static void
copy_channel(struct channel_conf *to, const struct channel_conf *from)
{
	*to = *from;
	to->listen = copy(from->listen, from->inputs * sizeof(*from->listen));
	to->relay = copy(from->relay, from->relays * sizeof(*from->relay));
	to->schema_file = copy_text(from->schema_file);
	to->schema_text = copy_text(from->schema_text);
	to->require_mount = copy_text(from->require_mount);
	copy_texts(&to->schema_part, from->schema_parts);
	copy_texts(&to->host, from->hosts);
	if (from->program != NULL)
		to->program = copy(from->program, from->program_size);
	to->decimate = NULL;
}

static void
split_one(struct channel_conf *shard, const struct channel_conf *channel)
{
	size_t length = strlen(channel->name);
	uint32_t i;

	for (i = 0; i < channel->shards; i++) {
		copy_channel(&shard[i], channel);
		shard[i].shard = i;
		(void)snprintf(shard[i].name + length, sizeof(shard->name) -
		    length, ".%u", i);
	}
}

void
conf_split_shards(struct conf *conf, struct place place,
    struct problem_list *problems)
{
	struct channel_conf *all;
	size_t i, n = 0, count = 0;
	bool any = false;

	for (i = 0; i < conf->channels; i++) {
		any = any || conf->channel[i].shards > 0;
		count += MAX_OF(conf->channel[i].shards, 1U);
	}
	if (count > CHANNELS_MAX) {
		problem_error(problems, place, "with all shards there are %zu "
		    "channels: at most %u", count, CHANNELS_MAX);
		return;
	}
	if (!any)
		return;
	all = xcalloc(count + 1, sizeof(*all));
	for (i = 0; i < conf->channels; i++) {
		if (conf->channel[i].shards == 0) {
			all[n++] = conf->channel[i];
			continue;
		}
		split_one(&all[n], &conf->channel[i]);
		n += conf->channel[i].shards;
		conf_clear_channel(&conf->channel[i]);
	}
	free(conf->channel);
	conf->channel = all;
	conf->channels = count;
}
