/* SPDX-License-Identifier: ISC */
/*
 * Reading a channel's `listen' and its destinations.  Supervisor only.
 * Opens no sockets of the channel's: a check must work while a daemon runs.
 */
#include <ctype.h>
#include <string.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/conf/conf_priv.h"

/* Hops a datagram may make: a group stays on its link unless told. */
#define TTL_GROUP	1
#define TTL_UNICAST	64

static const struct number_key port_key = {
	.name = "port", .min = 1, .max = 65535, .required = true,
};

static const struct number_key ttl_key = {
	.name = "ttl", .min = 0, .max = 255,
};

/* The kernel doubles what it is given, in an int. */
static const struct number_key receive_buffer_key = {
	.name = "receive_buffer", .unit = UNIT_BYTES, .min = 4096,
	.max = 1023 << 20, .preset = 8 << 20,
};

static const struct number_key coalesce_key = {
	.name = "coalesce", .unit = UNIT_TIME, .min = NS_PER_US,
	.max = 10 * NS_PER_MS, .zero = true,
};

static const struct number_key busy_poll_key = {
	.name = "busy_poll", .unit = UNIT_TIME, .min = NS_PER_US,
	.max = NS_PER_MS, .zero = true,
};

/* AF_UNSPEC when absent or wrong. */
static const struct node *
read_address(struct section *section, bool required,
    struct sockaddr_storage *address)
{
	const struct node *node;
	const char *why;

	*address = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
	node = section_scalar(section, "address", required);
	if (node == NULL)
		return NULL;
	if ((why = address_parse(node->text, address)) == NULL)
		return node;
	problem_error(section->problems, node->place,
	    "`address: %s': %s", node->text, why);
	*address = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
	return node;
}

/* What the kernel takes as the name of an interface. */
static bool
is_interface_name(const char *text)
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++)
		if (text[i] == '/' || text[i] == ':' ||
		    isspace((unsigned char)text[i]))
			return false;
	return i < IF_NAMESIZE && strcmp(text, ".") != 0 &&
	    strcmp(text, "..") != 0;
}

/* Whether there is one of that name is check.c's question. */
static void
read_interface(struct section *section, char name[static IF_NAMESIZE],
    struct place *place)
{
	const struct node *node;

	name[0] = '\0';
	node = section_scalar(section, "interface", false);
	if (node == NULL)
		return;
	if (!is_interface_name(node->text)) {
		problem_error(section->problems, node->place,
		    "`%s' cannot be the name of an interface", node->text);
		return;
	}
	(void)snprintf(name, IF_NAMESIZE, "%s", node->text);
	*place = node->place;
}

static void
check_link_local(struct section *section, const struct node *node,
    const struct sockaddr_storage *address, const char *interface)
{
	if (node != NULL && !section->partial && interface[0] == '\0' &&
	    address->ss_family == AF_INET6 && address_is_link_local(address))
		problem_error(section->problems, node->place,
		    "`address: %s' is link-local and needs an `interface'",
		    node->text);
}

/*** Inputs. ***/

