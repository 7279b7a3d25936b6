/* SPDX-License-Identifier: ISC */
/*
 * Addresses and sockets of the tools that send and receive datagrams.
 */
#ifndef MCRELAY_TOOLS_ENDPOINT_H
#define MCRELAY_TOOLS_ENDPOINT_H

#include <sys/socket.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

/* Where to send to, or to listen. */
struct endpoint {
	struct sockaddr_storage	 address;	/* with the port */
	struct sockaddr_storage	 from;		/* AF_UNSPEC: any source */
	unsigned		 interface;	/* index; 0: routing's choice */
	char			 interface_name[IF_NAMESIZE];
	int			 ttl;		/* -1: the kernel's default */
};

/* Numeric address:port, IPv6 in brackets; false when it is not. */
bool		endpoint_parse(const char *text,
		    struct sockaddr_storage *address) ATTR_NONNULL;
/* A numeric address alone; the port is 0. */
bool		endpoint_parse_host(const char *text,
		    struct sockaddr_storage *address) ATTR_NONNULL;
uint16_t	endpoint_port(const struct sockaddr_storage *address)
		    ATTR_NONNULL;
/* False when there is no interface of this name. */
bool		endpoint_set_interface(struct endpoint *endpoint,
		    const char *name) ATTR_NONNULL;

/*
 * A non-blocking socket connected to the destination, or bound to the
 * address and joined to it when it is a group.  -1 after a log line.
 */
int		endpoint_open_source(const struct endpoint *endpoint)
		    ATTR_NONNULL;
/* The same, not connected: for hosts, groups or both, of the family of the
 * endpoint's address. */
int		endpoint_open_sources(const struct endpoint *endpoint,
		    bool hosts, bool groups) ATTR_NONNULL;
/* The address with the interface as its scope, where it needs one. */
struct sockaddr_storage	endpoint_scoped(const struct endpoint *endpoint)
		    ATTR_NONNULL;
int		endpoint_open_sink(const struct endpoint *endpoint)
		    ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_ENDPOINT_H */
