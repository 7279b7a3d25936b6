/* SPDX-License-Identifier: ISC */
/*
 * The begin and the end of a channel's worker.  For channel.c only.
 * Supervisor.
 */
#ifndef MCRELAY_CHANNEL_PRIV_H
#define MCRELAY_CHANNEL_PRIV_H

#include "supervisor/channel.h"

/* Descriptors for its worker, as enum worker_fd says; returns how many, at most
 * one less than there is room for. */
#define CHANNEL_DESCRIPTORS_MAX	(OUTPUTS_MAX + INPUTS_MAX + 5)
size_t	channel_descriptors(const struct channel *channel, int messages,
	    int segment, int fds[static CHANNEL_DESCRIPTORS_MAX]);
/* The worker is gone: what waited for that moment comes into force. */
void	channel_take_next(struct channel *channel) ATTR_NONNULL;
/* Datagrams that were received and are not stored yet; 0 without archive, or
 * when that cannot be read. */
uint64_t	channel_pending(const struct channel *channel) ATTR_NONNULL;
/* Its segment has been replaced, whose ledger was this: says what has gone with
 * it. */
void	channel_tell_left(const struct channel *channel,
	    const struct ledger *before) ATTR_NONNULL;
/* What its worker had to say, of a channel (child.h). */
void	channel_last_words(void *owner, char *text, size_t size) ATTR_NONNULL;
/* No worker follows: counts and says what is left, and closes the input. */
void	channel_settle(struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_CHANNEL_PRIV_H */
