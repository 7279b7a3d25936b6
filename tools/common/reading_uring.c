/* SPDX-License-Identifier: ISC */
/*
 * Reading files by io_uring.  Tools.
 *
 * Of each file there are two chunks: one that is being used, and the one
 * behind it, which the kernel reads meanwhile.  The first one is shorter, of
 * each file by another number of pages: where thousands begin together, with
 * records of one size, their reads would otherwise come together for ever, and
 * the thread be late each time.  What lies across both is copied together.
 * Reads are gathered and submitted together, before a wait at the latest.  A
 * read that fails, or gives less than the file had, is done again by pread(),
 * which says why.
 */
#include "common/util.h"
#include "common/uring.h"
#include "tools/common/reading.h"

#ifdef HAVE_URING

#include <sys/queue.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* Reads that are gathered, at the most; and in flight. */
#define GATHERED_MAX	256
#define FLYING_MAX	8192
/* The part of a file's room that is for chunks; the rest is for what lies
 * across both.  Pages are read as a whole. */
#define CHUNK_OF(room)	(((room) * 7 / 16) & ~(size_t)4095)
/* Chunks are allocated, and registered with the kernel, by so many bytes. */
#define SLAB_BYTES	((size_t)4 << 20)
#define SLABS_MAX	1024

struct chunk {
	uint8_t		*data;
	int		 slab;		/* registered as; -1: not */
	uint64_t	 offset;	/* in the file */
	size_t		 asked;		/* 0: nothing is here */
	size_t		 size;		/* what has come */
	bool		 flying;
};

struct pair {
	SLIST_ENTRY(pair) entry;	/* of those that no file has */
	struct chunk	 chunk[2];
	size_t		 first;		/* bytes that are read first */
};

struct slab {
	uint8_t		*data;
	struct pair	*pair;
};

struct engine {
	struct io_uring	 ring;
	size_t		 chunk;		/* bytes of one */
	bool		 registers;	/* the kernel still takes buffers */
	unsigned	 slabs;
	struct slab	 slab[SLABS_MAX];
	SLIST_HEAD(, pair) idle;
	unsigned	 gathered;
	unsigned	 flying;
};

static bool
begin(struct reading *reading, char **why)
{
	const struct uring_options options = {
		.entries = GATHERED_MAX,
		.completions = FLYING_MAX,
		.deferred = true,
		.cpu = -1,
	};
	char text[URING_WHY_SIZE];
	struct engine *engine = xcalloc(1, sizeof(*engine));

	SLIST_INIT(&engine->idle);
	engine->chunk = MAX_OF(CHUNK_OF(reading->room), (size_t)4096);
	if (uring_open(&engine->ring, &options, text)) {
		if (uring_enable(&engine->ring, text)) {
			engine->registers = io_uring_register_buffers_sparse(
			    &engine->ring, SLABS_MAX) == 0;
			reading->state = engine;
			return true;
		}
		io_uring_queue_exit(&engine->ring);
	}
	free(engine);
	*why = xstrdup(text);
	return false;
}

static void
end(struct reading *reading)
{
	struct engine *engine = reading->state;

	io_uring_queue_exit(&engine->ring);
	for (unsigned i = 0; i < engine->slabs; i++) {
		free(engine->slab[i].data);
		free(engine->slab[i].pair);
	}
	free(engine);
}

/* More than RLIMIT_MEMLOCK: the others are read without. */
static int
register_slab(struct engine *engine, void *data, size_t size)
{
	struct iovec iov = { .iov_base = data, .iov_len = size };
	const __u64 tag = 0;

	if (engine->registers && io_uring_register_buffers_update_tag(
	    &engine->ring, engine->slabs, &iov, &tag, 1) != 1)
		engine->registers = false;
	return engine->registers ? (int)engine->slabs : -1;
}

static void
add_slab(struct engine *engine)
{
	const size_t pairs = MAX_OF(SLAB_BYTES / (2 * engine->chunk),
	    (size_t)1);
	const size_t size = pairs * 2 * engine->chunk;
	struct slab *slab = &engine->slab[engine->slabs];
	struct chunk *chunk;
	int number;

	slab->data = aligned_alloc(4096, size);
	if (slab->data == NULL)
		fatal("cannot allocate buffers");
	slab->pair = xcalloc(pairs, sizeof(*slab->pair));
	number = register_slab(engine, slab->data, size);
	for (size_t i = 0; i < 2 * pairs; i++) {
		chunk = &slab->pair[i / 2].chunk[i % 2];
		chunk->data = slab->data + i * engine->chunk;
		chunk->slab = number;
	}
	for (size_t i = 0; i < pairs; i++) {
		slab->pair[i].first = engine->chunk -
		    i * 4096 % engine->chunk;
		SLIST_INSERT_HEAD(&engine->idle, &slab->pair[i], entry);
	}
	engine->slabs++;
}

/* What has come. */
static void
reap(struct engine *engine)
{
	struct io_uring_cqe *cqe;
	struct chunk *chunk;
	unsigned head, n = 0;

	io_uring_for_each_cqe(&engine->ring, head, cqe) {
		chunk = io_uring_cqe_get_data(cqe);
		chunk->flying = false;
		chunk->size = cqe->res > 0 ? (size_t)cqe->res : 0;
		n++;
	}
	io_uring_cq_advance(&engine->ring, n);
	engine->flying -= n;
}

static void
turn(struct reading *reading)
{
	struct engine *engine = reading->state;

	if (engine->gathered == 0 && engine->flying == 0)
		return;
	(void)io_uring_submit_and_get_events(&engine->ring);
	engine->gathered = io_uring_sq_ready(&engine->ring);
	reap(engine);
}

