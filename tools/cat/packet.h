/* SPDX-License-Identifier: ISC */
/*
 * IP and UDP headers for datagrams of which the archive has only addresses.
 * mcrelay-cat.
 */
#ifndef MCRELAY_CAT_PACKET_H
#define MCRELAY_CAT_PACKET_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/ip_header.h"

/* Reads address:port as archives have it; an interface in it is left out.
 * False: it is none, and *address has AF_UNSPEC. */
bool	packet_address(const char *text, size_t size,
	    struct sockaddr_storage *address) ATTR_NONNULL;

/*
 * The headers of a datagram: returns their size, or 0 when there is none so
 * long.  An address that is not known (AF_UNSPEC), or of another family than
 * the source, becomes 0.0.0.0 or ::, and its port stays.
 */
size_t	packet_head(uint8_t head[static IP_HEADER_MAX],
	    const struct sockaddr_storage *from,
	    const struct sockaddr_storage *to, const uint8_t *payload,
	    size_t size) __attribute__((__nonnull__(1, 2, 3)));

#endif /* MCRELAY_CAT_PACKET_H */
