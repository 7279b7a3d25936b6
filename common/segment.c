/* SPDX-License-Identifier: ISC */
/*
 * Making, mapping and reading a channel's segment.  Every process.  What is
 * read from a segment is bounded before it is used: whoever writes to it may
 * be broken or hostile.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/segment.h"

#define PAGE		4096U
#define HUGE_RING	(16U << 20)
#define SEALS		(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Where everything lies; a private copy of the header, or the plan of one. */
struct layout {
	uint64_t	size;
	uint64_t	offset[AREAS];
	uint64_t	area_size[AREAS];
	uint32_t	rx_slots;
};

static void
layout_sizes(uint32_t sizes[static 6])
{
	sizes[0] = sizeof(struct channel_config);
	sizes[1] = sizeof(struct worker_state);
	sizes[2] = sizeof(struct decimator_page);
	sizes[3] = sizeof(struct rx_area);
	sizes[4] = sizeof(struct tx_area);
	sizes[5] = sizeof(struct ring_record);
}

uint64_t
segment_layout(void)
{
	uint32_t sizes[6];
	char text[16 + NITEMS(sizes) * 8 + 1];
	int length;

	layout_sizes(sizes);
	length = snprintf(text, sizeof(text), "%016" PRIx64, SEGMENT_MAGIC);
	for (size_t i = 0; i < NITEMS(sizes); i++)
		length += snprintf(text + length,
		    sizeof(text) - (size_t)length, "%08" PRIx32, sizes[i]);
	return hash_text64(text);
}

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
	layout->area_size[AREA_SCHEMA] = spec->schema != NULL ?
	    strlen(spec->schema) + 1 : 0;
	layout->area_size[AREA_PROGRAM] = spec->program_size;
	layout->area_size[AREA_STATE] = sizeof(struct worker_state);
	layout->area_size[AREA_DECIMATOR] = PAGE;
	layout->area_size[AREA_RX] = sizeof(struct rx_area);
	layout->area_size[AREA_SLOTS] = (uint64_t)layout->rx_slots * SLOT_SIZE;
	layout->area_size[AREA_TX] = sizeof(struct tx_area);
	layout->area_size[AREA_RING] = spec->ring_size;
	for (i = 0; i < AREAS; i++) {
		layout->offset[i] = at;
		at += ROUND_UP(layout->area_size[i], (uint64_t)PAGE);
	}
	layout->size = at;
}

static bool
power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/* Maps the object once, and its last area once more right behind. */
static uint8_t *
map_twice(int fd, const struct layout *layout, int prot, int flags)
{
	uint64_t ring = layout->area_size[AREA_RING];
	uint8_t *base;

	base = mmap(NULL, layout->size + ring, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	if (mmap(base, layout->size, prot, MAP_SHARED | MAP_FIXED | flags, fd,
	    0) == MAP_FAILED ||
	    mmap(base + layout->size, ring, prot,
	    MAP_SHARED | MAP_FIXED | flags, fd,
	    (off_t)layout->offset[AREA_RING]) == MAP_FAILED) {
		munmap(base, layout->size + ring);
		return NULL;
	}
	return base;
}

static void
set_pointers(struct segment *segment, const struct layout *layout)
{
	uint8_t *base = segment->base;
	const uint64_t *at = layout->offset;

	segment->mapped = layout->size + layout->area_size[AREA_RING];
	segment->rx_slots = layout->rx_slots;
	segment->config = (const void *)(base + at[AREA_CONFIG]);
	segment->schema_size = layout->area_size[AREA_SCHEMA];
	segment->schema = segment->schema_size > 0 ?
	    (const char *)base + at[AREA_SCHEMA] : NULL;
	if (segment->schema_size > 0)
		segment->schema_size--;
	segment->program_size = layout->area_size[AREA_PROGRAM];
	segment->program = segment->program_size > 0 ?
	    base + at[AREA_PROGRAM] : NULL;
	segment->state = (void *)(base + at[AREA_STATE]);
	segment->page = (void *)(base + at[AREA_DECIMATOR]);
	segment->rx = (void *)(base + at[AREA_RX]);
	segment->slots = base + at[AREA_SLOTS];
	segment->tx = (void *)(base + at[AREA_TX]);
	segment->ring.data = base + at[AREA_RING];
	segment->ring.size = layout->area_size[AREA_RING];
	segment->ring.shared = &segment->state->ring;
}

/*
 * Messages that the kernel had handed over, and that nobody committed: a
 * worker died at it, and no other came.
 */
static uint64_t
abandoned(const struct segment *old, const struct ingest_state *ingest)
{
	const struct rx_area *rx = old->rx;
	uint32_t n = 0, offered = MIN_OF(rx->offered, old->rx_slots);

	if (atomic_load_explicit(&rx->batch, memory_order_acquire) !=
	    ingest->batch + 1)
		return 0;
	while (n < offered && rx->msg[n].msg_len != RX_SENTINEL)
		n++;
	return n;
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
	uint64_t head = ingest->head;
	uint32_t i;

	if (spec->new_socket)
		before.drops_seen = 0;
	before.counts.kernel_dropped += abandoned(old, &before);
	state->archive.copy[0].sequence = before.sequence;
	for (i = 0; i < config->outputs; i++)
		state->output[i].copy[0].sequence = before.sequence;
	if (old->config->archive.enabled != config->archive.enabled ||
	    old->config->outputs != config->outputs) {
		ingest->sequence = config->counted_from = before.sequence;
		ingest->drops_seen = before.drops_seen;
		return;
	}
	config->counted_from = old->config->counted_from;
	*ingest = before;
	ingest->head = head;
	ingest->batch = 0;
	ingest->sources_copy = 0;
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
	layout_sizes(header->layout);
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
	fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1)
		return -1;
	if (ftruncate(fd, (off_t)size) == -1 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) == -1) {
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
		(void)madvise(segment->ring.data, segment->ring.size,
		    MADV_HUGEPAGE);
}

