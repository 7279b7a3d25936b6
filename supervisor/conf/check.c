/* SPDX-License-Identifier: ISC */
/*
 * What takes more than one place of a configuration to be wrong: channels
 * that share a port, outputs that come back in as input, names given twice.
 * Supervisor only.
 *
 * A loop is any output that an input would receive:
 *  - the same address and port, unicast or group, whatever the interfaces:
 *    which of them a network connects, nobody knows here;
 *  - a unicast output to an address of this host, on the port of an input
 *    that listens on the wildcard address.
 * Not a loop is a group output on the port of a wildcard input: inputs have
 * IP_MULTICAST_ALL off, so they receive only groups that they have joined,
 * and a wildcard input joins none.
 */
#include <sys/types.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/conf/check_priv.h"

/* It may come up later: a check at boot must not fail. */
static void
check_interface(const struct check *check, const char *name,
    struct place place)
{
	const struct ifaddrs *i;

	if (name[0] == '\0' || check->local == NULL)
		return;
	/* Every interface is in the list, also one without addresses, but not
	 * by its other names. */
	for (i = check->local; i != NULL; i = i->ifa_next)
		if (strcmp(i->ifa_name, name) == 0)
			return;
	if (if_nametoindex(name) != 0)
		return;
	problem_warning(check->problems, place,
	    "there is no interface `%s' at present", name);
}

/*** Outputs. ***/

static bool
is_local(const struct check *check, const struct sockaddr_storage *address)
{
	struct sockaddr_storage own;
	const struct ifaddrs *i;

	if (address_is_loopback(address))
		return true;
	for (i = check->local; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL ||
		    i->ifa_addr->sa_family != address->ss_family)
			continue;
		own = (struct sockaddr_storage){ 0 };
		memcpy(&own, i->ifa_addr, sockaddr_size(i->ifa_addr));
		address_set_port(&own, address_port(address));
		if (address_compare(&own, address) == 0)
			return true;
	}
	return false;
}

static void
check_loop(const struct check *check, const struct destination_conf *to,
    struct place place)
{
	const struct check_input *input = check_find_input(check, &to->address);
	char text[ADDRESS_TEXT_SIZE];

	if (input == NULL && !udp_is_group(&to->address)) {
		input = check_find_wildcard(check, &to->address);
		if (input != NULL && !is_local(check, &to->address))
			input = NULL;
	}
	if (input != NULL)
		problem_error(check->problems, place,
		    "a loop: what goes to %s is received by channel `%s' "
		    "(line %u)", check_text(&to->address, text),
		    input->channel->name, input->channel->line);
}

/* A socket that sends from where an input listens keeps it from being opened,
 * or, shared, takes what its receiver sends there. */
static void
check_source_port(const struct check *check, const struct destination_conf *to,
    struct place place)
{
	struct sockaddr_storage source = to->source, address;
	char text[ADDRESS_TEXT_SIZE];
	size_t i;

	if (!check_usable(&source))
		return;
	for (i = 0; i < check->inputs; i++) {
		address = check->input[i].listen->address;
		if (address.ss_family != source.ss_family ||
		    address_port(&address) != address_port(&source) ||
		    udp_is_group(&address) || (!address_is_any(&address) &&
		    !address_is_any(&source) &&
		    address_compare(&address, &source) != 0))
			continue;
		problem_error(check->problems, place,
		    "`source_port: %u': channel `%s' (line %u) listens on %s: "
		    "what is sent to it would not all be received",
		    address_port(&source), check->input[i].channel->name,
		    check->input[i].channel->line, check_text(&address, text));
		return;
	}
}

