/* SPDX-License-Identifier: ISC */
/*
 * What an AF_XDP socket can receive (bpf/xdp_input.bpf.c), and what is an
 * ordinary one's.  See check.c.  Supervisor only.
 */
#include <string.h>

#include "common/util.h"
#include "supervisor/conf/check_priv.h"

static const char *
refuse(const struct check *check, const struct channel_conf *channel,
    const struct listen_config *listen)
{
	if (listen->interface[0] == '\0')
		return "needs an `interface', at whose queue it receives";
	if (address_is_any(&listen->address))
		return "needs one `address', which its program knows "
		    "datagrams by";
	if (channel->inputs > 1)
		return "is for the only input of a channel";
	if (channel->worker[0] != '\0')
		return "needs a worker of the channel's own: leave `worker' "
		    "out";
	if (conf_relays_by_kernel(channel))
		return "takes datagrams before a program of `path: kernel' "
		    "sees them: leave one of them out";
	if (listen->share)
		return "leaves nothing to other programs that have the port "
		    "open: leave `share' out";
	if (check_is_shared(check, channel, listen))
		return "needs an address and port that no other channel "
		    "listens on";
	return NULL;
}

/* The kernel has one for each queue.  The channel before that has it; NULL:
 * none. */
static const struct channel_conf *
find_other(const struct conf *conf, const struct channel_conf *channel)
{
	const struct listen_config *listen = channel->listen, *other;
	const struct channel_conf *each;

	for (each = conf->channel; each < channel; each++) {
		other = each->listen;
		if (other->xdp && other->queue == listen->queue &&
		    strcmp(other->interface, listen->interface) == 0)
			return each;
	}
	return NULL;
}

void
check_xdp(const struct check *check, const struct channel_conf *channel)
{
	const struct channel_places *places = check_places(check, channel);
	const struct channel_conf *other;
	const char *why;
	size_t i;

	for (i = 0; i < channel->inputs; i++) {
		/* Shards say that themselves. */
		if (!channel->listen[i].xdp || channel->shards > 0 ||
		    !check_usable(&channel->listen[i].address))
			continue;
		why = refuse(check, channel, &channel->listen[i]);
		if (why != NULL) {
			problem_error(check->problems, places->input[i].path,
			    "`path: xdp' %s", why);
			continue;
		}
		other = find_other(check->conf, channel);
		if (other != NULL)
			problem_error(check->problems, places->input[i].path,
			    "`path: xdp': channel `%s' (line %u) has queue %u "
			    "of `%s', and the kernel has one such socket for "
			    "each: name another `queue'", other->name,
			    other->line, channel->listen[i].queue,
			    channel->listen[i].interface);
	}
}
