/* SPDX-License-Identifier: ISC */
/*
 * One subject of a stream that other hosts write to, too, with a subject of
 * their own each.  mcrelay-forwarder, a lane.  Each call waits ANSWER_MS at the
 * most.
 *
 * As in stream.h nothing is there twice: a message says which one must be the
 * last of its subject.  Of several servers nats-server 2.9 looks at that when
 * the message comes, not when it is stored: two for one place may be on their
 * way, of a process that was killed or of one that did not wait for an answer.
 * So where what is sent for one place is the same each time, it has an
 * identity.
 */
#ifndef MCRELAY_FORWARDER_TAIL_H
#define MCRELAY_FORWARDER_TAIL_H

#include "forwarder/forwarder.h"

struct tail {
	const char	*stream;
	const char	*all;		/* its subjects: what it is made for */
	int64_t		 most;		/* of a subject, then the oldest goes;
					 * 0: nothing goes */
	bool		 lasting;	/* nor for its age */
	bool		 same;		/* what is sent behind another one is
					 * the same whenever it is sent */
	char		*subject;
	jsCtx		*js;
	bool		 known;
	uint64_t	 last;		/* of the subject; 0: none */
};

/* `subject' is malloc'ed, and the tail's. */
void	tail_init(struct tail *tail, const char *stream, const char *all,
	    int64_t most, char *subject) ATTR_NONNULL;
/* Finds the end, and makes the stream if there is none; *data, malloc'ed, is
 * the last message's, NULL: there is none.  False after a log line. */
bool	tail_ask(struct tail *tail, char **data) ATTR_NONNULL;
/* Behind it.  False after a log line: then the end is to be asked anew, and so
 * it is wherever `known' is false. */
bool	tail_put(struct tail *tail, const char *data, size_t size)
	    ATTR_NONNULL;

#endif /* MCRELAY_FORWARDER_TAIL_H */
