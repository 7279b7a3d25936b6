/* SPDX-License-Identifier: ISC */
/*
 * The section `web': where metrics are served, and to whom.  Supervisor only.
 * The files that it names are read elsewhere (supervisor/web_files.h).
 */
#include <sys/un.h>
#include <stdlib.h>
#include <string.h>

#include "common/udp.h"
#include "supervisor/conf/address.h"
#include "supervisor/conf/conf_priv.h"

#define PORT_PRESET	9841

static const struct number_key port_key = {
	.name = "port", .min = 1, .max = UINT16_MAX, .preset = PORT_PRESET,
};

static bool
is_loopback_or_path(const struct web_conf *web)
{
	return web->address.ss_family == AF_UNIX ||
	    address_is_loopback(&web->address);
}

static void
read_address(struct section *section, const struct node *node,
    struct web_conf *web)
{
	const char *text = node != NULL ? node->text : "127.0.0.1";
	const char *why = address_parse(text, &web->address);

	if (why == NULL && udp_is_group(&web->address))
		why = "nobody can connect to a multicast group";
	else if (why == NULL && web->address.ss_family == AF_INET6 &&
	    address_is_link_local(&web->address))
		why = "a link-local address is none without its interface: "
		    "another one of the host, or :: with `allow: [fe80::/10]'";
	if (why == NULL)
		return;
	problem_error(section->problems, node->place, "`address: %s': %s",
	    text, why);
	web->address.ss_family = AF_UNSPEC;
}

/*** Who may read it. ***/

static void
read_file(const struct conf_reader *reader, struct section *section,
    const char *key, bool required, enum web_text which,
    struct web_conf *web)
{
	char *path = conf_read_path(reader, section, key, required,
	    WEB_PATH_SIZE - 1, NULL);

	if (path != NULL)
		memcpy(web->file[which], path, strlen(path));
	free(path);
}

static void
read_tls(const struct conf_reader *reader, struct section *top,
    struct web_conf *web)
{
	struct section section;

	if (!section_enter(top, "tls", &section))
		return;
#ifndef HAVE_WEB_TLS
	problem_error(section.problems, section_place(&section),
	    "`tls' needs GnuTLS and a libmicrohttpd with it, which this "
	    "mcrelay was built without: put a proxy that speaks TLS in front");
#endif
	read_file(reader, &section, "certificate", true, WEB_CERTIFICATE,
	    web);
	read_file(reader, &section, "key", true, WEB_KEY, web);
	section_close(&section);
}

static void
read_users(const struct conf_reader *reader, struct section *section,
    struct web_conf *web)
{
	read_file(reader, section, "users", false, WEB_USERS, web);
#ifndef HAVE_CRYPT
	if (web->file[WEB_USERS][0] != '\0')
		problem_error(section->problems, section_get(section,
		    "users")->place, "`users' needs libcrypt, which this "
		    "mcrelay was built without");
#endif
}

static void
read_allow(struct section *section, struct web_conf *web)
{
	const struct node *list, *item;
	struct source_prefix prefix;
	const char *why;
	bool single;
	int family;

	list = section_list(section, "allow", WEB_ALLOW_MAX);
	for (item = list != NULL ? list->first : NULL; item != NULL;
	    item = item->next) {
		if (item->kind == NODE_BAD)
			continue;
		why = item->kind != NODE_SCALAR ? node_kind_name(item) :
		    prefix_parse(item->text, &prefix, &family, &single);
		if (why == NULL)
			web->allow[web->allows++] = prefix;
		else if (item->kind == NODE_SCALAR)
			problem_error(section->problems, item->place,
			    "`allow: [%s]': %s", item->text, why);
		else
			problem_error(section->problems, item->place,
			    "each item of `allow' has to be an address or a "
			    "network, not %s", why);
	}
	/* It would allow everybody. */
	if (list != NULL && list->children == 0)
		problem_error(section->problems, list->place,
		    "`allow' is empty: nobody could connect");
	if (list != NULL && web->address.ss_family == AF_UNIX)
		problem_error(section->problems, list->place,
		    "`allow' is for addresses: who may connect to a `unix' "
		    "socket its directory says");
}

static void
check_open(struct section *section, const struct node *address,
    const struct web_conf *web)
{
	struct place place = address != NULL ? address->place :
	    section_place(section);

	if (web->address.ss_family == AF_UNSPEC || is_loopback_or_path(web))
		return;
	/* What is wrong with `allow' has been said. */
	if (web->file[WEB_USERS][0] == '\0' && web->allows == 0 &&
	    section_get(section, "allow") == NULL)
		problem_error(section->problems, place, "`address: %s': "
		    "everybody who gets there could read all: say who may, by "
		    "`users: FILE' or `allow: [NETWORKS]', or leave it at "
		    "127.0.0.1 with a proxy in front", address->text);
	else if (web->file[WEB_USERS][0] != '\0' &&
	    web->file[WEB_CERTIFICATE][0] == '\0')
		problem_warning(section->problems, place, "passwords of "
		    "`users' cross the network for everybody to read: add "
		    "`tls'");
}

static void
set_path(const char *path, struct sockaddr_storage *address)
{
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)address;

	memset(address, 0, sizeof(*address));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path));
}

void
conf_read_web(const struct conf_reader *reader, struct section *top,
    struct web_conf *web)
{
	const struct node *address, *port_node;
	struct place place = {0, 0};
	struct section section;
	uint16_t port;
	char *path;

	if (!section_enter(top, "web", &section))
		return;
#ifndef HAVE_MICROHTTPD
	problem_error(section.problems, section_place(&section),
	    "`web' needs libmicrohttpd, which this mcrelay was built without");
#endif
	address = section_scalar(&section, "address", false);
	port = (uint16_t)section_number(&section, &port_key, &port_node);
	path = conf_read_path(reader, &section, "unix", false,
	    sizeof(((struct sockaddr_un *)0)->sun_path) - 1, &place);
	if (path != NULL && (address != NULL || port_node != NULL))
		problem_error(section.problems, place,
		    "either `unix' or `address' and `port'");
	if (path != NULL)
		set_path(path, &web->address);
	else
		read_address(&section, address, web);
	if (path == NULL && web->address.ss_family != AF_UNSPEC)
		address_set_port(&web->address, port);
	read_tls(reader, &section, web);
	read_users(reader, &section, web);
	read_allow(&section, web);
	check_open(&section, address, web);
	free(path);
	section_close(&section);
}
