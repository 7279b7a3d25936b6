/* SPDX-License-Identifier: ISC */
/*
 * A client of /live.  Private to web/live*.c and its tests.
 */
#ifndef MCRELAY_WEB_LIVE_PRIV_H
#define MCRELAY_WEB_LIVE_PRIV_H

#include <sys/queue.h>

#include "common/segment.h"
#include "web/live.h"
#include "web/streams.h"
#include "web/text.h"

#define LIVE_CHANNELS_MAX	8U
#define LIVE_STREAMS_MAX	16U

/* Says nothing for so long: then it says that. */
#define LIVE_QUIET_NS		(5 * NS_PER_S)

struct live_stream {
	char			 name[2 * (CHANNEL_NAME_MAX + 1)];
	struct stream		*stream;	/* NULL: there is none */
	uint32_t		 id;		/* the stream's */
	struct history_place	 place;
};

struct live_channel {
	char		 name[CHANNEL_NAME_MAX + 1];
	struct text	*due;			/* NULL: it was sent */
};

struct live {
	LIST_ENTRY(live)	 link;
	struct MHD_Connection	*connection;
	int			 fd;
	/* What it asks for. */
	bool			 overview;
	struct live_channel	 channel[LIVE_CHANNELS_MAX];
	size_t			 channels;
	struct live_stream	 stream[LIVE_STREAMS_MAX];
	size_t			 streams;
	uint64_t		 since_ns;
	uint64_t		 behind;	/* an event's number; 0: none */
	/* Where it is. */
	uint64_t		 number;	/* of the last event */
	uint64_t		 live_from;	/* before it is history */
	bool			 greeted;
	bool			 placed;	/* in its streams' histories */
	bool			 streams_due;
	struct text		*overview_due;	/* NULL: it was sent */
	uint64_t		 dropped;	/* not told yet */
	/* On its way: queue[at], from `sent' on. */
	struct text		*queue[2 + LIVE_CHANNELS_MAX];
	size_t			 queued;
	size_t			 at;
	size_t			 sent;
	uint64_t		 given_ns;	/* CLOCK_MONOTONIC */
	bool			 waits;		/* connection suspended */
	bool			 ends;
};

/*** live_events.c: what is said. ***/

void	live_events_start(void);
/* A number as Last-Event-ID has it; 0: it is of another process, or nothing. */
uint64_t	live_events_number(const char *id) ATTR_NONNULL;
/* Into its histories, when the streams are known. */
void	live_place(struct live *live, uint64_t now_ns) ATTR_NONNULL;
/* Whether there is anything to say. */
bool	live_has_news(const struct live *live, uint64_t monotonic_ns)
	    ATTR_NONNULL;
/* Fills its empty queue with what there is to say. */
void	live_fill(struct live *live, uint64_t monotonic_ns) ATTR_NONNULL;

/*** live_status.c: what is said of the status. ***/

/* An event, up to its data. */
void	live_begin(struct text *text, const char *name) ATTR_NONNULL;
/* Of the whole status; NULL: there is none, and was one at `since_ns'
 * (CLOCK_REALTIME). */
struct text	*live_overview(const struct node *status, uint64_t since_ns);
struct text	*live_channel(const struct node *status, const char *name)
		    ATTR_NONNULL;

#endif /* MCRELAY_WEB_LIVE_PRIV_H */