/* Which interface's broadcast address it is, of those there are now. */
static const char *
broadcast_of(const struct check *check, const struct sockaddr_storage *address)
{
	const struct sockaddr_in *in = (const void *)address, *own, *mask;
	const struct ifaddrs *i;
	in_addr_t hosts;

	if (address->ss_family != AF_INET)
		return NULL;
	for (i = check->local; i != NULL; i = i->ifa_next) {
		own = (const void *)i->ifa_addr;
		mask = (const void *)i->ifa_netmask;
		if ((i->ifa_flags & IFF_BROADCAST) == 0 || own == NULL ||
		    own->sin_family != AF_INET || mask == NULL)
			continue;
		hosts = ~mask->sin_addr.s_addr;
		/* With one or two addresses a network has none. */
		if (ntohl(hosts) > 1 && in->sin_addr.s_addr ==
		    (own->sin_addr.s_addr | hosts))
			return i->ifa_name;
	}
	return NULL;
}

/* Addresses may come and go: what is not so now may be later. */
static void
check_addresses(const struct check *check, const struct destination_conf *to,
    const struct output_places *places)
{
	const char *interface = broadcast_of(check, &to->address);
	char text[ADDRESS_TEXT_SIZE];
	struct sockaddr_storage source = to->source;

	if (interface != NULL && !to->broadcast)
		problem_error(check->problems, places->item,
		    "%s is the broadcast address of %s, and needs "
		    "`broadcast: true'", check_text(&to->address, text),
		    interface);
	if (source.ss_family != AF_UNSPEC)
		address_set_port(&source, 0);
	if (places->source.line != 0 && check->local != NULL &&
	    source.ss_family != AF_UNSPEC && !is_local(check, &source))
		problem_warning(check->problems, places->source,
		    "no interface has this source address at present");
}

/* Without an `interface' the routing table says which; it may have nothing to
 * say, and of a group it is not what one thinks of. */
static void
check_route(const struct check *check, const struct destination_conf *to,
    const struct output_places *places)
{
	const struct sockaddr *address = (const void *)&to->address;
	char text[ADDRESS_TEXT_SIZE];
	int fd;

	if (to->interface[0] != '\0' || to->broadcast)
		return;
	fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	if (connect(fd, address, sockaddr_size(address)) == -1 &&
	    (errno == ENETUNREACH || errno == EHOSTUNREACH))
		problem_warning(check->problems, places->item,
		    "there is no route to %s at present: add a route, or "
		    "`interface' to say where to", check_text(&to->address,
		    text));
	close(fd);
}

static bool
is_v6(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6;
}

/* An IPv4 packet has no place for an IPv6 sender, nor the other way round. */
static void
check_keep_source(const struct check *check,
    const struct channel_conf *channel, const struct destination_conf *to,
    struct place place)
{
	size_t i;

	for (i = 0; to->keep_source && i < channel->inputs; i++)
		if (is_v6(&channel->listen[i].address) !=
		    is_v6(&to->address)) {
			problem_error(check->problems, place,
			    "`keep_source: true': the channel receives by "
			    "IPv%d: an output by IPv%d cannot have its "
			    "senders' addresses", is_v6(&to->address) ? 4 : 6,
			    is_v6(&to->address) ? 6 : 4);
			return;
		}
}

static bool
same_destination(const struct destination_conf *a,
    const struct destination_conf *b)
{
	return address_compare(&a->address, &b->address) == 0 &&
	    strcmp(a->interface, b->interface) == 0;
}

/* The channel's output number i: relay first, then decimated streams. */
static const struct destination_conf *
output_of(const struct channel_conf *channel, size_t i)
{
	return i < channel->relays ? &channel->relay[i] :
	    &channel->decimate[i - channel->relays].to;
}

static const struct output_places *
output_place(const struct check *check, const struct channel_conf *channel,
    size_t i)
{
	const struct channel_places *places = check_places(check, channel);

	return i < channel->relays ? &places->relay[i] :
	    &places->stream[i - channel->relays];
}

