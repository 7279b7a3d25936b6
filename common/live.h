/* SPDX-License-Identifier: ISC */
/*
 * How decimated streams reach mcrelay-web, and mcrelay-forwarder: packets of a
 * SOCK_SEQPACKET pair each, which decimators send without ever waiting, and it
 * reads now and then.
 *
 * A packet is a magic number and records, each a struct live_record and as many
 * bytes as that says, padded to a multiple of 8.  Whoever reads one must not
 * believe it: live_next() bounds all.
 */
#ifndef MCRELAY_LIVE_H
#define MCRELAY_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/datum.h"

/* "MCLIVE1", first byte first in memory. */
#define LIVE_MAGIC	UINT64_C(0x00314556494c434d)
#define LIVE_PACKET_MAX	65536U

/* Who looks, each by a pair of its own. */
enum live_viewer {
	LIVE_WEB,
	LIVE_FORWARDER,
	LIVE_VIEWERS
};

/* One datum of a stream. */
struct live_record {
	uint64_t	key;		/* live_key() */
	uint64_t	time_ns;	/* when the last datagram of its window
					 * was received */
	uint64_t	missed;		/* datagrams of the channel, since the
					 * datum before */
	uint64_t	lost;		/* datums before this one that could
					 * not be sent here */
	uint32_t	size;		/* bytes that follow */
	uint32_t	reserved;
};

/* A larger datum is one that cannot be sent. */
#define LIVE_DATUM_MAX							\
	((uint32_t)(LIVE_PACKET_MAX - sizeof(uint64_t) -		\
	    sizeof(struct live_record)))
#define LIVE_PADDED(size)	(((size_t)(size) + 7) & ~(size_t)7)

/*
 * Which stream, and by which schema its datums are: `id' is that of struct
 * stream_config, `plan' is NULL for a stream without a program of its own.
 */
uint64_t	live_key(uint64_t id, bool summary,
		    const struct datum_program *program,
		    const struct datum_program *plan);

/* What is left of a packet. */
struct live_packet {
	const uint8_t	*at;
	size_t		 left;
	bool		 bad;		/* it ended in what is no record */
};

/* False, and packet->bad: it does not begin as a packet does. */
bool	live_open(struct live_packet *packet, const void *data, size_t size)
	    ATTR_NONNULL;
/* The next record, and where its bytes are; false at the end. */
bool	live_next(struct live_packet *packet, struct live_record *record,
	    const uint8_t **data) ATTR_NONNULL;

#endif /* MCRELAY_LIVE_H */
