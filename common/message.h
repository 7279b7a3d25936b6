/* SPDX-License-Identifier: ISC */
/*
 * Messages between the supervisor and its children, over SOCK_SEQPACKET
 * pairs (descriptor 3 in the child).  One message a packet, of exactly
 * sizeof(struct message).  Numbers are appended, never reused.
 *
 * End of file on the socket means that the supervisor is gone: the child
 * finishes what it has in hand and exits.
 */
#ifndef MCRELAY_MESSAGE_H
#define MCRELAY_MESSAGE_H

#include <stdint.h>

#include "common/decimate.h"
#include "common/samples.h"
#include "common/segment.h"

#define MESSAGE_FD	3

enum message_type {
	/* child -> supervisor: up and working, in this sandbox */
	MESSAGE_READY = 1,
	/* supervisor -> decimator: serve this channel (again, with these
	 * streams); descriptors: segment, eventfd, one connected socket for
	 * each stream, then a file with the program of each that is planned,
	 * then the archive's socket of each that feeds one */
	MESSAGE_SERVE = 2,
	/* supervisor -> decimator: forget the channel, and say so */
	MESSAGE_FORGET = 3,
	/* supervisor -> decimator: the log level has changed */
	MESSAGE_LOG_LEVEL = 4,
	/* supervisor -> worker: stop receiving, store everything, exit.
	 * (SIGTERM is gentler on the input: the worker goes on receiving
	 * while it finishes its files, and leaves the rest in the ring to
	 * its successor.) */
	MESSAGE_STOP = 5,
	/* 6 was of an earlier version. */
	/* worker -> supervisor: look at directory_gone in the segment; no
	 * body */
	MESSAGE_DIRECTORY_GONE = 7,
	/* decimator -> supervisor: it has forgotten the channel, and touches
	 * neither its ring nor its page any more */
	MESSAGE_FORGOTTEN = 8,
	/* supervisor -> decimator: look at all rings, and say so; to web: say
	 * so; no body */
	MESSAGE_LOOK = 9,
	/* decimator, web -> supervisor: it does */
	MESSAGE_LOOKED = 10,
	/* worker -> supervisor: look at `room' in the segment; no body */
	MESSAGE_ROOM_WANTED = 11,
	/* supervisor -> worker: the same; no body */
	MESSAGE_MAKE_ROOM = 12,
	/* web -> supervisor: how is everything? and the answer, with a file of
	 * the status document; to a forwarder unasked */
	MESSAGE_STATUS = 13,
	/* supervisor -> decimator: show your streams to mcrelay-web by the
	 * socket that comes with it, or, without one, not any more */
	MESSAGE_LIVE = 14,
	/* supervisor -> web: these are the streams, with a file of them; to a
	 * forwarder with the socket that they are shown by as well */
	MESSAGE_STREAMS = 15,
	/* supervisor -> decimator: as MESSAGE_LIVE, to a forwarder */
	MESSAGE_LIVE_FORWARD = 16,
	/* supervisor -> worker: look at `turn' in the segment; no body */
	MESSAGE_TURN = 17,
	/* supervisor -> a channel of a shared worker, in the place of SIGTERM
	 * and SIGHUP; no body */
	MESSAGE_ROLL = 18,
	MESSAGE_ROTATE = 19,
	/* a channel of a shared worker -> supervisor: it has ended with this
	 * status, and uses nothing any more */
	MESSAGE_ENDED = 20,
};

/* By which clock a window is told from the next. */
enum stream_clock {
	CLOCK_RECEIVE,		/* when the datagram was received */
	CLOCK_FIELD,		/* the datum's time field */
};

struct stream_config {
	char		name[CHANNEL_NAME_MAX + 1];
	char		destination[72];	/* address:port, for messages */
	uint32_t	method;			/* enum decimate_method */
	uint32_t	slot;			/* its place in the page */
	uint64_t	id;			/* ...its numbers' there */
	/* A window is so many datums, or else so long. */
	uint64_t	every;			/* datums; 0: by time */
	uint64_t	interval_ns;
	double		range;			/* of samples that go round */
	uint32_t	clock;			/* enum stream_clock */
	/* Whether its own datum program comes with it, else it has the
	 * channel's. */
	uint32_t	planned;
	/* Whether its output is of another schema, and so has no header of
	 * the channel's framing. */
	uint32_t	derived;
	uint32_t	pack;			/* datums into datagrams */
	/* Whether it is archived, and whether the socket by which it feeds
	 * the archive comes with it: else the archive has been stopped. */
	uint32_t	archived;
	uint32_t	feeds;
};

struct message {
	uint32_t	type;		/* enum message_type */
#if SEGMENT_LAYOUT_SALT
	uint32_t	salt;
#endif
	union {
		uint32_t	channel;	/* a number the supervisor
						 * chose */
		uint32_t	sandbox;	/* MESSAGE_READY: enum
						 * sandbox_part */
		int32_t		status;		/* MESSAGE_ENDED: as of
						 * exit() */
	};
	char		name[CHANNEL_NAME_MAX + 1];
	int32_t		log_level;	/* MESSAGE_LOG_LEVEL, MESSAGE_SERVE */
	uint32_t	streams;	/* MESSAGE_SERVE */
	struct sample_config samples;	/* of a raw channel */
	struct stream_config stream[STREAMS_MAX];
};

/*
 * supervisor -> a worker that channels share: take this one, with the
 * descriptors of enum worker_fd and then the one that its log lines go to.
 * End of file: no more will come, and the process ends with those that it has.
 * Not as large as a message: hundreds may be on their way.
 */
struct message_channel {
	char		name[CHANNEL_NAME_MAX + 1];
	uint32_t	own_thread;	/* else all have one loop */
	uint32_t	archive_threads; /* of all channels together */
};

/* A shared worker's argument is its name with this before it, which no name
 * of a channel has. */
#define MESSAGE_SHARED_MARK	"@"

/* In a child of the supervisor, but a worker: the kernel kills it when the
 * supervisor dies, which it would not notice while it hangs.  Before the
 * sandbox, and before message_ready(), which fails if it is too late for
 * this. */
void	message_end_with_supervisor(void);
/* In a child of the supervisor, but a worker: says that it is ready, with the
 * enum sandbox_part that are in force; from then on MESSAGE_FD does not block.
 * Ends the process when there is no supervisor. */
void	message_ready(uint32_t sandbox);

#endif /* MCRELAY_MESSAGE_H */