static void
check_twin(const struct check *check, const struct channel_conf *channel,
    size_t output)
{
	const struct destination_conf *to = output_of(channel, output);
	char text[ADDRESS_TEXT_SIZE];
	size_t i;

	for (i = 0; i < output; i++) {
		if (!check_usable(&output_of(channel, i)->address) ||
		    !same_destination(output_of(channel, i), to))
			continue;
		problem_error(check->problems,
		    output_place(check, channel, output)->item,
		    "channel `%s' sends to %s already (line %u)",
		    channel->name, check_text(&to->address, text),
		    output_place(check, channel, i)->item.line);
		return;
	}
}

static void
check_outputs(const struct check *check, const struct channel_conf *channel)
{
	const struct output_places *places;
	const struct destination_conf *to;
	size_t i;

	for (i = 0; i < channel->relays + channel->decimates; i++) {
		to = output_of(channel, i);
		places = output_place(check, channel, i);
		check_interface(check, to->interface, places->interface);
		if (!check_usable(&to->address))
			continue;
		check_addresses(check, to, places);
		check_route(check, to, places);
		check_loop(check, to, places->item);
		check_source_port(check, to, places->item);
		check_keep_source(check, channel, to, places->item);
		check_twin(check, channel, i);
	}
	check_kernel(check, channel);
	check_xdp(check, channel);
}

/*** Names. ***/

static void
check_name(const struct conf *conf, const struct channel_conf *channel,
    struct place place, struct problem_list *problems)
{
	const struct channel_conf *c;

	for (c = conf->channel; c < channel; c++)
		if (channel->name[0] != '\0' &&
		    strcmp(c->name, channel->name) == 0) {
			problem_error(problems, place,
			    "there is a channel `%s' already (line %u)",
			    channel->name, c->line);
			return;
		}
}

void
conf_check_names(const struct conf *conf, const struct channel_places *places,
    struct problem_list *problems)
{
	size_t i;

	for (i = 0; i < conf->channels && !problem_enough(problems); i++)
		check_name(conf, &conf->channel[i], places[i].name, problems);
}

static void
check_stream_name(const struct check *check,
    const struct channel_conf *channel, size_t stream)
{
	const struct channel_places *places = check_places(check, channel);
	const char *name = channel->decimate[stream].name;
	size_t i;

	for (i = 0; i < stream; i++)
		if (name[0] != '\0' &&
		    strcmp(channel->decimate[i].name, name) == 0) {
			problem_error(check->problems,
			    places->stream_name[stream],
			    "channel `%s' has a stream `%s' already "
			    "(line %u)", channel->name, name,
			    places->stream_name[i].line);
			return;
		}
}

static void
check_decimators(const struct check *check)
{
	const struct conf *conf = check->conf;
	size_t i;

	for (i = 0; i < conf->channels && conf->decimators == 0; i++)
		if (conf->channel[i].decimates > 0) {
			problem_warning(check->problems,
			    check->places[i].stream[0].item,
			    "`decimators' is 0: no decimated stream is sent");
			return;
		}
}

void
conf_check(const struct conf *conf, const struct channel_places *places,
    struct problem_list *problems)
{
	struct check check = { .conf = conf, .places = places,
	    .problems = problems };
	const struct channel_conf *c;
	size_t i;

	if (getifaddrs(&check.local) == -1) {
		check.local = NULL;
		problem_warning(problems, (struct place){ 0, 0 },
		    "this host's addresses are unknown (%s): loops through "
		    "them are not noticed", strerror(errno));
	}
	check_sort_inputs(&check);
	check_inputs(&check);
	for (c = conf->channel; c < conf->channel + conf->channels &&
	    !problem_enough(problems); c++) {
		for (i = 0; i < c->inputs; i++)
			check_interface(&check, c->listen[i].interface,
			    check_places(&check, c)->input[i].interface);
		check_outputs(&check, c);
		for (i = 0; i < c->decimates; i++)
			check_stream_name(&check, c, i);
	}
	check_receive_buffers(&check);
	check_decimators(&check);
	conf_check_shards(conf, places, problems);
	conf_check_forward(conf, places, problems);
	conf_check_fleet(conf, problems);
	free(check.input);
	if (check.local != NULL)
		freeifaddrs(check.local);
}
