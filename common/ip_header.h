/* SPDX-License-Identifier: ISC */
/*
 * IP and UDP headers of a datagram, as they are on the wire.  Any process.
 */
#ifndef MCRELAY_IP_HEADER_H
#define MCRELAY_IP_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

/* IPv6 and UDP, bytes. */
#define IP_HEADER_MAX	48U

/* All that the headers say beside sizes and checksums. */
struct ip_header {
	bool		v6;
	bool		may_fragment;	/* v4: routers may cut it up */
	uint8_t		traffic_class;	/* code point, and two bits */
	uint8_t		hops;		/* links it may pass; v4's TTL */
	uint8_t		from[16];	/* network order; of v4 the first
					 * four */
	uint8_t		to[16];
	uint16_t	from_port;	/* host order */
	uint16_t	to_port;
};

/*
 * Writes the headers for a payload of `size' bytes, with its checksum (which
 * for v4 could be left out, but then nobody sees that it was spoilt); returns
 * their size, or 0 when no datagram is so long.
 */
size_t	ip_header_write(uint8_t to[static IP_HEADER_MAX],
	    const struct ip_header *header, const uint8_t *payload,
	    size_t size) ATTR_NONNULL;

#endif /* MCRELAY_IP_HEADER_H */
