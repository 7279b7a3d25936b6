/* SPDX-License-Identifier: ISC */
/*
 * How near an account on the servers is to its limit.  mcrelay-forwarder, a
 * lane.
 *
 * A server alone (one replica) counts a message that it refuses since its
 * account is full, so that its number is no gap: a smaller one that is on its
 * way behind it would be stored, with nothing where it belongs.
 */
#ifndef MCRELAY_FORWARDER_ACCOUNT_H
#define MCRELAY_FORWARDER_ACCOUNT_H

#include "forwarder/forwarder.h"

/* How often it is asked; and what no server stores until the answer to the next
 * question is there, or has not come, whoever else writes to the account. */
#define ACCOUNT_ASK_NS	(5 * NS_PER_S)
#define ACCOUNT_NEAR	((uint64_t)16 << 30)

/* False: it is not known, and *near true. */
bool	account_is_near(jsCtx *js, jsOptions *options, bool *near)
	    ATTR_NONNULL;

#endif /* MCRELAY_FORWARDER_ACCOUNT_H */