bool
segment_lock(const struct segment *segment)
{
	/* One mapping of each page is enough to keep it in memory. */
	return mlock(segment->base, segment->mapped - segment->ring.size) ==
	    0;
}

void
segment_withhold(const struct segment *segment)
{
	(void)madvise(segment->base, segment->mapped, MADV_DONTFORK);
}

int
segment_create(struct segment *segment, const struct segment_spec *spec,
    bool *locked)
{
	struct layout layout;
	int saved;

	memset(segment, 0, sizeof(*segment));
	plan_layout(&layout, spec);
	segment->fd = make_object(spec->config.name, layout.size);
	if (segment->fd == -1)
		return -1;
	segment->base = map_twice(segment->fd, &layout,
	    PROT_READ | PROT_WRITE, 0);
	if (segment->base == NULL) {
		saved = errno;
		close(segment->fd);
		errno = saved;
		return -1;
	}
	set_pointers(segment, &layout);
	want_huge_pages(segment);
	(void)madvise(segment->base, layout.size, MADV_POPULATE_WRITE);
	*locked = segment_lock(segment);
	memcpy((void *)(uintptr_t)segment->config, &spec->config,
	    sizeof(spec->config));
	if (spec->schema != NULL)
		memcpy((void *)(uintptr_t)segment->schema, spec->schema,
		    layout.area_size[AREA_SCHEMA]);
	if (spec->program_size > 0)
		memcpy((void *)(uintptr_t)segment->program, spec->program,
		    spec->program_size);
	fill_state(segment, spec);
	fill_header((void *)segment->base, &layout);
	return 0;
}

/* Whether each area lies within the object and has the size it must have. */
static bool
areas_good(const struct layout *layout)
{
	const uint64_t *size = layout->area_size;
	unsigned i;

	for (i = 0; i < AREAS; i++)
		if (layout->offset[i] % PAGE != 0 ||
		    layout->offset[i] < PAGE ||
		    layout->offset[i] > layout->size ||
		    size[i] > layout->size - layout->offset[i])
			return false;
	return size[AREA_CONFIG] >= sizeof(struct channel_config) &&
	    size[AREA_STATE] >= sizeof(struct worker_state) &&
	    size[AREA_DECIMATOR] == PAGE &&
	    size[AREA_RX] >= sizeof(struct rx_area) &&
	    size[AREA_TX] >= sizeof(struct tx_area) &&
	    layout->rx_slots >= RX_SLOTS_MIN &&
	    layout->rx_slots <= RX_SLOTS_MAX &&
	    size[AREA_SLOTS] == (uint64_t)layout->rx_slots * SLOT_SIZE &&
	    power_of_two(size[AREA_RING]) &&
	    size[AREA_RING] >= RING_SIZE_MIN &&
	    size[AREA_RING] <= RING_SIZE_MAX &&
	    layout->offset[AREA_RING] + size[AREA_RING] == layout->size;
}

