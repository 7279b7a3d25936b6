/* SPDX-License-Identifier: ISC */
/*
 * Internet addresses in a configuration: parsing, and what kind they are of.
 * Supervisor only.  Never asks the name service.
 */
#ifndef MCRELAY_CONF_ADDRESS_H
#define MCRELAY_CONF_ADDRESS_H

#include <sys/socket.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"

/* All of these take AF_INET and AF_INET6 only. */

/* NULL, or what is wrong with the text; the port is left 0. */
const char	*address_parse(const char *text,
		    struct sockaddr_storage *address) ATTR_NONNULL;
uint16_t	address_port(const struct sockaddr_storage *address)
		    ATTR_NONNULL;
void		address_set_port(struct sockaddr_storage *address,
		    uint16_t port) ATTR_NONNULL;

bool	address_is_any(const struct sockaddr_storage *address) ATTR_NONNULL;
bool	address_is_loopback(const struct sockaddr_storage *address)
	    ATTR_NONNULL;
/* Its meaning depends on the interface. */
bool	address_is_link_local(const struct sockaddr_storage *address)
	    ATTR_NONNULL;
/* A group that exists for source-specific joins only. */
bool	address_is_ssm(const struct sockaddr_storage *address) ATTR_NONNULL;
/* NULL, or why nothing must be sent there; `broadcast': to all hosts may. */
const char	*address_refuse_output(const struct sockaddr_storage *address,
		    bool broadcast) ATTR_NONNULL;
/* Orders by family, port, address: 0 when all are equal. */
int	address_compare(const struct sockaddr_storage *one,
	    const struct sockaddr_storage *other) ATTR_NONNULL;

/*
 * "10.0.0.0/8", "fd00::/8" or a single host.  NULL, or what is wrong;
 * `family' is that of the address, `single' whether it is one host.
 */
const char	*prefix_parse(const char *text, struct source_prefix *prefix,
		    int *family, bool *single) ATTR_NONNULL;

/* As in `sources'; returns `text'. */
#define PREFIX_TEXT_SIZE	(INET6_ADDRSTRLEN + 4)
const char	*prefix_text(const struct source_prefix *prefix,
		    char text[static PREFIX_TEXT_SIZE]) ATTR_NONNULL;

#endif /* MCRELAY_CONF_ADDRESS_H */
