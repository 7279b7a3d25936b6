/* SPDX-License-Identifier: ISC */
/*
 * Addresses and sockets of the source and the sink.
 */
#ifndef MCRELAY_GEN_ENDPOINT_H
#define MCRELAY_GEN_ENDPOINT_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

struct gen_options;

/* Numeric address:port, IPv6 in brackets; false when it is not. */
bool		endpoint_parse(const char *text,
		    struct sockaddr_storage *address) ATTR_NONNULL;
/* A numeric address alone; the port is 0. */
bool		endpoint_parse_host(const char *text,
		    struct sockaddr_storage *address) ATTR_NONNULL;
bool		endpoint_is_multicast(const struct sockaddr_storage *address)
		    ATTR_NONNULL;
uint16_t	endpoint_port(const struct sockaddr_storage *address)
		    ATTR_NONNULL;

/*
 * A non-blocking socket connected to the destination, or bound to the
 * address and joined to it when it is a group.  -1 after a log line.
 */
int		endpoint_open_source(const struct gen_options *options)
		    ATTR_NONNULL;
int		endpoint_open_sink(const struct gen_options *options)
		    ATTR_NONNULL;

#endif /* MCRELAY_GEN_ENDPOINT_H */
