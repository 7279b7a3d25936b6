/* SPDX-License-Identifier: ISC */
/*
 * A reader: the decimator's view of one channel.  It follows the channel's ring
 * with a cursor of its own, takes each datagram once and hands it to the
 * channel's streams.  Knows nothing of the event loop.
 *
 * It is a lossy reader: the writer never waits for it.  What it was
 * lapped by is counted in each stream; a window that lost datagrams says so in
 * its summary, or is dropped where it cannot.
 *
 * Cursor and counters go to the decimator's page after each step, so that the
 * next decimator goes on where this one was.  The windows that were under way
 * are lost with the process.
 */
#ifndef MCRELAY_DECIMATOR_READER_H
#define MCRELAY_DECIMATOR_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/log.h"
#include "common/message.h"

/* The descriptors that come with MESSAGE_SERVE; the streams' follow. */
enum reader_fd {
	READER_FD_SEGMENT,
	READER_FD_EVENT,
	READER_FD_STREAM,	/* sockets, then the files of the planned, then
			 * the sockets of the archives */
};

enum reader_status {
	READER_MORE,	/* its share is used up, there may be more */
	READER_CAUGHT_UP,	/* took something, stands at the ring's head */
	READER_IDLE,	/* there was nothing */
	READER_BROKEN,	/* the ring makes no sense: close the reader */
};

/* When a reader that has caught up wants to be woken. */
enum reader_patience {
	READER_WAKE_NEXT,	/* by the next record */
	READER_WAKE_LATER,	/* by an eighth of the ring; the caller polls */
};

struct reader;

/*
 * Serves a channel as `message' (MESSAGE_SERVE) says.  `old' is the reader that
 * served it until now, or NULL; it is used up.  With the same segment the
 * reader goes on with it, and streams that did not change keep their windows;
 * with another one the old ring is read to its end first and the counters are
 * carried over.
 *
 * Takes over all of `fds'.  NULL when the message or the segment is not good:
 * the reason has been logged.
 */
struct reader	*reader_open(const struct message *message,
		    const int *fds, size_t fd_count, struct reader *old)
		    ATTR_UNUSED_RESULT;
/* NULL is allowed. */
void		 reader_close(struct reader *reader);

/* Takes what has come, up to a bounded share.  A reader that has caught up
 * sends the windows whose time is over. */
enum reader_status	 reader_step(struct reader *reader)
    ATTR_NONNULL ATTR_UNUSED_RESULT;

/* When to step next although nothing came (CLOCK_MONOTONIC), or UINT64_MAX. */
uint64_t	 reader_due_ns(const struct reader *reader) ATTR_NONNULL;

/*
 * Asks the writer for a wake-up on the eventfd.  False: there is something
 * already, do not sleep.
 */
bool		 reader_sleep(struct reader *reader,
    enum reader_patience patience)
		    ATTR_NONNULL ATTR_UNUSED_RESULT;

/* The eventfd, and taking its wake-ups. */
int		 reader_fd(const struct reader *reader) ATTR_NONNULL;
void		 reader_woken(struct reader *reader) ATTR_NONNULL;

const char	*reader_name(const struct reader *reader) ATTR_NONNULL;
/* Where the channel's configuration wants log lines. */
enum log_target	 reader_log_target(const struct reader *reader) ATTR_NONNULL;

/* Closes descriptors that nobody took over. */
void		 reader_close_fds(const int *fds, size_t count);

#endif /* MCRELAY_DECIMATOR_READER_H */
