/* SPDX-License-Identifier: ISC */
/*
 * Captures, pcap and pcapng: their UDP datagrams, one after the other.  Tools.
 * In a build without libpcap there are none, and capture_open() says so.
 */
#ifndef MCRELAY_TOOLS_CAPTURE_H
#define MCRELAY_TOOLS_CAPTURE_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

struct capture;

struct capture_datagram {
	struct sockaddr_storage	 from;
	struct sockaddr_storage	 to;
	uint64_t		 time_ns;	/* since 1970 */
	const uint8_t		*payload;	/* until the next one */
	size_t			 size;
};

enum capture_status {
	CAPTURE_OK,
	CAPTURE_END,
	CAPTURE_DAMAGED,	/* no more can be read; *why */
};

/* Whether a file is one, by its first bytes. */
bool	capture_is(const char *path) ATTR_NONNULL;

/* NULL: *why, malloc'ed, says why not. */
struct capture	*capture_open(const char *path, char **why) ATTR_NONNULL;
void	capture_close(struct capture *capture) ATTR_NONNULL;

enum capture_status	capture_next(struct capture *capture,
			    struct capture_datagram *datagram,
			    const char **why) ATTR_NONNULL;

/* What was UDP and left out so far: fragments, and datagrams that had not been
 * captured whole. */
void	capture_left_out(const struct capture *capture, uint64_t *fragments,
	    uint64_t *cut) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_CAPTURE_H */
