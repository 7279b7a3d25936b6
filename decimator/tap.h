/* SPDX-License-Identifier: ISC */
/*
 * A tap: the decimator's view of one channel.  It follows the channel's ring
 * with a cursor of its own, takes each datagram once and hands it to the
 * channel's streams.  Knows nothing of the event loop.
 *
 * A tap is a lossy reader: the writer never waits for it.  What it was lapped
 * by is counted in each stream; a window that lost datagrams says so in its
 * summary, or is dropped where it cannot.
 *
 * Cursor and counters go to the tap page after each step, so that the next
 * decimator goes on where this one was.  The windows that were under way are
 * lost with the process.
 */
#ifndef MCRELAY_DECIMATOR_TAP_H
#define MCRELAY_DECIMATOR_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/message.h"
#include "common/log.h"

/* The descriptors that come with MESSAGE_TAP; the streams' follow. */
enum tap_fd {
	TAP_FD_SEGMENT,
	TAP_FD_EVENT,
	TAP_FD_STREAM,	/* sockets, then the files of the planned ones, then
			 * the sockets of the archives */
};

enum tap_status {
	TAP_MORE,	/* its share is used up, there may be more */
	TAP_CAUGHT_UP,	/* took something, stands at the ring's head */
	TAP_IDLE,	/* there was nothing */
	TAP_BROKEN,	/* the ring makes no sense: close the tap */
};

/* When a tap that has caught up wants to be woken. */
enum tap_patience {
	TAP_WAKE_NEXT,	/* by the next record */
	TAP_WAKE_LATER,	/* by an eighth of the ring; the caller polls */
};

struct tap;

/*
 * Serves a channel as `message' (MESSAGE_TAP) says.  `old' is the tap that
 * served it until now, or NULL; it is used up.  With the same segment the tap
 * goes on with it, and streams that did not change keep their windows; with
 * another one the old ring is read to its end first and the counters are
 * carried over.
 *
 * Takes over all of `fds'.  NULL when the message or the segment is not good:
 * the reason has been logged.
 */
struct tap	*tap_open(const struct message *message,
		    const int *fds, size_t fd_count, struct tap *old)
		    ATTR_UNUSED_RESULT;
/* NULL is allowed. */
void		 tap_close(struct tap *tap);

/* Takes what has come, up to a bounded share.  A tap that has caught up sends
 * the windows whose time is over. */
enum tap_status	 tap_step(struct tap *tap) ATTR_NONNULL ATTR_UNUSED_RESULT;

/* When to step next although nothing came (CLOCK_MONOTONIC), or UINT64_MAX. */
uint64_t	 tap_due_ns(const struct tap *tap) ATTR_NONNULL;

/*
 * Asks the writer for a wake-up on the eventfd.  False: there is something
 * already, do not sleep.
 */
bool		 tap_sleep(struct tap *tap, enum tap_patience patience)
		    ATTR_NONNULL ATTR_UNUSED_RESULT;

/* The eventfd, and taking its wake-ups. */
int		 tap_fd(const struct tap *tap) ATTR_NONNULL;
void		 tap_woken(struct tap *tap) ATTR_NONNULL;

const char	*tap_name(const struct tap *tap) ATTR_NONNULL;
/* Where the channel's configuration wants log lines. */
enum log_target	 tap_log_target(const struct tap *tap) ATTR_NONNULL;

/* Closes descriptors that nobody took over. */
void		 tap_close_fds(const int *fds, size_t count);

#endif /* MCRELAY_DECIMATOR_TAP_H */
