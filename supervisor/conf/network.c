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

#define DSCP_MAX	63

/* Of RFC 2474, 2597, 3246, 5865 and 8622, as tc(8) and iptables(8) have
 * them. */
static const struct {
	const char	*name;
	int32_t		 value;
} dscp_names[] = {
	{"cs0", 0}, {"le", 1}, {"cs1", 8}, {"af11", 10}, {"af12", 12},
	{"af13", 14}, {"cs2", 16}, {"af21", 18}, {"af22", 20}, {"af23", 22},
	{"cs3", 24}, {"af31", 26}, {"af32", 28}, {"af33", 30}, {"cs4", 32},
	{"af41", 34}, {"af42", 36}, {"af43", 38}, {"cs5", 40}, {"va", 44},
	{"ef", 46}, {"cs6", 48}, {"cs7", 56},
};

static const struct number_key port_key = {
	.name = "port", .min = 1, .max = 65535, .required = true,
};

static const struct number_key source_port_key = {
	.name = "source_port", .min = 1, .max = 65535,
};

static const struct number_key dscp_key = {
	.name = "dscp", .max = DSCP_MAX,
};

static const struct number_key ttl_key = {
	.name = "ttl", .min = 0, .max = 255,
};

static const struct number_key queue_key = {
	.name = "queue", .min = 0, .max = UINT16_MAX, .preset = 0,
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

static const struct number_key shards_key = {
	.name = "shards", .min = 1, .max = SHARDS_MAX,
};

static const struct number_key busy_poll_key = {
	.name = "busy_poll", .unit = UNIT_TIME, .min = NS_PER_US,
	.max = NS_PER_MS, .zero = true,
};

/* AF_UNSPEC when absent or wrong. */
static const struct node *
read_address(struct section *section, const char *key, bool required,
    struct sockaddr_storage *address)
{
	const struct node *node;
	const char *why;

	*address = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
	node = section_scalar(section, key, required);
	if (node == NULL)
		return NULL;
	if ((why = address_parse(node->text, address)) == NULL)
		return node;
	problem_error(section->problems, node->place,
	    "`%s: %s': %s", key, node->text, why);
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

bool
conf_read_segmentation(struct section *section)
{
	static const char *const words[] = {"auto", "off", NULL};

	return section_word(section, "segmentation", words, 0, NULL) == 1;
}

/* What it takes is check_xdp.c's question. */
static void
read_path(struct section *section, struct listen_config *listen,
    struct input_places *places)
{
	static const char *const words[] = {"socket", "xdp", NULL};
	static const char *const sums[] = {"verify", "trust", NULL};
	static const char *const keys[] = {"queue", "steer", "fallback",
	    "checksum"};
	const struct node *path, *node;
	size_t i;

	listen->xdp = section_word(section, "path", words, 0, &path) == 1;
	places->path = path != NULL ? path->place : places->listen;
	listen->queue = (uint16_t)section_number(section, &queue_key, NULL);
	listen->steer = section_bool(section, "steer", false);
	listen->xdp_only = !section_bool(section, "fallback", true);
	listen->trust = section_word(section, "checksum", sums, 0, NULL) == 1;
	if (listen->xdp || section->partial)
		return;
	for (i = 0; i < NITEMS(keys); i++)
		if ((node = section_get(section, keys[i])) != NULL)
			problem_error(section->problems, node->key_place,
			    "`%s' is for `path: xdp'", keys[i]);
	listen->queue = listen->xdp_only = listen->trust = 0;
	listen->steer = 0;
}

/* Of the input that the channel gets next. */
static void
read_input(struct section *section, struct channel_conf *conf,
    struct channel_places *channel_places)
{
	struct listen_config *listen = &conf->listen[conf->inputs];
	struct input_places *places = &channel_places->input[conf->inputs++];
	const struct node *address, *port, *buffer, *shards;
	uint64_t number;

	address = read_address(section, "address", false, &listen->address);
	if (address == NULL)
		listen->address.ss_family = AF_INET;
	number = section_number(section, &port_key, &port);
	address_set_port(&listen->address, (uint16_t)number);
	places->listen = port != NULL ? port->place : section_place(section);
	read_interface(section, listen->interface, &places->interface);
	read_sources(section, address, listen);
	listen->receive_buffer = section_number(section, &receive_buffer_key,
	    &buffer);
	places->receive_buffer = buffer != NULL ? buffer->place :
	    places->listen;
	listen->coalesce_ns = read_coalesce(section);
	listen->busy_poll_ns = section_number(section, &busy_poll_key, NULL);
	listen->share = section_bool(section, "share", false);
	number = section_number(section, &shards_key, &shards);
	if (shards != NULL)
		channel_places->shards = shards->place;
	conf->shards = MAX_OF(conf->shards, (uint32_t)number);
	listen->one_by_one = conf_read_segmentation(section);
	read_path(section, listen, places);
	check_link_local(section, address, &listen->address,
	    listen->interface);
	section_close(section);
}

/* What is no mapping is left out, and reported. */
static void
read_inputs(struct section *channel, struct channel_conf *conf,
    struct channel_places *places)
{
	const struct node *list, *item;
	struct section section;

	list = section_list(channel, "listen", INPUTS_MAX);
	for (item = list != NULL ? list->first : NULL; item != NULL;
	    item = item->next)
		if (section_item_default(channel, "listen", item, &section))
			read_input(&section, conf, places);
	if (list != NULL && list->children == 0)
		problem_error(channel->problems, list->place,
		    "`listen' is an empty list: a channel has an input");
}

void
conf_read_listen(struct section *channel, struct channel_conf *conf,
    struct channel_places *places)
{
	bool list = !channel->partial && section_is_list(channel, "listen");
	struct section section;

	conf->listen = xcalloc(list ? INPUTS_MAX : 1, sizeof(*conf->listen));
	if (list)
		read_inputs(channel, conf, places);
	else if (section_enter(channel, "listen", &section) ||
	    channel->partial)
		read_input(&section, conf, places);
	else
		section_missing(channel, "listen");
	/* Who looks at them finds one that is not usable. */
	conf->inputs = MAX_OF(conf->inputs, (size_t)1);
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

static int32_t
read_dscp(struct section *section)
{
	const struct node *node = section_get(section, "dscp");
	size_t i;

	for (i = 0; node != NULL && node->kind == NODE_SCALAR &&
	    i < NITEMS(dscp_names); i++)
		if (strcmp(node->text, dscp_names[i].name) == 0)
			return dscp_names[i].value;
	return (int32_t)section_number(section, &dscp_key, NULL);
}

/* From where it is sent.  `to->address' may be of no family. */
static void
read_source_of(struct section *section, struct destination_conf *to,
    struct output_places *places)
{
	sa_family_t family = to->address.ss_family;
	const struct node *address, *port;
	uint64_t number;

	address = read_address(section, "source_address", false, &to->source);
	number = section_number(section, &source_port_key, &port);
	if (address != NULL)
		places->source = address->place;
	if (address != NULL && to->source.ss_family != AF_UNSPEC &&
	    (address_is_any(&to->source) || udp_is_group(&to->source) ||
	    (family != AF_UNSPEC && to->source.ss_family != family))) {
		problem_error(section->problems, address->place,
		    "`source_address: %s' has to be an address of this host, "
		    "of the family of the `address' sent to", address->text);
		to->source = (struct sockaddr_storage){0};
	}
	if (port != NULL && to->source.ss_family == AF_UNSPEC)
		to->source.ss_family = family;
	if (to->source.ss_family != AF_UNSPEC)
		address_set_port(&to->source, (uint16_t)number);
}

static const char *
refuse_output(const struct destination_conf *to)
{
	if (to->broadcast && (to->address.ss_family != AF_INET ||
	    udp_is_group(&to->address)))
		return "`broadcast: true' is for IPv4 addresses other than "
		    "groups";
	return address_refuse_output(&to->address, to->broadcast);
}

void
conf_read_destination(struct section *section, struct destination_conf *to,
    struct output_places *places)
{
	const struct node *address, *ttl;
	const char *why;
	uint64_t number;

	address = read_address(section, "address", true, &to->address);
	number = section_number(section, &port_key, NULL);
	places->item = section_place(section);
	read_interface(section, to->interface, &places->interface);
	to->ttl = (int32_t)section_number(section, &ttl_key, &ttl);
	to->loop = section_bool(section, "loop", true);
	to->dscp = read_dscp(section);
	to->broadcast = section_bool(section, "broadcast", false);
	read_source_of(section, to, places);
	if (to->address.ss_family == AF_UNSPEC)
		return;
	address_set_port(&to->address, (uint16_t)number);
	if ((why = refuse_output(to)) != NULL)
		problem_error(section->problems, address->place,
		    "`address: %s': %s", address->text, why);
	else
		check_link_local(section, address, &to->address,
		    to->interface);
	check_ttl(section, ttl, to);
}
