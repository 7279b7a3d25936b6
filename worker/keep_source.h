/* SPDX-License-Identifier: ISC */
/*
 * Outputs that send with the address and port that each datagram came from
 * (`keep_source').  Worker, relay thread only.
 *
 * The socket is a raw one, which takes packets with their headers; the
 * supervisor has opened and connected it, and set what those of other outputs
 * have set: from there the headers have destination, hops and code point.
 * The kernel cuts nothing up here: what is larger than the interface's MTU it
 * refuses (EMSGSIZE).  It is told nothing by ICMP, so a port that nobody
 * listens at looks like any other.
 */
#ifndef MCRELAY_KEEP_SOURCE_H
#define MCRELAY_KEEP_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip_header.h"
#include "common/ring.h"

struct keep_source {
	bool			 wanted;
	bool			 known;		/* `header' is filled */
	struct ip_header	 header;	/* all but where it is from */
};

/* Asks the socket once; while it is not connected, which is for microseconds,
 * `known' stays false. */
void	keep_source_learn(struct keep_source *keep, int socket) ATTR_NONNULL;

/* Writes the headers of one of the record's datagrams; returns their size, 0:
 * there can be none, as it came from another family's address. */
size_t	keep_source_header(const struct keep_source *keep,
	    const struct ring_record *record, const uint8_t *payload,
	    size_t size, uint8_t header[static IP_HEADER_MAX]) ATTR_NONNULL;

#endif /* MCRELAY_KEEP_SOURCE_H */
