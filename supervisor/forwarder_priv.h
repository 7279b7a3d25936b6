/* SPDX-License-Identifier: ISC */
/*
 * What the files of supervisor/forwarder*.c share.
 */
#ifndef MCRELAY_SUPERVISOR_FORWARDER_PRIV_H
#define MCRELAY_SUPERVISOR_FORWARDER_PRIV_H

#include "supervisor/forwarder.h"

/* The page is the next one's: what it says is kept with the channels. */
void	forwarder_page_take(struct forwarder *forwarder) ATTR_NONNULL;
/* Tells the channel's worker what need not be kept any more. */
void	forwarder_tell_worker(struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_SUPERVISOR_FORWARDER_PRIV_H */
