/* SPDX-License-Identifier: ISC */
/*
 * What the files of the relay share.  For these only.
 */
#ifndef MCRELAY_RELAY_PRIV_H
#define MCRELAY_RELAY_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/kernel_relay.h"
#include "worker/relay.h"

/* One sendmmsg in the making. */
struct send_batch {
	const struct segment	*segment;
	struct tx_area		*tx;
	const struct keep_source *keep;		/* NULL: no headers of ours */
	uint8_t			(*header)[IP_HEADER_MAX];
	uint32_t		 gso_limit;
	const struct turn_view	*turn;
	uint64_t		 before_ns;	/* turn_before_ns() */
	uint64_t		 head;
	struct tx_plan		 at;		/* after what is planned */
	unsigned		 messages;
	unsigned		 iovecs;
	unsigned		 output;	/* which of the channel's */
	/* The last message, while it may still grow. */
	bool			 open;
	uint32_t		 datagram_size;
	uint32_t		 bytes;
};

/* Plans messages from batch->at up to the head, as far as they fit. */
void	relay_plan(struct send_batch *batch) ATTR_NONNULL;

/* relay_pass.c: the next record came while the relay was paused, or before
 * `before_ns' (CLOCK_REALTIME), when it was not ours to send, or another host
 * has sent it: past it, and all like it that lie before `head'. */
void	relay_pass(struct output *output, uint64_t head, uint64_t before_ns)
	    ATTR_NONNULL;

/* Whether the kernel's program has sent the record's datagrams by this output.
 * The others of a channel that has none have no slots that a mark names. */
static inline bool
relay_by_kernel(const struct channel_config *config, unsigned output,
    const struct ring_record *record)
{
	return UNLIKELY((record->flags & RING_KERNEL) != 0) &&
	    (record->scope >> (config->output[output].slot % OUTPUTS_MAX) &
	    1) != 0;
}

/* Whether the program has tried in vain. */
static inline bool
relay_kernel_failed(const struct channel_config *config, unsigned output,
    const struct ring_record *record)
{
	return UNLIKELY((record->flags & RING_KERNEL) != 0) &&
	    (record->scope & KERNEL_MARK_FAILED) != 0 &&
	    (config->output[output].way & OUTPUT_KERNEL) != 0 &&
	    !relay_by_kernel(config, output, record);
}

static inline const char *
relay_output_text(const struct output *output)
{
	return output->relay->segment->config->output[output->index].text;
}

#endif /* MCRELAY_RELAY_PRIV_H */
