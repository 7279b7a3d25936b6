/* SPDX-License-Identifier: ISC */
/*
 * Parts of the test that kills a worker after every instruction.
 */
#include <string.h>
#include <unistd.h>

#include "common/inputs.h"
#include "tests/unit/step_parts.h"
#include "worker/relay.h"

static void
copy_uring(const struct segment *to, const struct segment *from)
{
	uint64_t n;
	uint32_t i;

	for (i = 0; i < from->inputs; i++) {
		*inputs_uring(to, i) = *inputs_uring(from, i);
		for (n = 0; n < BUFFERS; n++)
			memcpy(inputs_uring_buffer(to, i, n),
			    inputs_uring_buffer(from, i, n), 512);
	}
}

/* The places where messages land, and what may be copied to behind them. */
static void
copy_landing(const struct segment *to, const struct segment *from)
{
	uint64_t at = ring_start(RING_SIZE);
	uint32_t i;

	for (i = 0; i <= from->rx_slots; i++, at += from->rx->stride)
		memcpy(ring_at(&to->ring, at), ring_at(&from->ring, at), 512);
}

void
step_copy(const struct segment *to, const struct segment *from)
{
	uint64_t start = ring_start(RING_SIZE);
	uint32_t i;

	copy_landing(to, from);
	memcpy(to->base, from->base, (size_t)(from->slots - from->base));
	for (i = 0; i < from->rx_slots; i++)
		memcpy(to->slots + (size_t)i * SLOT_SIZE,
		    from->slots + (size_t)i * SLOT_SIZE, 256);
	memcpy(to->tx, from->tx, sizeof(*from->tx));
	if (from->uring != NULL)
		copy_uring(to, from);
	memcpy(ring_at(&to->ring, start), ring_at(&from->ring, start),
	    2 * (RING_SIZE - start));
}

struct ingest_hub *
step_hub(void)
{
	struct ingest_hub *hub = ingest_hub_new();

	ingest_hub_enable(hub);
	return hub;
}

void
step_join(struct ingest_hub *hub, struct ingest *ingest, const int *sockets)
{
	char why[URING_WHY_SIZE];
	struct ingest_ring *ring = ingest_hub_join(hub, ingest->segment,
	    sockets, ingest, why);

	if (ring == NULL)
		_exit(1);
	ingest_use_ring(ingest, ring);
}

void
step_take(struct ingest_hub *hub, struct ingest *ingest,
    struct relay *relay)
{
	unsigned i;

	(void)ingest_hub_take(hub, 1, 0);
	while (ingest_hub_next(hub) != NULL)
		for (i = 0; i < ingest->segment->inputs; i++)
			if (ingest_holds(ingest, i))
				ingest_batch(ingest, i);
	relay_run(relay);
	(void)ingest_hub_take(hub, 1, 0);
	ingest_hub_rest(hub);
	ingest_ring_leave(ingest->ring);
	for (i = 0; i < ingest->segment->inputs; i++)
		ingest_batch(ingest, i);
	ingest_batch(ingest, 0);
}
