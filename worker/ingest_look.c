/* SPDX-License-Identifier: ISC */
/*
 * What each input has brought; what its sockets know of their drops and of what
 * waits.  Worker, relay thread only.
 */
#include "common/inputs.h"
#include "common/util.h"
#include "worker/ingest.h"
#include "worker/ingest_ops.h"

/* Whether it differs from what is known. */
static bool
look_at_input(const struct ingest *ingest, unsigned input,
    struct ingest_look *look)
{
	const struct segment *segment = ingest->segment;
	const struct ingest_state *state =
	    ingest_current(&segment->state->ingest);
	const struct input_state *each = &inputs_of(segment, state)[input];

	look->xdp_drops = each->xdp_drops_seen;
	return ingest->ops->look(ingest, input, look) &&
	    (look->drops != each->drops_seen ||
	    look->xdp_drops != each->xdp_drops_seen ||
	    look->queued_bytes > state->counts.socket_high_water_bytes);
}

void
ingest_look(struct ingest *ingest)
{
	const struct segment *segment = ingest->segment;
	struct ingest_state *state;
	struct input_state *each;
	struct ingest_look look;
	uint32_t drops;
	unsigned i;

	for (i = 0; i < segment->inputs; i++) {
		if (!look_at_input(ingest, i, &look))
			continue;
		state = inputs_begin(segment);
		each = &inputs_of(segment, state)[i];
		/* Each mod 2^32. */
		drops = look.drops - each->drops_seen;
		drops += look.xdp_drops - each->xdp_drops_seen;
		state->counts.kernel_dropped += drops;
		each->counts.kernel_dropped += drops;
		each->drops_seen = look.drops;
		each->xdp_drops_seen = look.xdp_drops;
		state->counts.socket_high_water_bytes = MAX_OF(
		    state->counts.socket_high_water_bytes,
		    (uint64_t)look.queued_bytes);
		ingest_commit(&segment->state->ingest);
	}
}

void
ingest_count_input(const struct ingest *ingest,
    const struct ingest_state *state, const struct ingest_counts *then,
    unsigned n)
{
	struct ingest_counts before = *then;
	struct input_state *input = &inputs_of(ingest->segment, state)
	    [ingest->input];
	struct input_counts *counts = &input->counts;

	if (ingest->merge.area != NULL) {
		before.received = state->counts.received;
		before.received_bytes = state->counts.received_bytes;
	}
#define ADD_CHANGE(name, ...)						\
	counts->name += state->counts.name - before.name;
	INPUT_FLOW_COUNTERS(ADD_CHANGE)
#undef ADD_CHANGE
	if (ingest->ops->count != NULL)
		ingest->ops->count(ingest, input, n);
	if (state->counts.received != before.received)
		input->last_received_ns = state->last_received_ns;
}
