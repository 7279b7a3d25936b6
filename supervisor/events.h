/* SPDX-License-Identifier: ISC */
/*
 * What has happened lately, for those who follow it (follow.h).  Supervisor
 * only.  Nothing here waits for a reader, or grows: the oldest events go when
 * there is no room, and a channel that has too many to tell is not heard for a
 * while, so that it does not drive out what others have told.
 *
 * Each event is a line of JSON, in ASCII, with a number: one more than the
 * one before.  Numbers go on across an upgrade, as does the instance that they
 * belong to; a mcrelayd that was started anew has another instance, and begins
 * at 1.
 */
#ifndef MCRELAY_EVENTS_H
#define MCRELAY_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"

struct channel;
struct supervisor;

/* X(NAME, word): the word is what consumers know it by and never changes; the
 * members are in mcrelayctl(8). */
#define EVENT_KINDS(X)							\
	X(START,	"start")	/* of mcrelayd */		\
	X(STOP,		"stop")						\
	X(STATE,	"state")	/* of a channel, a decimator */	\
	X(REASON,	"reason")	/* holds, or does no longer */	\
	X(DEATH,	"death")	/* of a process: its obituary */ \
	X(FILE,		"file")		/* is finished */		\
	X(TAKE_OVER,	"take_over")	/* of what a crash left */	\
	X(RELOAD,	"reload")					\
	X(UPGRADE,	"upgrade")					\
	X(DIRECTORY,	"directory")	/* of an archive */		\
	X(NETWORK,	"network")	/* a socket is mended, or not */ \
	X(REJOIN,	"rejoin")	/* of a silent group */		\
	X(TURN,		"turn")		/* of this host, or over */	\
	X(DRAIN,	"drain")	/* of this host, or over */	\
	X(SUPPRESSED,	"suppressed")	/* events of a channel */

enum event_kind {
#define EVENT_VALUE(name, word)	EVENT_##name,
	EVENT_KINDS(EVENT_VALUE)
#undef EVENT_VALUE
	EVENT_KIND_COUNT
};

#define INSTANCE_SIZE		17
/* All lines together, and how many. */
#define EVENTS_BYTES		(2U << 20)
#define EVENTS_MAX		8192U
/* A line with its newline; a longer one loses its members. */
#define EVENT_LINE_MAX		8192U
/* What one channel may tell at once, and a second; of finished files, and of
 * all else. */
#define EVENT_BURST		100U
#define EVENT_RATE		5U

/* How much a channel has told. */
struct event_budget {
	unsigned	spent;
	uint64_t	suppressed;	/* events, since the last one told */
};

struct event {
	char		channel[CHANNEL_NAME_MAX + 1];	/* "": none */
	size_t		size;
	char		line[];		/* with its newline; no NUL */
};

struct events {
	char			 instance[INSTANCE_SIZE];
	uint64_t		 oldest;	/* number of the first here */
	uint64_t		 next;		/* number of the next to come */
	size_t			 bytes;
	struct event_budget	 budget;	/* of those of no channel */
	struct event		*slot[EVENTS_MAX]; /* at number % EVENTS_MAX */
};

/* Empty, of a new instance. */
struct events	*events_new(void);
/* NULL is allowed. */
void		 events_free(struct events *events);

/* Adds a line that is one already, without its newline (of an older image). */
void	events_restore(struct events *events, const char *line, size_t size)
	    ATTR_NONNULL;
/* The event of this number, or NULL: it has gone, or is to come. */
const struct event	*events_get(const struct events *events,
			    uint64_t number) ATTR_NONNULL;

/*
 * Something has happened, to `channel' or, with NULL, to all or none of them.
 * Takes `members' over, which may be NULL.  `fmt' says it in a line for people;
 * any bytes may come of it.
 */
void	events_add(struct supervisor *supervisor, struct channel *channel,
	    enum event_kind kind, json_t *members, const char *fmt, ...)
	    ATTR_PRINTF(5, 6);
/* Whether an event of that kind would be told of the channel now: what can wait
 * for its turn asks before. */
bool	events_welcome(struct channel *channel, enum event_kind kind)
	    ATTR_NONNULL;
/* The same of an event of no channel. */
bool	events_all_welcome(const struct supervisor *supervisor) ATTR_NONNULL;
/* Once a second: channels may tell more. */
void	events_second(struct supervisor *supervisor) ATTR_NONNULL;
/* The channel's last ones: how many it has not told, whatever it may tell, and
 * a few more. */
void	events_end(struct channel *channel) ATTR_NONNULL;

/* Text that may hold any bytes. */
json_t	*events_text(const char *text) ATTR_NONNULL;
/* A time in full, from nanoseconds since 1970. */
json_t	*events_time(uint64_t realtime_ns);

#endif /* MCRELAY_EVENTS_H */
