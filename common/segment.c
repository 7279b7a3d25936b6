/* SPDX-License-Identifier: ISC */
/*
 * Mapping and reading a channel's segment.  Every process.  What is read from
 * a segment is bounded before it is used: whoever writes to it may be broken or
 * hostile.
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
#include "common/memory.h"
#include "common/segment.h"
#include "common/segment_priv.h"

void
segment_layout_sizes(uint32_t sizes[static 6])
{
	sizes[0] = sizeof(struct channel_config);
	sizes[1] = sizeof(struct worker_state);
	sizes[2] = sizeof(struct decimator_page);
	sizes[3] = sizeof(struct rx_area);
	sizes[4] = sizeof(struct tx_area);
	sizes[5] = sizeof(struct ring_record);
}

static uint64_t
layout_number(uint64_t magic, const uint32_t sizes[static 6])
{
	char text[16 + 6 * 8 + 1];
	int length;

	length = snprintf(text, sizeof(text), "%016" PRIx64, magic);
	for (size_t i = 0; i < 6; i++)
		length += snprintf(text + length,
		    sizeof(text) - (size_t)length, "%08" PRIx32, sizes[i]);
	return hash_text64(text);
}

uint64_t
segment_layout(void)
{
	uint32_t sizes[6];

	segment_layout_sizes(sizes);
	return layout_number(SEGMENT_MAGIC, sizes);
}

uint64_t
segment_layout_of(int fd)
{
	struct segment_header header;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		return 0;
	return layout_number(atomic_load_explicit(&header.magic,
	    memory_order_relaxed), header.layout);
}

static bool
power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

uint8_t *
segment_map(int fd, const struct layout *layout, int prot, int flags)
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

void
segment_set_pointers(struct segment *segment, const struct layout *layout)
{
	uint8_t *base = segment->base;
	const uint64_t *at = layout->offset;

	segment->mapped = layout->size + layout->area_size[AREA_RING];
	segment->rx_slots = layout->rx_slots;
	segment->config = (const void *)(base + at[AREA_CONFIG]);
	segment->input = (const void *)(base + at[AREA_INPUTS]);
	segment->inputs = (uint32_t)(layout->area_size[AREA_INPUTS] /
	    sizeof(struct listen_config));
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
	if (layout->area_size[AREA_MERGE] > 0) {
		segment->merge = (void *)(base + at[AREA_MERGE]);
		segment->merge_pool = layout->area_size[AREA_MERGE] -
		    sizeof(struct merge_area);
	}
	segment->tx = (void *)(base + at[AREA_TX]);
	segment->uring = layout->area_size[AREA_URING] > 0 ?
	    base + at[AREA_URING] : NULL;
	segment->ring.data = base + at[AREA_RING];
	segment->ring.size = layout->area_size[AREA_RING];
	segment->ring.shared = &segment->state->ring;
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
	    size[AREA_INPUTS] >= sizeof(struct listen_config) &&
	    size[AREA_INPUTS] <= INPUTS_MAX * sizeof(struct listen_config) &&
	    size[AREA_INPUTS] % sizeof(struct listen_config) == 0 &&
	    size[AREA_STATE] >= sizeof(struct worker_state) &&
	    size[AREA_DECIMATOR] == DECIMATOR_AREA &&
	    size[AREA_RX] >= sizeof(struct rx_area) &&
	    size[AREA_TX] >= sizeof(struct tx_area) &&
	    layout->rx_slots >= RX_SLOTS_MIN &&
	    layout->rx_slots <= RX_SLOTS_MAX &&
	    size[AREA_SLOTS] == (uint64_t)layout->rx_slots * SLOT_SIZE &&
	    power_of_two(size[AREA_RING]) &&
	    size[AREA_RING] >= RING_SIZE_MIN &&
	    size[AREA_RING] <= RING_SIZE_MAX &&
	    (size[AREA_MERGE] == 0 || size[AREA_MERGE] ==
	    sizeof(struct merge_area) + size[AREA_RING] / MERGE_POOL_PART) &&
	    layout->offset[AREA_RING] + size[AREA_RING] == layout->size;
}

uint64_t
segment_uring_size(const struct channel_config *config, uint32_t rx_slots,
    uint32_t inputs)
{
	return config->uring.enabled == 0 ? 0 : inputs * uring_input_size(
	    uring_buffers(&config->uring, rx_slots));
}

/* Copies the header's words once, then checks the copy. */
static const char *
read_layout(int fd, struct layout *layout)
{
	struct segment_header header;
	uint32_t sizes[6];
	struct stat st;
	unsigned i;
	const char *why = memory_why_unsafe(fd);

	if (why != NULL)
		return why;
	if (fstat(fd, &st) == -1)
		return "not a memory file";
	/* The file was whole when its descriptor was passed on: the acquire
	 * that pairs with fill_header() is in the passing. */
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    atomic_load_explicit(&header.magic, memory_order_relaxed) !=
	    SEGMENT_MAGIC)
		return "not a segment of this version";
	segment_layout_sizes(sizes);
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
		    DECIMATOR_AREA,
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    segment->fd, (off_t)layout->offset[AREA_DECIMATOR]) !=
		    MAP_FAILED;
	if (access == SEGMENT_WORKER)
		return mprotect(segment->base, layout->offset[AREA_STATE],
		    PROT_READ) == 0;
	return true;
}

/* Nothing stays that the caller might use or unmap again. */
static void
detach(struct segment *segment)
{
	int error = errno;

	munmap(segment->base, segment->mapped);
	memset(segment, 0, sizeof(*segment));
	segment->fd = -1;
	errno = error;
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
	segment->base = segment_map(fd, &layout, prot, flags);
	if (segment->base == NULL) {
		*why = strerror(errno);
		return -1;
	}
	segment_set_pointers(segment, &layout);
	if (!protect(segment, &layout, access)) {
		*why = strerror(errno);
		detach(segment);
		return -1;
	}
	if (segment->schema != NULL &&
	    segment->schema[segment->schema_size] != '\0') {
		detach(segment);
		*why = "its schema has no end";
		return -1;
	}
	if (segment->uring != NULL && layout.area_size[AREA_URING] !=
	    segment_uring_size(segment->config, segment->rx_slots,
	    segment->inputs)) {
		detach(segment);
		*why = "not the buffers that it asks for";
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
	now.last_received_ns = ingest.last_received_ns;
	if (segment->config->archive.enabled) {
		now.ledger.pending = ingest.sequence - archive.sequence;
		now.ring_used = ingest.head - archive.position;
		memcpy(now.file, archive.file, sizeof(now.file));
	}
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
