/* SPDX-License-Identifier: ISC */
/*
 * Making a channel's segment, empty or going on from another.  Supervisor only.
 */
#include <sys/mman.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/inputs.h"
#include "common/memory.h"
#include "common/messages.h"
#include "common/segment.h"
#include "common/segment_priv.h"

#define HUGE_RING	(16U << 20)

/* A whole batch fits in half of the ring, so that it is committed at once. */
static uint32_t
slots_for(uint64_t ring_size)
{
	uint64_t slots = ring_size / 2 / SLOT_SIZE;

	return (uint32_t)MAX_OF((uint64_t)RX_SLOTS_MIN,
	    MIN_OF((uint64_t)RX_SLOTS_MAX, slots));
}

static void
plan_layout(struct layout *layout, const struct segment_spec *spec)
{
	uint64_t at = PAGE;
	unsigned i;

	layout->rx_slots = slots_for(spec->ring_size);
	layout->area_size[AREA_CONFIG] = sizeof(struct channel_config);
	layout->area_size[AREA_INPUTS] = MAX_OF(spec->inputs, 1U) *
	    sizeof(struct listen_config);
	layout->area_size[AREA_SCHEMA] = spec->schema != NULL ?
	    strlen(spec->schema) + 1 : 0;
	layout->area_size[AREA_PROGRAM] = spec->program_size;
	layout->area_size[AREA_STATE] = sizeof(struct worker_state);
	layout->area_size[AREA_DECIMATOR] = DECIMATOR_AREA;
	layout->area_size[AREA_RX] = sizeof(struct rx_area);
	layout->area_size[AREA_SLOTS] = (uint64_t)layout->rx_slots * SLOT_SIZE;
	layout->area_size[AREA_MERGE] = spec->config.merge_window_ns == 0 ? 0 :
	    sizeof(struct merge_area) + spec->ring_size / MERGE_POOL_PART;
	layout->area_size[AREA_TX] = sizeof(struct tx_area);
	layout->area_size[AREA_URING] = segment_uring_size(&spec->config,
	    layout->rx_slots, MAX_OF(spec->inputs, 1U));
	layout->area_size[AREA_RING] = spec->ring_size;
	for (i = 0; i < AREAS; i++) {
		layout->offset[i] = at;
		at += ROUND_UP(layout->area_size[i], (uint64_t)PAGE);
	}
	layout->size = at;
}

uint64_t
segment_size(const struct segment_spec *spec)
{
	struct layout layout;

	plan_layout(&layout, spec);
	return layout.size;
}

static uint32_t
rx_left(const struct segment *old, uint64_t committed)
{
	const struct rx_area *rx = old->rx;
	uint32_t n = 0, offered = MIN_OF(rx->offered, old->rx_slots);

	/* Partner: the release in socket_receive(). */
	if (atomic_load_explicit(&rx->batch, memory_order_acquire) !=
	    committed + 1)
		return 0;
	while (n < offered && messages_has(&rx->msg[n], &rx->name[n]))
		n++;
	return n;
}

uint64_t
segment_abandoned(const struct segment *old, uint64_t committed)
{
	uint64_t left = rx_left(old, committed);
	uint32_t i;

	for (i = 0; i < old->inputs; i++)
		left += inputs_uring_left(old, i);
	return left;
}

static void
inherit_archive(struct archive_state *archive, const struct segment *old,
    uint64_t sequence)
{
	const struct archive_state *before =
	    archive_current(&old->state->archive);

	archive->counts = before->counts;
	memcpy(archive->told, before->told, sizeof(archive->told));
	if (old->config->archive.enabled)
		archive->counts.archive_shed += sequence - before->sequence;
}

static void
inherit_output(struct output_state *output, const struct segment *old,
    uint32_t i, uint64_t sequence)
{
	const struct output_state *before =
	    output_current(&old->state->output[i]);
	uint64_t lost = sequence - before->sequence;

	output->counts = before->counts;
	output->counts.relay_errors += lost;
	output->counts.relay_overrun += lost;
}

/* Who is to be named for a number; what cannot be said any more is not counted
 * as anybody's alone. */
static uint8_t
inherit_by(uint8_t by, const int map[static INPUTS_MAX], uint32_t inputs)
{
	int first = (by & (int)(MERGE_SHARED - 1)) - 1;
	uint32_t i;

	for (i = 0; by != 0 && i < inputs; i++)
		if (map[i] == first)
			return (uint8_t)((by & MERGE_SHARED) | (i + 1));
	return by == 0 ? 0 : MERGE_SHARED | 1;
}

