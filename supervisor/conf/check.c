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
#include "supervisor/conf/conf_priv.h"

#define RMEM_MAX_FILE	"/proc/sys/net/core/rmem_max"

struct check {
	const struct conf		*conf;
	const struct channel_places	*places;
	struct problem_list		*problems;
	const struct channel_conf	**input;	/* sorted by address */
	size_t				 inputs;
	struct ifaddrs			*local;
};

/* An address that was there and right, with its port. */
static bool
usable(const struct sockaddr_storage *address)
{
	return address->ss_family != AF_UNSPEC && address_port(address) != 0;
}

static const char *
text_of(const struct sockaddr_storage *address,
    char text[static ADDRESS_TEXT_SIZE])
{
	(void)format_address((const struct sockaddr *)address, text);
	return text;
}

static const struct channel_places *
places_of(const struct check *check, const struct channel_conf *channel)
{
	return &check->places[channel - check->conf->channel];
}

/*** Inputs. ***/

static int
compare_inputs(const void *one, const void *other)
{
	const struct channel_conf *a = *(const struct channel_conf *const *)
	    one, *b = *(const struct channel_conf *const *)other;
	int order;

	order = address_compare(&a->listen.address, &b->listen.address);
	return order != 0 ? order : a < b ? -1 : a > b;
}

static int
compare_address(const void *key, const void *other)
{
	const struct channel_conf *b = *(const struct channel_conf *const *)
	    other;

	return address_compare(key, &b->listen.address);
}

/* A channel that listens on exactly this address and port, or NULL. */
static const struct channel_conf *
find_input(const struct check *check, const struct sockaddr_storage *address)
{
	const struct channel_conf **found;

	if (check->inputs == 0)
		return NULL;
	found = bsearch(address, check->input, check->inputs,
	    sizeof(check->input[0]), compare_address);
	return found != NULL ? *found : NULL;
}

/* One that listens on this port on all addresses of this family, or NULL. */
static const struct channel_conf *
find_wildcard(const struct check *check,
    const struct sockaddr_storage *address)
{
	struct sockaddr_storage any = { .ss_family = address->ss_family };

	address_set_port(&any, address_port(address));
	return find_input(check, &any);
}

static void
sort_inputs(struct check *check)
{
	const struct channel_conf *channel = check->conf->channel;
	size_t i;

	check->input = xcalloc(check->conf->channels + 1,
	    sizeof(check->input[0]));
	for (i = 0; i < check->conf->channels; i++)
		if (usable(&channel[i].listen.address))
			check->input[check->inputs++] = &channel[i];
	if (check->inputs > 0)
		qsort(check->input, check->inputs, sizeof(check->input[0]),
		    compare_inputs);
}

/* It may come up later: a check at boot must not fail. */
static void
check_interface(const struct check *check, const char *name,
    struct place place)
{
	const struct ifaddrs *i;

	if (name[0] == '\0' || check->local == NULL)
		return;
	/* Every interface is in the list, also one without addresses. */
	for (i = check->local; i != NULL; i = i->ifa_next)
		if (strcmp(i->ifa_name, name) == 0)
			return;
	problem_warning(check->problems, place,
	    "there is no interface `%s' at present", name);
}

/* Reported at the one that comes later in the file. */
static void
report_shared(const struct check *check, const struct channel_conf *a,
    const struct channel_conf *b)
{
	const struct channel_conf *first = MIN_OF(a, b), *later = MAX_OF(a, b);
	char one[ADDRESS_TEXT_SIZE], other[ADDRESS_TEXT_SIZE];

	problem_error(check->problems, places_of(check, later)->listen,
	    "channel `%s' listens on %s, channel `%s' (line %u) on %s: "
	    "they cannot share an address and port", later->name,
	    text_of(&later->listen.address, one), first->name, first->line,
	    text_of(&first->listen.address, other));
}

