/* SPDX-License-Identifier: ISC */
/*
 * Sending so that a decimator that is killed at any instruction leaves behind
 * which datagrams have left, and which have not: struct sent_state of
 * common/decimator_page.h.  Decimator.
 *
 * It is what a worker does for its outputs.  sendmmsg() stores the length of
 * what it has sent in `msg_len' before it acts on a signal; that word is the
 * first of the decimator's page.  All else that the kernel reads lies right
 * before it in private memory, as nobody else may say what this process sends.
 */
#ifndef MCRELAY_DECIMATOR_SENDING_H
#define MCRELAY_DECIMATOR_SENDING_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"

struct sending {
	uint8_t			*base;	/* NULL: not open */
	struct decimator_page	*page;
	const struct worker_state *state;	/* says whether we may */
	struct mmsghdr		*message; /* ends in the page */
	struct iovec		 iov;
};

/* Maps the page of `segment', which is behind `fd', once more, and settles what
 * was in flight.  False with errno. */
bool	sending_open(struct sending *sending, const struct segment *segment,
	    int fd) ATTR_NONNULL ATTR_UNUSED_RESULT;
/* One that is not open is allowed. */
void	sending_close(struct sending *sending) ATTR_NONNULL;

/*
 * Sends a datagram of the stream in `slot' (without waiting); `plan' says what
 * the stream has sent once it has left.  False with errno: it has not.  Either
 * way sending_settle() must follow, or another try.
 */
bool	sending_try(struct sending *sending, uint32_t slot,
	    const struct sent_plan *plan, int socket, const uint8_t *data,
	    size_t size) ATTR_NONNULL ATTR_UNUSED_RESULT;

/* Puts in force that the plan was carried out, or given up, and what the stream
 * has counted by now. */
void	sending_settle(struct sending *sending, uint32_t slot,
	    const struct sent_plan *plan, const struct stream_counts *counts)
	    ATTR_NONNULL;

/* The same of what the stream `id' has counted alone: it has sent nothing, and
 * nothing is in flight any more. */
void	sending_count(struct sending *sending, uint32_t slot, uint64_t id,
	    const struct stream_counts *counts) ATTR_NONNULL;

/*
 * What the stream `id' in `slot' has counted, and how far it has sent, in
 * *mark (else it stays as it is): from a predecessor's page.  False: nothing
 * is known of it.
 */
bool	sending_recall(const struct sending *sending, uint32_t slot,
	    uint64_t id, bool archived, struct stream_counts *counts,
	    struct sent_mark *mark) ATTR_NONNULL;

#endif /* MCRELAY_DECIMATOR_SENDING_H */
