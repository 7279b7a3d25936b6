/* SPDX-License-Identifier: ISC */
/*
 * Past records that are not sent, and what they are counted as.  Worker, relay
 * thread only.
 */
#include <inttypes.h>

#include "common/util.h"
#include "worker/relay_priv.h"

/* Moves past `datagrams' of a record, which are not sent; `anothers': as they
 * are another host's to send. */
static void
let_go(const struct output *output, struct output_state *state,
    const struct ring_record *record, uint32_t datagrams, bool anothers)
{
	state->sequence += datagrams;
	if (relay_kernel_failed(output->relay->segment->config,
	    output->index, record))
		state->counts.kernel_relay_errors += datagrams;
	if (relay_by_kernel(output->relay->segment->config, output->index,
	    record))
		state->counts.kernel_relayed += datagrams;
	else if ((record->flags & RING_NO_RELAY) != 0)
		state->counts.relay_paused += datagrams;
	else if (anothers)
		state->counts.relay_standby += datagrams;
	else {
		state->counts.relay_errors += datagrams;
		state->counts.relay_overrun += datagrams;
	}
	state->skip += datagrams;
	if ((record->flags & RING_PAD) == 0 &&
	    state->skip < ring_record_datagrams(record))
		return;
	state->skip = 0;
	state->position += ring_record_span(record);
}

static uint32_t
left_of(const struct output_state *state, const struct ring_record *record)
{
	return (record->flags & RING_PAD) != 0 ? 0 :
	    ring_record_datagrams(record) - state->skip;
}

void
relay_pass(struct output *output, uint64_t head, uint64_t before_ns)
{
	const struct segment *segment = output->relay->segment;
	struct output_domain *domain = &segment->state->output[output->index];
	struct output_state *state = output_begin(domain);
	const struct ring_record *record;
	uint32_t left, sent;
	bool muted;

	while (state->position != head) {
		record = (const void *)ring_at(&segment->ring,
		    state->position);
		left = left_of(state, record);
		muted = record->received_ns < before_ns;
		sent = muted ? 0 : turn_sent(&output->relay->turn, record,
		    state->position);
		if (sent > state->skip)
			left = MIN_OF(left, sent - state->skip);
		else if (!muted &&
		    (record->flags & (RING_PAD | RING_NO_RELAY)) == 0 &&
		    !relay_by_kernel(segment->config, output->index, record))
			break;
		let_go(output, state, record, left, muted || sent > 0);
	}
	state->batch++;
	output_commit(domain);
}

/* Gives up the records that lie before `limit'. */
static void
give_up(struct output *output, uint64_t limit)
{
	const struct segment *segment = output->relay->segment;
	struct output_domain *domain = &segment->state->output[output->index];
	struct output_state *state = output_begin(domain);
	uint64_t before = state->counts.relay_overrun;
	const struct ring_record *record;

	while (state->position < limit &&
	    state->position != ring_head(&segment->ring)) {
		record = (const void *)ring_at(&segment->ring,
		    state->position);
		let_go(output, state, record, left_of(state, record),
		    state->position >= turn_end(&output->relay->turn,
		    UINT64_MAX));
	}
	if (state->counts.relay_overrun != before)
		log_limited(&output->limit_overrun, "output %s is a whole "
		    "ring behind: %" PRIu64 " datagrams counted in "
		    "relay_errors", relay_output_text(output),
		    state->counts.relay_overrun - before);
	/* The plan in the tx area is void now. */
	state->batch++;
	output_commit(domain);
}

void
relay_make_room(struct relay *relay, uint64_t end)
{
	const struct segment *segment = relay->segment;
	uint64_t size = segment->ring.size;
	unsigned i;

	for (i = 0; i < relay->outputs; i++)
		if (UNLIKELY(end - output_current(
		    &segment->state->output[i])->position > size))
			give_up(&relay->output[i], end - size);
}
