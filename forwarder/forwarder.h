/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-forwarder, whose parts are:
 *
 *	forwarder.c	the first thread: the supervisor's messages, the end
 *	spec.c		what it was told
 *	files.c		what a server knows us by
 *	link.c		connections, which libnats keeps up: one for all lanes
 *	lane.c		a thread for each channel
 *	stream.c	a channel's stream: its end, sending
 *	answers.c	what servers say to that
 *	headers.c	of its messages
 *	source.c	a channel's archive, from any record on
 *	pack.c		blocks of it as messages
 *	account.c	how near an account is to its limit
 *	behind.c	how far a lane is behind
 *	journal.c	a lane's catalogue and ledger, for streams of all hosts
 *	tail.c		a subject of these: its end, sending
 *	live.c		decimated streams; live_list.c: which there are
 *	schemas.c	theirs, on the servers
 *	lease.c		in a process of its own: who of several hosts relays
 *
 * libnats has threads of its own and calls that wait, so nothing that uses it
 * runs on the event loop: a lane waits, for some seconds at the most, and
 * another one's stream or disk does not hold it up.
 *
 * Exactly once, without a state of its own: a lane reads the last message of
 * its stream and goes on behind it, and each message says which sequence must
 * be the stream's last for it to be stored.  So one that was lost leaves no
 * gap, since none is stored behind it; one that arrives late, from this lane or
 * from the process before, is stored where it belongs or not at all: what was
 * on its way before a message is named in it, as the process before may have
 * read the same records in other blocks, which a worker's death took back.  So
 * an answer is one to all messages before it, and few are asked for.  After an
 * error, or when no answer comes, the end is read anew.  Where the server may
 * count what it refuses (account.h) a message says, too, that the one before
 * it is the last that is there: that costs a server a look at it.
 */
#ifndef MCRELAY_FORWARDER_H
#define MCRELAY_FORWARDER_H

#include <nats/nats.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "common/channel_config.h"
#include "common/forward.h"
#include "common/lease.h"

#define FORWARDER_PROGRAM	"mcrelay-forwarder"

/* The longest that anything waits for a server. */
#define ANSWER_MS		5000

struct lane_spec {
	char	*name;
	char	*stream;
	char	*subject;
};

/* A channel that several hosts have. */
struct lease_spec {
	char		*name;
	char		*host[HOSTS_MAX];
	unsigned	 hosts;
	unsigned	 rank;		/* of ours among them */
	bool		 streams;	/* a decimator sends, too */
};

/* Texts are malloc'ed, and stay. */
struct spec {
	const char	*server[64];
	int		 servers;
	char		*credentials;	/* NULL: none */
	bool		 tls;
	char		*ca;
	char		*certificate;
	char		*key;
	char		*host;
	int64_t		 replicas;
	int64_t		 age_ns;	/* 0: no limit */
	int64_t		 size;
	int64_t		 messages;
	struct lane_spec lane[FORWARD_CHANNELS_MAX];
	unsigned	 lanes;
	/* Of the process that asks for channels, and forwards none. */
	uint64_t	 lease_ns;	/* 0: it is not that one */
	char		*bucket;
	char		*instance;	/* of the daemon, in the world */
	struct lease_spec lease[LEASES_MAX];
	unsigned	 leases;
};

extern struct spec		 spec;
extern struct forward_page	*page;
extern struct lease_page	*lease_page;

/* The whole program. */
int	forwarder_run(void);

/* Reads `spec' from its descriptor; ends the process when it cannot be. */
void	spec_load(void);

/* Before the sandbox: which files of `credentials' and `tls' it opens. */
void	files_remember(void);
/* Now and then: what of them keeps us out is said; ends the process when one
 * was replaced. */
void	files_look(void);

/* Begins to connect, for as long as the process lives: the connection of
 * archives. */
void	link_start(void);
/* Another one, by a name of its own. */
natsConnection	*link_another(const char *name) ATTR_NONNULL;
natsConnection	*link_get(void);
bool	link_is_up(void);
/* Of the last call of this thread, that has failed: in the server's words where
 * it has said any. */
const char	*link_why(natsStatus status);

/* `directory' is the lane's. */
void	lane_start(unsigned number, int directory);
/* Whether none hangs: each has been seen not long ago, but for those that
 * read a file, whose disk may be slow. */
bool	lanes_get_anywhere(void);

/* A thread for each channel that several hosts have. */
void	leases_start(void);
/* Whether none hangs. */
bool	leases_get_anywhere(void);

#endif /* MCRELAY_FORWARDER_H */
