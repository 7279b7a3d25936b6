/* SPDX-License-Identifier: ISC */
/*
 * Whether runs of datagrams in one message are what they should be on this
 * host: some kernels and drivers spoil them without an error.  Supervisor, at
 * its start, and its doctor.  Sends to itself on loopback alone.
 */
#ifndef MCRELAY_SEGMENTATION_H
#define MCRELAY_SEGMENTATION_H

#include <stdbool.h>

#include "common/compiler.h"

struct conf;

/* What is sent at once. */
#define SEGMENTATION_RUN	3U

/* How many datagrams of such a run arrive, as they were; -1 with errno: it
 * cannot be sent.  *any: whether anything arrives.  Waits for a second at the
 * most. */
int	segmentation_run_through(bool *any) ATTR_NONNULL;

/* Whether they arrive as something else. */
bool	segmentation_is_spoilt(void);

/* As if each input and output had `segmentation: off'. */
void	segmentation_turn_off(struct conf *conf) ATTR_NONNULL;

#endif /* MCRELAY_SEGMENTATION_H */
