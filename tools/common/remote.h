/* SPDX-License-Identifier: ISC */
/*
 * A stream of NATS JetStream as mcrelay-forwarder fills it, read in order from
 * nats://SERVER/STREAM.  Tools.
 *
 * Each message is a container file.  Those that have the same header, as the
 * blocks of one archived file do, are given as more of one file.  The stream is
 * only read: what is asked of the server leaves nothing behind.
 *
 * As with the program `nats', NATS_USER, NATS_PASSWORD, NATS_CREDS, NATS_CA,
 * NATS_CERT and NATS_KEY of the environment say who we are.
 */
#ifndef MCRELAY_TOOLS_REMOTE_H
#define MCRELAY_TOOLS_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tools/common/reader.h"

/* Whether it is the address of a stream. */
bool	remote_is(const char *address) ATTR_NONNULL;

struct remote;

enum remote_status {
	REMOTE_FILE,	/* blocks of another file */
	REMOTE_MORE,	/* of the same */
	REMOTE_NOTHING,	/* just now */
	REMOTE_END,	/* all that was there at the beginning was given */
	REMOTE_DAMAGED,	/* a message is no container file; *why */
	REMOTE_FAILED,	/* it cannot be read on; *why */
};

/*
 * Connects and looks for the stream: STREAM, or mcrelay-STREAM if there is none
 * of that name.  Waits for some seconds at the most.  NULL: *why, malloc'ed,
 * says why not.
 */
struct remote	*remote_open(const char *address, char **why) ATTR_NONNULL;
void		remote_close(struct remote *remote) ATTR_NONNULL;

/* The address for messages: without a password. */
const char	*remote_name(const struct remote *remote) ATTR_NONNULL;

/*
 * Begins with the message in which the first record of that time may be,
 * provided that records are in the order of their times; what is before that
 * is not asked for.
 */
void		remote_seek(struct remote *remote, int64_t start_ns)
		    ATTR_NONNULL;

/*
 * The next message: reader_next() of *reader gives its blocks, until the next
 * call.  Comes back soon, with NOTHING if need be; FAILED when no server has
 * answered for 15 seconds.  With `follow' there is no END.
 */
enum remote_status	remote_next(struct remote *remote, bool follow,
			    struct reader **reader, const char **why)
			    ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_REMOTE_H */