static void
wait_for(struct engine *engine, const struct chunk *chunk)
{
	while (chunk->flying) {
		(void)io_uring_submit_and_wait(&engine->ring, 1);
		engine->gathered = io_uring_sq_ready(&engine->ring);
		reap(engine);
	}
}

/* Has so much read, if there is room for that; it is not flying. */
static void
ask_for(struct reading_file *file, struct chunk *chunk, uint64_t offset,
    size_t most)
{
	struct engine *engine = file->reading->state;
	struct io_uring_sqe *sqe = NULL;

	chunk->asked = chunk->size = 0;
	chunk->offset = offset;
	if (offset >= file->size)
		return;
	if (engine->flying < FLYING_MAX)
		sqe = io_uring_get_sqe(&engine->ring);
	if (sqe == NULL)
		turn(file->reading);
	if (sqe == NULL && engine->flying < FLYING_MAX)
		sqe = io_uring_get_sqe(&engine->ring);
	if (sqe == NULL)
		return;
	chunk->asked = (size_t)MIN_OF((uint64_t)most, file->size - offset);
	if (chunk->slab == -1)
		io_uring_prep_read(sqe, file->fd, chunk->data,
		    (unsigned)chunk->asked, offset);
	else
		io_uring_prep_read_fixed(sqe, file->fd, chunk->data,
		    (unsigned)chunk->asked, offset, chunk->slab);
	io_uring_sqe_set_data(sqe, chunk);
	chunk->flying = true;
	engine->gathered++;
	engine->flying++;
}

static bool
open_file(struct reading_file *file)
{
	struct engine *engine = file->reading->state;
	struct pair *pair;

	if (SLIST_EMPTY(&engine->idle)) {
		if (engine->slabs == SLABS_MAX)
			return false;
		add_slab(engine);
	}
	pair = SLIST_FIRST(&engine->idle);
	SLIST_REMOVE_HEAD(&engine->idle, entry);
	pair->chunk[0].asked = pair->chunk[1].asked = 0;
	pair->chunk[0].size = pair->chunk[1].size = 0;
	file->state = pair;
	return true;
}

static void
close_file(struct reading_file *file)
{
	struct engine *engine = file->reading->state;
	struct pair *pair = file->state;

	wait_for(engine, &pair->chunk[0]);
	wait_for(engine, &pair->chunk[1]);
	SLIST_INSERT_HEAD(&engine->idle, pair, entry);
}

static bool
covers(const struct chunk *chunk, uint64_t offset)
{
	return offset >= chunk->offset && offset - chunk->offset <
	    chunk->asked;
}

/* The chunk with this byte, which is there then; the one behind it is asked
 * for.  NULL: by pread(). */
static const struct chunk *
take(struct reading_file *file, uint64_t offset)
{
	struct engine *engine = file->reading->state;
	struct pair *pair = file->state;
	struct chunk *chunk, *other;
	unsigned which = covers(&pair->chunk[1], offset);

	chunk = &pair->chunk[which];
	other = &pair->chunk[1 - which];
	if (!covers(chunk, offset)) {
		wait_for(engine, chunk);
		ask_for(file, chunk, offset & ~(uint64_t)4095, pair->first);
	}
	if (!other->flying && other->offset != chunk->offset + chunk->asked)
		ask_for(file, other, chunk->offset + chunk->asked,
		    engine->chunk);
	wait_for(engine, chunk);
	return offset - chunk->offset < chunk->size ? chunk : NULL;
}

/* Puts it together, of as many chunks as it takes. */
static const uint8_t *
gather(struct reading_file *file, uint64_t offset, size_t size,
    struct buffer *room)
{
	const struct chunk *chunk;
	size_t have = 0, at, n;

	buffer_reserve(room, size);
	while (have < size && (chunk = take(file, offset + have)) != NULL) {
		at = (size_t)(offset + have - chunk->offset);
		n = MIN_OF(size - have, chunk->size - at);
		memcpy(room->data + have, chunk->data + at, n);
		have += n;
	}
	return have == size || reading_copy(file, room->data + have,
	    size - have, offset + have) ? room->data : NULL;
}

static const uint8_t *
view(struct reading_file *file, uint64_t offset, size_t least, size_t most,
    struct buffer *room, size_t *got)
{
	const struct chunk *chunk = take(file, offset);
	size_t at;

	if (chunk != NULL) {
		at = (size_t)(offset - chunk->offset);
		*got = MIN_OF(most, chunk->size - at);
		if (*got >= least)
			return chunk->data + at;
	}
	*got = least;
	return gather(file, offset, least, room);
}

static bool
at_hand(const struct reading_file *file, uint64_t offset)
{
	const struct pair *pair = file->state;

	for (unsigned i = 0; i < 2; i++)
		if (covers(&pair->chunk[i], offset))
			return !pair->chunk[i].flying;
	return false;
}

const struct reading_ops reading_uring = {
	.name = "io_uring",
	.begin = begin,
	.end = end,
	.open = open_file,
	.close = close_file,
	.view = view,
	.at_hand = at_hand,
	.turn = turn,
};

#else

static bool
begin(struct reading *reading ATTR_UNUSED, char **why)
{
	char text[URING_WHY_SIZE];

	uring_probe(0, text);
	*why = xstrdup(text);
	return false;
}

const struct reading_ops reading_uring = {
	.name = "io_uring",
	.begin = begin,
};

#endif