static void
check_inputs(const struct check *check)
{
	const struct channel_conf *input, *wildcard;
	size_t i;

	for (i = 0; i < check->inputs; i++) {
		input = check->input[i];
		if (i > 0 && address_compare(&input->listen.address,
		    &check->input[i - 1]->listen.address) == 0)
			report_shared(check, check->input[i - 1], input);
		wildcard = find_wildcard(check, &input->listen.address);
		if (wildcard != NULL &&
		    !address_is_any(&input->listen.address))
			report_shared(check, wildcard, input);
	}
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
	const struct channel_conf *input = find_input(check, &to->address);
	char text[ADDRESS_TEXT_SIZE];

	if (input == NULL && !udp_is_group(&to->address)) {
		input = find_wildcard(check, &to->address);
		if (input != NULL && !is_local(check, &to->address))
			input = NULL;
	}
	if (input != NULL)
		problem_error(check->problems, place,
		    "a loop: what goes to %s is received by channel `%s' "
		    "(line %u)", text_of(&to->address, text), input->name,
		    input->line);
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

	if (!usable(&source))
		return;
	for (i = 0; i < check->inputs; i++) {
		address = check->input[i]->listen.address;
		if (address.ss_family != source.ss_family ||
		    address_port(&address) != address_port(&source) ||
		    udp_is_group(&address) || (!address_is_any(&address) &&
		    !address_is_any(&source) &&
		    address_compare(&address, &source) != 0))
			continue;
		problem_error(check->problems, place,
		    "`source_port: %u': channel `%s' (line %u) listens on %s: "
		    "what is sent to it would not all be received",
		    address_port(&source), check->input[i]->name,
		    check->input[i]->line, text_of(&address, text));
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
		    "`broadcast: true'", text_of(&to->address, text),
		    interface);
	if (source.ss_family != AF_UNSPEC)
		address_set_port(&source, 0);
	if (places->source.line != 0 && check->local != NULL &&
	    source.ss_family != AF_UNSPEC && !is_local(check, &source))
		problem_warning(check->problems, places->source,
		    "no interface has this source address at present");
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
	const struct channel_places *places = places_of(check, channel);

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
		if (!usable(&output_of(channel, i)->address) ||
		    !same_destination(output_of(channel, i), to))
			continue;
		problem_error(check->problems,
		    output_place(check, channel, output)->item,
		    "channel `%s' sends to %s already (line %u)",
		    channel->name, text_of(&to->address, text),
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
		if (!usable(&to->address))
			continue;
		check_addresses(check, to, places);
		check_loop(check, to, places->item);
		check_source_port(check, to, places->item);
		check_twin(check, channel, i);
	}
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
	const struct channel_places *places = places_of(check, channel);
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

/*** This host. ***/

/* What the kernel grants to everybody; 0: nobody knows. */
static uint64_t
rmem_max(void)
{
	uint64_t most = 0;
	FILE *f;

	if ((f = fopen(RMEM_MAX_FILE, "re")) == NULL)
		return 0;
	if (fscanf(f, "%" SCNu64, &most) != 1)
		most = 0;
	(void)fclose(f);
	return most;
}

/* One warning, for the largest: its advice serves them all. */
static void
check_receive_buffers(const struct check *check)
{
	const struct channel_conf *c, *large = NULL;
	const struct conf *conf = check->conf;
	uint64_t most = geteuid() == 0 ? 0 : rmem_max();

	for (c = conf->channel; c < conf->channel + conf->channels; c++)
		if (large == NULL || c->receive_buffer >
		    large->receive_buffer)
			large = c;
	if (most == 0 || large == NULL ||
	    large->receive_buffer <= most)
		return;
	problem_warning(check->problems,
	    places_of(check, large)->receive_buffer,
	    "a `receive_buffer' of %" PRIu64 " bytes is more than the kernel "
	    "grants (%" PRIu64 "): as root, sysctl -w "
	    "net.core.rmem_max=%" PRIu64, large->receive_buffer, most,
	    large->receive_buffer);
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
	sort_inputs(&check);
	check_inputs(&check);
	for (c = conf->channel; c < conf->channel + conf->channels &&
	    !problem_enough(problems); c++) {
		check_interface(&check, c->listen.interface,
		    check.places[c - conf->channel].interface);
		check_outputs(&check, c);
		for (i = 0; i < c->decimates; i++)
			check_stream_name(&check, c, i);
	}
	check_receive_buffers(&check);
	check_decimators(&check);
	conf_check_forward(conf, places, problems);
	free(check.input);
	if (check.local != NULL)
		freeifaddrs(check.local);
}
