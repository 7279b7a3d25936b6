/* SPDX-License-Identifier: ISC */
/*
 * What the sockets know of their drops and of what waits.  Worker, relay thread
 * only.
 */
#include "common/inputs.h"
#include "common/util.h"
#include "worker/ingest.h"
#include "worker/ingest_ops.h"

/* Whether it differs from what is known. */
static bool
look_at_input(const struct ingest *ingest, unsigned input, uint32_t *drops,
    uint32_t *queued)
{
	const struct segment *segment = ingest->segment;
	const struct ingest_state *state =
	    ingest_current(&segment->state->ingest);

	return ingest->ops->look(ingest, input, drops, queued) &&
	    (*drops != inputs_of(segment, state)[input].drops_seen ||
	    *queued > state->counts.socket_high_water_bytes);
}

void
ingest_look(struct ingest *ingest)
{
	const struct segment *segment = ingest->segment;
	struct ingest_state *state;
	struct input_state *each;
	uint32_t drops, queued;
	unsigned i;

	for (i = 0; i < segment->inputs; i++) {
		if (!look_at_input(ingest, i, &drops, &queued))
			continue;
		state = inputs_begin(segment);
		each = &inputs_of(segment, state)[i];
		drops -= each->drops_seen;	/* mod 2^32 */
		state->counts.kernel_dropped += drops;
		each->counts.kernel_dropped += drops;
		each->drops_seen += drops;
		state->counts.socket_high_water_bytes = MAX_OF(
		    state->counts.socket_high_water_bytes, (uint64_t)queued);
		ingest_commit(&segment->state->ingest);
	}
}