/* The numbers that have come: a copy of one of them may yet come.  What waited
 * has gone on before, or counts as lost. */
static void
inherit_merge(const struct segment *segment, const struct segment *old,
    const int map[static INPUTS_MAX], bool counts)
{
	const struct merge_state *from;
	struct merge_state *to;
	uint32_t i, n;

	if (segment->merge == NULL || old->merge == NULL ||
	    memcmp(&old->config->sender_sequence,
	    &segment->config->sender_sequence,
	    sizeof(old->config->sender_sequence)) != 0)
		return;
	to = &segment->merge->copy[0];
	from = &old->merge->copy[ingest_current(
	    &old->state->ingest)->merge_copy & 1];
	to->now = from->now & 1;
	for (i = 0; i < segment->inputs; i++)
		if (map[i] != -1)
			to->path[i] = from->path[map[i]];
	for (n = 0; n < 2; n++) {
		to->numbers[n] = from->numbers[n];
		for (i = 0; i < MERGE_NUMBERS; i++)
			to->numbers[n].by[i] = inherit_by(
			    from->numbers[n].by[i], map,
			    counts ? segment->inputs : 0);
	}
}

/* An input that stays goes on; `counts' tells whether its counters do. */
static void
inherit_inputs(const struct segment *segment, const struct segment *old,
    uint64_t committed, bool counts)
{
	const struct input_state *in_force = inputs_of(old,
	    ingest_current(&old->state->ingest));
	struct input_state *now = segment->state->input[0];
	struct input_state before[INPUTS_MAX];
	int map[INPUTS_MAX];
	uint32_t i;

	memcpy(before, in_force, old->inputs * sizeof(before[0]));
	before[MIN_OF(old->rx->input, old->inputs - 1)].counts.
	    kernel_dropped += rx_left(old, committed);
	for (i = 0; i < old->inputs; i++) {
		before[i].counts.kernel_dropped += inputs_uring_left(old, i);
		before[i].messages = 0;
	}
	inputs_match(segment->input, segment->inputs, old->input,
	    old->inputs, map);
	for (i = 0; i < segment->inputs; i++) {
		if (map[i] == -1)
			continue;
		if (counts)
			now[i] = before[map[i]];
		else {
			now[i].drops_seen = before[map[i]].drops_seen;
			now[i].xdp_drops_seen = before[map[i]].xdp_drops_seen;
			now[i].xdp_socket = before[map[i]].xdp_socket;
			now[i].xdp_frames = before[map[i]].xdp_frames;
		}
	}
	inherit_merge(segment, old, map, counts);
}

/*
 * What the predecessor left behind counts as lost by the part that had
 * it.  The counters only go on when they still add up, with the same archive
 * and the same outputs.  Its worker has ended: nobody writes but the caller.
 */
static void
inherit(const struct segment *segment, const struct segment_spec *spec)
{
	struct channel_config *config = (void *)(uintptr_t)segment->config;
	struct worker_state *state = segment->state;
	const struct segment *old = spec->predecessor;
	struct ingest_state *ingest = &state->ingest.copy[0];
	struct ingest_state before = *ingest_current(&old->state->ingest);
	const uint64_t committed = before.batch;
	uint64_t abandoned = segment_abandoned(old, committed);
	uint64_t head = ingest->head;
	uint32_t i;

	/* Nobody reads or writes it now. */
	state->finished = old->state->finished;
	before.counts.kernel_dropped += abandoned +
	    before.counts.merge_waiting;
	before.counts.merge_waiting = 0;
	state->archive.copy[0].sequence = before.sequence;
	for (i = 0; i < config->outputs; i++)
		state->output[i].copy[0].sequence = before.sequence;
	if (old->config->archive.enabled != config->archive.enabled ||
	    old->config->outputs != config->outputs) {
		ingest->sequence = config->counted_from = before.sequence;
		inherit_inputs(segment, old, committed, false);
		return;
	}
	config->counted_from = old->config->counted_from;
	*ingest = before;
	ingest->head = head;
	ingest->batch = 0;
	ingest->sources_copy = 0;
	ingest->merge_copy = 0;
	inherit_inputs(segment, old, committed, true);
	if (memcmp(&old->config->sender_sequence, &config->sender_sequence,
	    sizeof(config->sender_sequence)) == 0)
		memcpy(state->source[0],
		    old->state->source[before.sources_copy & 1],
		    sizeof(state->source[0]));
	inherit_archive(&state->archive.copy[0], old, before.sequence);
	for (i = 0; i < config->outputs; i++)
		inherit_output(&state->output[i].copy[0], old, i,
		    before.sequence);
}

