/* SPDX-License-Identifier: ISC */
/*
 * Whose work a thread does: of which channel of the process.  Worker, any
 * thread.  By it log lines have their channel's name and go where the
 * supervisor hears that channel, and last words say at what the process has
 * ended.
 */
#ifndef MCRELAY_WORKER_WHOSE_H
#define MCRELAY_WORKER_WHOSE_H

#include <pthread.h>

#include "common/channel_config.h"
#include "common/log.h"
#include "common/segment.h"

/* Channels of one process whose last words there can be. */
#define WHOSE_MAX	1024U

struct whose {
	struct log_voice	 voice;	/* without a tag: the process's */
	char			 name[CHANNEL_NAME_MAX + 1];
	char			 tag[CHANNEL_NAME_MAX + 32];
	struct worker_state	*state;
	uint32_t		 outputs;
};

/* It is one of those that may have last words, from now until it is taken
 * off, before its segment is unmapped. */
void	whose_add(struct whose *whose) ATTR_NONNULL;
void	whose_remove(struct whose *whose) ATTR_NONNULL;
/* The i-th of them; NULL: there is none at that place.  Safe in a signal
 * handler. */
struct whose	*whose_at(unsigned i);

/* From now on the calling thread works for this one; NULL: for none. */
void	whose_enter(struct whose *whose);
struct whose	*whose_entered(void);
/* The one that the loop is at which channels share, to any thread. */
struct whose	*whose_in_loop(void);
/* The calling thread is that loop's. */
void	whose_loop(void);

/* pthread_create() of a thread that works for whom the calling one does, and
 * whose faults have last words.  Signals are for others. */
int	whose_thread(pthread_t *thread, void *(*run)(void *), void *argument);

#endif /* MCRELAY_WORKER_WHOSE_H */
