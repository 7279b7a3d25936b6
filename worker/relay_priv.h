/* SPDX-License-Identifier: ISC */
/*
 * What the files of the relay share.  For these only.
 */
#ifndef MCRELAY_RELAY_PRIV_H
#define MCRELAY_RELAY_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/relay.h"

/* relay_pass.c: the next record came while the relay was paused, or nothing is
 * ours to send (`muted'), or another host has sent it: past it, and all like it
 * that lie before `head'. */
void	relay_pass(struct output *output, uint64_t head, bool muted)
	    ATTR_NONNULL;

static inline const char *
relay_output_text(const struct output *output)
{
	return output->relay->segment->config->output[output->index].text;
}

#endif /* MCRELAY_RELAY_PRIV_H */
