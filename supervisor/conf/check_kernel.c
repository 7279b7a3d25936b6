/* SPDX-License-Identifier: ISC */
/*
 * What a program in the kernel can relay (bpf/kernel_relay.bpf.c), and what is
 * a worker's.  See check.c.  Supervisor only.
 */
#include "common/udp.h"
#include "common/util.h"
#include "supervisor/conf/check_priv.h"

static const char *
refuse_output(const struct destination_conf *to)
{
	bool group = udp_is_group(&to->address);

	if (group && to->interface[0] == '\0')
		return "needs an `interface' for a group: the program asks no "
		    "routing table";
	if (group && to->loop)
		return "needs `loop: false': the kernel takes no copy for "
		    "listeners on this host, as it has this host's address";
	if (to->broadcast)
		return "sends to groups and single hosts: leave `broadcast' "
		    "out";
	if (to->ttl == 0)
		return "needs a `ttl' of at least 1";
	if (to->keep_source)
		return "sends from an address of this host: leave "
		    "`keep_source' out";
	return NULL;
}

static const char *
refuse_input(const struct check *check, const struct channel_conf *channel,
    const struct listen_config *listen, const struct destination_conf *to)
{
	if (listen->address.ss_family != to->address.ss_family)
		return "sends by the IP version that its channel receives by";
	if (listen->interface[0] == '\0')
		return "needs an `interface' in `listen', where the program is "
		    "to be";
	if (address_is_any(&listen->address))
		return "needs one `address' in `listen', which the program "
		    "knows datagrams by";
	if (check_is_shared(check, channel, listen))
		return "needs an address and port that no other channel "
		    "listens on";
	return NULL;
}

static const char *
refuse(const struct check *check, const struct channel_conf *channel,
    const struct destination_conf *to)
{
	const char *why = refuse_output(to);
	size_t i;

	for (i = 0; i < channel->inputs && why == NULL; i++)
		if (check_usable(&channel->listen[i].address))
			why = refuse_input(check, channel, &channel->listen[i],
			    to);
	if (why == NULL && channel->merge_window_ns != 0)
		why = "relays what each input brings: not with `merge'";
	if (why == NULL && channel->leased)
		why = "does not know whose turn it is: not with several "
		    "`hosts'";
	return why;
}

void
check_kernel(const struct check *check, const struct channel_conf *channel)
{
	const struct channel_places *places = check_places(check, channel);
	const struct destination_conf *to;
	const char *why;
	size_t i;

	for (i = 0; i < channel->relays; i++) {
		to = &channel->relay[i];
		if (!to->kernel || !check_usable(&to->address))
			continue;
		why = refuse(check, channel, to);
		if (why != NULL)
			problem_error(check->problems, places->relay[i].item,
			    "`path: kernel' %s", why);
	}
}