static void
fill_state(struct segment *segment, const struct segment_spec *spec)
{
	struct worker_state *state = segment->state;
	uint64_t start = ring_start(spec->ring_size);
	uint32_t i;

	atomic_store_explicit(&state->ring.head, start, memory_order_relaxed);
	atomic_store_explicit(&state->ring.reserve, start,
	    memory_order_relaxed);
	atomic_store_explicit(&state->archive_wake_at, RING_WAKE_NEVER,
	    memory_order_relaxed);
	atomic_store_explicit(&state->archive_position, start,
	    memory_order_relaxed);
	atomic_store_explicit(&segment->page->wake_at, RING_WAKE_NEVER,
	    memory_order_relaxed);
	state->ingest.copy[0].head = start;
	state->archive.copy[0].position = start;
	for (i = 0; i < OUTPUTS_MAX; i++)
		state->output[i].copy[0].position = start;
	if (spec->predecessor != NULL)
		inherit(segment, spec);
}

static void
fill_header(struct segment_header *header, const struct layout *layout)
{
	unsigned i;

	header->size = layout->size;
	segment_layout_sizes(header->layout);
	header->rx_slots = layout->rx_slots;
	for (i = 0; i < AREAS; i++) {
		header->area[i].offset = layout->offset[i];
		header->area[i].size = layout->area_size[i];
	}
	/* Partner: the acquire in read_layout(). */
	atomic_store_explicit(&header->magic, SEGMENT_MAGIC,
	    memory_order_release);
}

static int
make_object(const char *name, uint64_t size)
{
	char label[CHANNEL_NAME_MAX + 16];
	int fd, saved;

	snprintf(label, sizeof(label), "mcrelay:%s", name);
	fd = memory_open(label);
	if (fd == -1)
		return -1;
	if (ftruncate(fd, (off_t)size) == -1 ||
	    memory_seal(fd, MEMORY_NO_SHRINK | MEMORY_NO_GROW) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/*
 * A large ring in pages of 2 MiB needs fewer translations.  The kernel takes
 * the advice when transparent_hugepage/shmem_enabled is `advise', and the
 * ring does without when it does not.
 */
static void
want_huge_pages(const struct segment *segment)
{
	if (segment->ring.size >= HUGE_RING)
		memory_want_huge(segment->ring.data, segment->ring.size);
}

/* What is locked is there, too. */
static bool
lock(const struct segment *segment)
{
	int error;

	if (segment_lock(segment))
		return true;
	error = errno;
	memory_populate(segment->base, segment->mapped - segment->ring.size);
	errno = error;
	return false;
}

int
segment_create(struct segment *segment, const struct segment_spec *spec,
    bool *locked)
{
	struct layout layout;
	int saved, lock_error;

	memset(segment, 0, sizeof(*segment));
	plan_layout(&layout, spec);
	segment->fd = make_object(spec->config.name, layout.size);
	if (segment->fd == -1)
		return -1;
	segment->base = segment_map(segment->fd, &layout,
	    PROT_READ | PROT_WRITE, 0);
	if (segment->base == NULL) {
		saved = errno;
		close(segment->fd);
		errno = saved;
		return -1;
	}
	segment_set_pointers(segment, &layout);
	want_huge_pages(segment);
	*locked = spec->later || lock(segment);
	lock_error = errno;
	memcpy((void *)(uintptr_t)segment->config, &spec->config,
	    sizeof(spec->config));
	if (spec->input != NULL)
		memcpy((void *)(uintptr_t)segment->input, spec->input,
		    spec->inputs * sizeof(*spec->input));
	if (spec->schema != NULL)
		memcpy((void *)(uintptr_t)segment->schema, spec->schema,
		    layout.area_size[AREA_SCHEMA]);
	if (spec->program_size > 0)
		memcpy((void *)(uintptr_t)segment->program, spec->program,
		    spec->program_size);
	fill_state(segment, spec);
	fill_header((void *)segment->base, &layout);
	errno = lock_error;
	return 0;
}