static bool
same_prefix(const struct source_prefix *a, const struct source_prefix *b)
{
	return a->bits == b->bits &&
	    memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* False (and reported) when the item cannot be a source of this input. */
static bool
read_source(const struct section *section, const struct node *item,
    const struct listen_config *listen, struct source_prefix *prefix,
    bool *single)
{
	const char *why;
	int family;
	size_t i;

	if (item->kind != NODE_SCALAR) {
		if (item->kind != NODE_BAD)
			problem_error(section->problems, item->place,
			    "each item of `sources' has to be an address, "
			    "not %s", node_kind_name(item));
		return false;
	}
	why = prefix_parse(item->text, prefix, &family, single);
	if (why == NULL && !section->partial &&
	    listen->address.ss_family != AF_UNSPEC &&
	    family != listen->address.ss_family)
		why = "not of the family of the `address' listened on";
	for (i = 0; why == NULL && i < listen->sources; i++)
		if (same_prefix(&listen->source[i], prefix))
			why = "listed twice";
	if (why != NULL)
		problem_error(section->problems, item->place,
		    "source `%s': %s", item->text, why);
	return why == NULL;
}

static void
read_sources(struct section *section, const struct node *address,
    struct listen_config *listen)
{
	const struct node *list, *item;
	bool single, all_single = true;

	list = section_list(section, "sources", SOURCES_MAX);
	for (item = list != NULL ? list->first : NULL; item != NULL;
	    item = item->next) {
		if (!read_source(section, item, listen,
		    &listen->source[listen->sources], &single))
			continue;
		listen->sources++;
		all_single = all_single && single;
	}
	if (address != NULL && listen->address.ss_family != AF_UNSPEC &&
	    !section->partial && address_is_ssm(&listen->address) &&
	    (listen->sources == 0 || !all_single))
		problem_warning(section->problems, address->place,
		    "`address: %s' is for source-specific joins: list single "
		    "hosts in `sources'", address->text);
}

static uint64_t
read_coalesce(struct section *section)
{
	const struct node *node = section_get(section, "coalesce");

	if (node == NULL || (node->kind == NODE_SCALAR &&
	    strcmp(node->text, "auto") == 0))
		return COALESCE_AUTO;
	return section_number(section, &coalesce_key, NULL);
}

void
conf_read_listen(struct section *channel, struct channel_conf *conf,
    struct channel_places *places)
{
	struct listen_config *listen = &conf->listen;
	const struct node *address, *port, *buffer;
	struct section section;
	uint64_t number;

	if (!section_enter(channel, "listen", &section) &&
	    !channel->partial) {
		section_missing(channel, "listen");
		return;
	}
	address = read_address(&section, false, &listen->address);
	if (address == NULL)
		listen->address.ss_family = AF_INET;
	number = section_number(&section, &port_key, &port);
	address_set_port(&listen->address, (uint16_t)number);
	places->listen = port != NULL ? port->place : section_place(&section);
	read_interface(&section, listen->interface, &places->interface);
	read_sources(&section, address, listen);
	conf->receive_buffer = section_number(&section, &receive_buffer_key,
	    &buffer);
	places->receive_buffer = buffer != NULL ? buffer->place :
	    places->listen;
	conf->run.coalesce_ns = read_coalesce(&section);
	conf->run.busy_poll_ns = section_number(&section, &busy_poll_key,
	    NULL);
	check_link_local(&section, address, &listen->address,
	    listen->interface);
	section_close(&section);
}

/*** Outputs. ***/

static void
check_ttl(struct section *section, const struct node *ttl,
    struct destination_conf *to)
{
	bool group = udp_is_group(&to->address);

	if (ttl == NULL)
		to->ttl = group ? TTL_GROUP : TTL_UNICAST;
	else if (to->ttl == 0 && !group)
		problem_error(section->problems, ttl->place,
		    "`ttl: 0' is for multicast groups only");
}

void
conf_read_destination(struct section *section, struct destination_conf *to,
    struct output_places *places)
{
	const struct node *address, *ttl;
	const char *why;
	uint64_t number;

	address = read_address(section, true, &to->address);
	number = section_number(section, &port_key, NULL);
	places->item = section_place(section);
	read_interface(section, to->interface, &places->interface);
	to->ttl = (int32_t)section_number(section, &ttl_key, &ttl);
	to->loop = section_bool(section, "loop", true);
	if (to->address.ss_family == AF_UNSPEC)
		return;
	address_set_port(&to->address, (uint16_t)number);
	if ((why = address_refuse_output(&to->address)) != NULL)
		problem_error(section->problems, address->place,
		    "`address: %s': %s", address->text, why);
	else
		check_link_local(section, address, &to->address,
		    to->interface);
	check_ttl(section, ttl, to);
}
