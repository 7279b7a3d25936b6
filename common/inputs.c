/* SPDX-License-Identifier: ISC */
/*
 * A channel's inputs, as its segment has them.  Every process.  See inputs.h.
 */
#include <stdio.h>
#include <string.h>

#include "common/inputs.h"

static bool
same_name(const struct listen_config *a, const struct listen_config *b)
{
	return strncmp(a->interface, b->interface, IF_NAMESIZE) == 0;
}

/* What is shared by both. */
static bool
is_match(const struct listen_config *a, const struct listen_config *b,
    bool exact)
{
	return memcmp(&a->address, &b->address, sizeof(a->address)) == 0 &&
	    (exact ? same_name(a, b) : (a->interface[0] == '\0') !=
	    (b->interface[0] == '\0'));
}

void
inputs_match(const struct listen_config *fresh, size_t inputs,
    const struct listen_config *old, size_t olds, int map[static INPUTS_MAX])
{
	bool taken[INPUTS_MAX] = {false};
	size_t i, j;
	int exact;

	for (i = 0; i < inputs; i++)
		map[i] = -1;
	for (exact = 1; exact >= 0; exact--)
		for (i = 0; i < inputs; i++)
			for (j = 0; j < olds && map[i] == -1; j++) {
				if (taken[j] || !is_match(&fresh[i], &old[j],
				    exact != 0))
					continue;
				map[i] = (int)j;
				taken[j] = true;
			}
}

uint32_t
inputs_uring_left(const struct segment *segment, uint32_t input)
{
	uint64_t first, published;
	const struct uring_out *out;
	uint32_t n, offered;

	if (segment->uring == NULL)
		return 0;
	first = inputs_of(segment, ingest_current(&segment->state->ingest))
	    [input].messages;
	/* Partner: the release in provide() of worker/ingest_uring.c. */
	published = atomic_load_explicit(&inputs_uring(segment, input)->
	    published, memory_order_acquire);
	offered = published <= first ? 0 : (uint32_t)MIN_OF(published - first,
	    uring_buffers(&segment->config->uring, segment->rx_slots));
	for (n = 0; n < offered; n++) {
		out = (const void *)inputs_uring_buffer(segment, input,
		    first + n);
		if (out->length == RX_SENTINEL)
			break;
	}
	return n;
}

bool
inputs_read(const struct segment *segment, struct input_state *inputs)
{
	const struct worker_state *state = segment->state;
	struct input_state copy[INPUTS_MAX];
	uint64_t generation, begun;
	int tries = DOMAIN_TRIES;

	/* As the domain is read (domain.h). */
	do {
		generation = atomic_load_explicit(&state->ingest.generation,
		    memory_order_acquire);
		memcpy(copy, state->input[generation & 1],
		    segment->inputs * sizeof(copy[0]));
		atomic_thread_fence(memory_order_acquire);
		begun = atomic_load_explicit(&state->ingest.begun,
		    memory_order_relaxed);
	} while (begun - generation > 1 && --tries > 0);
	if (tries == 0)
		return false;
	memcpy(inputs, copy, segment->inputs * sizeof(copy[0]));
	return true;
}

size_t
inputs_text(const struct listen_config *input,
    char text[static INPUT_TEXT_SIZE])
{
	size_t length = format_address((const void *)&input->address, text);

	/* What is shared has an end where it ought to. */
	if (input->interface[0] != '\0')
		length += (size_t)snprintf(text + length, IF_NAMESIZE + 1,
		    "%%%.*s", IF_NAMESIZE - 1, input->interface);
	return length;
}
