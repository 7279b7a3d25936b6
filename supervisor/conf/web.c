/* SPDX-License-Identifier: ISC */
/*
 * The section `web': where metrics are served.  Supervisor only.
 */
#include <sys/un.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/conf/address.h"
#include "supervisor/conf/conf_priv.h"

#define PORT_PRESET	9841

static const struct number_key port_key = {
	.name = "port", .min = 1, .max = UINT16_MAX, .preset = PORT_PRESET,
};

static void
read_address(struct section *section, const struct node *node,
    struct sockaddr_storage *address)
{
	const char *text = node != NULL ? node->text : "127.0.0.1";
	const char *why = address_parse(text, address);

	if (why == NULL && !address_is_loopback(address))
		why = "everybody there could read it, and nobody is asked who "
		    "they are: only 127.0.0.1, ::1 and the like; others come "
		    "by way of a proxy";
	if (why == NULL)
		return;
	problem_error(section->problems, node->place, "`address: %s': %s",
	    text, why);
	address->ss_family = AF_UNSPEC;
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
	else {
		read_address(&section, address, &web->address);
		if (web->address.ss_family != AF_UNSPEC)
			address_set_port(&web->address, port);
	}
	free(path);
	section_close(&section);
}
