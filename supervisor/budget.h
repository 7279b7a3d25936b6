/* SPDX-License-Identifier: ISC */
/*
 * How long a channel may be without a worker: as long as the datagrams that
 * come in meanwhile fit in the input socket's receive buffer.  Supervisor
 * only.
 *
 *	budget = SO_RCVBUF / (memory of a datagram * datagrams a second)
 *
 * or, by AF_XDP, in the frames of that socket, which take one each.
 *
 * The rate is the highest that was seen over a second, the datagram one of
 * the mean size.  Before there is one, both are assumed.
 */
#ifndef MCRELAY_BUDGET_H
#define MCRELAY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

/* What is assumed before the first full second of traffic. */
#define BUDGET_RATE	1000U		/* datagrams a second */
#define BUDGET_SIZE	1472U		/* payload bytes */
/* A worker is replaced in some 20 ms, on a busy machine in a few times as
 * many; and one that died young waits for 100. */
#define BUDGET_WARN_MS	200U

struct channel;

struct budget {
	uint64_t	from_ns;	/* last_received_ns then; 0: not yet */
	uint64_t	from_count;	/* arrivals then */
	uint64_t	peak_rate;	/* datagrams a second; 0: none yet */
	bool		warned;
};

/* What the kernel charges for a received datagram of so many payload bytes. */
uint64_t	budget_truesize(uint64_t size);

/* At the highest rate that was seen, or at the one assumed. */
uint64_t	budget_ms(const struct channel *channel) ATTR_NONNULL;

/* One line at the start, or after the buffer has changed. */
void	budget_tell(struct channel *channel) ATTR_NONNULL;

/* Once a second: keeps the rate, warns once when the budget is small. */
void	budget_check(struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_BUDGET_H */