/* Copies the header's words once, then checks the copy. */
static const char *
read_layout(int fd, struct layout *layout)
{
	struct segment_header header;
	uint32_t sizes[6];
	struct stat st;
	unsigned i;
	int seals;

	if (fstat(fd, &st) == -1 || (seals = fcntl(fd, F_GET_SEALS)) == -1)
		return "not a memory file";
	if ((seals & F_SEAL_SHRINK) == 0)
		return "not sealed against shrinking";
	/* The file was whole when its descriptor was passed on: the acquire
	 * that pairs with fill_header() is in the passing. */
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    atomic_load_explicit(&header.magic, memory_order_relaxed) !=
	    SEGMENT_MAGIC)
		return "not a segment of this version";
	layout_sizes(sizes);
	if (memcmp(sizes, header.layout, sizeof(sizes)) != 0)
		return "a segment of another layout";
	layout->size = header.size;
	layout->rx_slots = header.rx_slots;
	for (i = 0; i < AREAS; i++) {
		layout->offset[i] = header.area[i].offset;
		layout->area_size[i] = header.area[i].size;
	}
	if (header.size != (uint64_t)st.st_size || !areas_good(layout))
		return "sizes or offsets out of bounds";
	return NULL;
}

/* The supervisor's word is constant; only the decimator's page is the
 * decimator's. */
static bool
protect(const struct segment *segment, const struct layout *layout,
    enum segment_access access)
{
	if (access == SEGMENT_DECIMATOR)
		return mmap(segment->base + layout->offset[AREA_DECIMATOR],
		    PAGE,
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    segment->fd, (off_t)layout->offset[AREA_DECIMATOR]) !=
		    MAP_FAILED;
	if (access == SEGMENT_WORKER)
		return mprotect(segment->base, layout->offset[AREA_STATE],
		    PROT_READ) == 0;
	return true;
}

int
segment_attach(struct segment *segment, int fd, enum segment_access access,
    const char **why)
{
	int prot = access == SEGMENT_DECIMATOR ? PROT_READ :
	    PROT_READ | PROT_WRITE;
	int flags = access == SEGMENT_WORKER ? MAP_POPULATE : 0;
	struct layout layout;

	memset(segment, 0, sizeof(*segment));
	segment->fd = fd;
	*why = read_layout(fd, &layout);
	if (*why != NULL)
		return -1;
	*why = "cannot map it";
	segment->base = map_twice(fd, &layout, prot, flags);
	if (segment->base == NULL)
		return -1;
	set_pointers(segment, &layout);
	if (!protect(segment, &layout, access)) {
		munmap(segment->base, segment->mapped);
		return -1;
	}
	if (segment->schema != NULL &&
	    segment->schema[segment->schema_size] != '\0') {
		munmap(segment->base, segment->mapped);
		*why = "its schema has no end";
		return -1;
	}
	segment->fd = -1;	/* the caller's */
	return 0;
}

void
segment_close(struct segment *segment)
{
	if (segment->base != NULL)
		munmap(segment->base, segment->mapped);
	if (segment->base != NULL && segment->fd != -1)
		close(segment->fd);
	memset(segment, 0, sizeof(*segment));
	segment->fd = -1;
}

static void
add_up(struct channel_counts *counts, const struct ingest_counts *ingest,
    const struct archive_counts *archive, uint32_t outputs)
{
	struct ledger *ledger = &counts->ledger;
	uint32_t i;

#define TAKE_INGEST(name, ...)	ledger->name = ingest->name;
	INGEST_COUNTERS(TAKE_INGEST)
#define TAKE_ARCHIVE(name, ...)	ledger->name = archive->name;
	ARCHIVE_COUNTERS(TAKE_ARCHIVE)
	for (i = 0; i < outputs; i++)
		ledger_add_output(ledger, &counts->output[i]);
	memcpy(counts->rejected_by, archive->rejected_by,
	    sizeof(counts->rejected_by));
}

bool
segment_counts(const struct segment *segment, struct channel_counts *counts)
{
	const struct worker_state *state = segment->state;
	uint32_t i, outputs = MIN_OF(segment->config->outputs,
	    (uint32_t)OUTPUTS_MAX);
	struct channel_counts now = {.ledger = {0}};
	struct archive_state archive;
	struct output_state output;
	struct ingest_state ingest;

	/* Downstream first: what it has counted, ingest has as well. */
	if (!archive_read(&state->archive, &archive))
		return false;
	for (i = 0; i < outputs; i++) {
		if (!output_read(&state->output[i], &output))
			return false;
		now.output[i] = output.counts;
	}
	if (!ingest_read(&state->ingest, &ingest))
		return false;
	add_up(&now, &ingest.counts, &archive.counts, outputs);
	if (segment->config->archive.enabled)
		now.ledger.pending = ingest.sequence - archive.sequence;
	*counts = now;
	return true;
}

bool
segment_ledger(const struct segment *segment, struct ledger *ledger)
{
	struct channel_counts counts;

	if (!segment_counts(segment, &counts))
		return false;
	*ledger = counts.ledger;
	return true;
}
