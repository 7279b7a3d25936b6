/* SPDX-License-Identifier: ISC */
/*
 * The datum program's interpreter: walks datums without ever allocating or
 * recursing.  Used by the worker (validation) and the decimator (splitting).
 * It must not trust a single byte of the data, nor load one twice where the
 * first load decided something.
 */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/datum.h"
#include "common/utf8.h"

/*
 * Steps that may be taken for each byte of data.  A program of the schema
 * compiler consumes a byte at the latest after going DATUM_DEPTH_MAX calls
 * down and coming up from as many, with a jump each; a hostile one ends here.
 */
#define STEPS_PER_BYTE	256

struct frame {
	uint64_t	 remaining;	/* items of this block; 0: a call */
	const uint8_t	*block_end;	/* NULL: not told */
	uint32_t	 item;		/* first step of an item */
	uint32_t	 after;		/* where to go on after the frame */
};

struct walk {
	const struct datum_step	*steps;
	const uint8_t		*at;
	const uint8_t		*end;
	uint64_t		 budget;	/* steps left */
	uint32_t		 empty_items;	/* left */
	uint32_t		 depth;
	struct frame		 frame[DATUM_DEPTH_MAX];
};

static void
walk_init(struct walk *w, const struct datum_program *program,
    const uint8_t *data, size_t size)
{
	w->steps = datum_steps(program);
	w->at = data;
	w->end = data + size;
	w->budget = ((uint64_t)size + 1) * STEPS_PER_BYTE;
	w->empty_items = DATUM_EMPTY_ITEMS_MAX;
	w->depth = 0;
}

static inline size_t
left(const struct walk *w)
{
	return (size_t)(w->end - w->at);
}

/* Ints, enum numbers and union numbers: 32 bits in at most 5 bytes. */
static inline enum datum_error
get_int(struct walk *w, int32_t *value)
{
	const uint8_t *p = w->at;
	uint32_t v = 0;
	unsigned shift;
	uint8_t byte;

	for (shift = 0; shift < 35; shift += 7) {
		if (UNLIKELY(p == w->end))
			return DATUM_SHORT;
		byte = __atomic_load_n(p++, __ATOMIC_RELAXED);
		v |= (uint32_t)(byte & 0x7f) << shift;
		if (LIKELY(byte < 0x80)) {
			if (UNLIKELY(shift == 28 && byte > 0x0f))
				return DATUM_INT_RANGE;
			w->at = p;
			*value = (int32_t)(v >> 1) ^ -(int32_t)(v & 1);
			return DATUM_OK;
		}
	}
	return DATUM_INT_RANGE;
}

static inline enum datum_error
skip(struct walk *w, size_t size)
{
	if (UNLIKELY(size > left(w)))
		return DATUM_SHORT;
	w->at += size;
	return DATUM_OK;
}

static enum datum_error
skip_ints(struct walk *w, uint32_t count)
{
	enum datum_error error;
	int32_t value;

	while (count-- > 0)
		if ((error = get_int(w, &value)) != DATUM_OK)
			return error;
	return DATUM_OK;
}

static enum datum_error
skip_longs(struct walk *w, uint32_t count)
{
	enum datum_error error;
	int64_t value;

	while (count-- > 0)
		if ((error = datum_get_long(&w->at, w->end, &value)) !=
		    DATUM_OK)
			return error;
	return DATUM_OK;
}

static enum datum_error
skip_booleans(struct walk *w, uint32_t count)
{
	if (count > left(w))
		return DATUM_SHORT;
	while (count-- > 0)
		if (*w->at++ > 1)
			return DATUM_BOOLEAN_RANGE;
	return DATUM_OK;
}

/* An enum's or a union's number, below `count'. */
static inline enum datum_error
get_index(struct walk *w, uint32_t count, enum datum_error range, uint32_t *i)
{
	enum datum_error error;
	int32_t value;

	if ((error = get_int(w, &value)) != DATUM_OK)
		return error;
	if (value < 0 || (uint32_t)value >= count)
		return range;
	*i = (uint32_t)value;
	return DATUM_OK;
}

static enum datum_error
skip_texts(struct walk *w, uint32_t count, bool utf8)
{
	enum datum_error error;
	int64_t length;

	while (count-- > 0) {
		if ((error = datum_get_long(&w->at, w->end, &length)) !=
		    DATUM_OK)
			return error;
		if (length < 0)
			return DATUM_LENGTH;
		if ((uint64_t)length > left(w))
			return DATUM_SHORT;
		if (utf8 && !utf8_valid(w->at, (size_t)length))
			return DATUM_UTF8;
		w->at += length;
	}
	return DATUM_OK;
}

/*
 * The head of a block: how many items, 0 at the end; a negative number is
 * followed by the block's size in bytes.
 */
static enum datum_error
get_block(struct walk *w, uint64_t *items, const uint8_t **block_end)
{
	enum datum_error error;
	int64_t count, size;

	*block_end = NULL;
	if ((error = datum_get_long(&w->at, w->end, &count)) != DATUM_OK)
		return error;
	*items = (uint64_t)count;
	if (count >= 0)
		return DATUM_OK;
	*items = -(uint64_t)count;
	if ((error = datum_get_long(&w->at, w->end, &size)) != DATUM_OK)
		return error;
	if (size < 0)
		return DATUM_BLOCK;
	if ((uint64_t)size > left(w))
		return DATUM_SHORT;
	*block_end = w->at + size;
	return DATUM_OK;
}

static enum datum_error
skip_fixed_items(struct walk *w, uint32_t width)
{
	enum datum_error error;
	const uint8_t *block_end;
	uint64_t items;

	for (;;) {
		if ((error = get_block(w, &items, &block_end)) != DATUM_OK)
			return error;
		if (items == 0)
			return DATUM_OK;
		if (width == 0) {
			if (items > w->empty_items)
				return DATUM_ITEMS;
			w->empty_items -= (uint32_t)items;
		} else if (items > left(w) / width)
			return DATUM_SHORT;
		w->at += items * width;
		if (block_end != NULL && w->at != block_end)
			return DATUM_BLOCK;
	}
}

/* Begins the next block of the innermost array or map, or leaves it. */
static enum datum_error
next_block(struct walk *w, uint32_t *pc)
{
	struct frame *f = &w->frame[w->depth - 1];
	enum datum_error error;

	if ((error = get_block(w, &f->remaining, &f->block_end)) != DATUM_OK)
		return error;
	if (f->remaining == 0) {
		*pc = f->after;
		w->depth--;
		return DATUM_OK;
	}
	/* Each item has a byte at least. */
	if (f->remaining > left(w))
		return DATUM_SHORT;
	*pc = f->item;
	return DATUM_OK;
}

static enum datum_error
begin_items(struct walk *w, uint32_t *pc, uint32_t after)
{
	struct frame *f;

	if (w->depth == DATUM_DEPTH_MAX)
		return DATUM_DEPTH;
	f = &w->frame[w->depth++];
	f->item = *pc + 1;
	f->after = after;
	return next_block(w, pc);
}

static enum datum_error
next_item(struct walk *w, uint32_t *pc)
{
	struct frame *f;

	if (w->depth == 0 || w->frame[w->depth - 1].remaining == 0)
		return DATUM_PROGRAM;
	f = &w->frame[w->depth - 1];
	if (--f->remaining > 0) {
		*pc = f->item;
		return DATUM_OK;
	}
	if (f->block_end != NULL && w->at != f->block_end)
		return DATUM_BLOCK;
	return next_block(w, pc);
}

static enum datum_error
call(struct walk *w, uint32_t *pc, uint32_t target)
{
	struct frame *f;

	if (w->depth == DATUM_DEPTH_MAX)
		return DATUM_DEPTH;
	f = &w->frame[w->depth++];
	f->remaining = 0;
	f->after = *pc + 1;
	*pc = target;
	return DATUM_OK;
}

/* The steps that lead elsewhere than to the next one. */
static enum datum_error
flow(struct walk *w, const struct datum_step *step, uint32_t *pc)
{
	enum datum_error error;
	uint32_t branch;

	switch (step->op) {
	case DATUM_OP_UNION:
		if ((error = get_index(w, step->count, DATUM_UNION_RANGE,
		    &branch)) != DATUM_OK)
			return error;
		*pc = step[1 + branch].target;
		return DATUM_OK;
	case DATUM_OP_JUMP:
		*pc = step->target;
		return DATUM_OK;
	case DATUM_OP_ITEMS:
		return begin_items(w, pc, step->target);
	case DATUM_OP_NEXT:
		return next_item(w, pc);
	case DATUM_OP_CALL:
		return call(w, pc, step->target);
	default:
		return DATUM_PROGRAM;
	}
}

/* Walks the entry at `pc', up to its own RETURN. */
static enum datum_error
execute(struct walk *w, uint32_t pc)
{
	const struct datum_step *step;
	enum datum_error error;
	uint32_t symbol;

	w->depth = 0;
	for (;;) {
		if (w->budget-- == 0)
			return DATUM_PROGRAM;
		step = &w->steps[pc];
		switch (step->op) {
		case DATUM_OP_RETURN:
			if (w->depth == 0)
				return DATUM_OK;
			if (w->frame[--w->depth].remaining != 0)
				return DATUM_PROGRAM;
			pc = w->frame[w->depth].after;
			continue;
		case DATUM_OP_SKIP:
			error = skip(w, step->count);
			break;
		case DATUM_OP_BOOLEAN:
			error = skip_booleans(w, step->count);
			break;
		case DATUM_OP_INT:
			error = skip_ints(w, step->count);
			break;
		case DATUM_OP_LONG:
			error = skip_longs(w, step->count);
			break;
		case DATUM_OP_BYTES:
			error = skip_texts(w, step->count, false);
			break;
		case DATUM_OP_STRING:
			error = skip_texts(w, step->count, true);
			break;
		case DATUM_OP_ENUM:
			error = get_index(w, step->count, DATUM_ENUM_RANGE,
			    &symbol);
			break;
		case DATUM_OP_FIXED_ITEMS:
			error = skip_fixed_items(w, step->count);
			break;
		default:
			if ((error = flow(w, step, &pc)) != DATUM_OK)
				return error;
			continue;
		}
		if (error != DATUM_OK)
			return error;
		pc++;
	}
}

/* Steps over a datum's header. */
static enum datum_error
skip_framing(struct walk *w, const struct datum_framing *framing)
{
	if (left(w) < framing->magic)
		return DATUM_SHORT;
	if (memcmp(w->at, framing->bytes, framing->magic) != 0)
		return DATUM_UNFRAMED;
	if (left(w) < framing->size)
		return DATUM_SHORT;
	if (memcmp(w->at + framing->magic, framing->bytes + framing->magic,
	    (size_t)framing->size - framing->magic) != 0)
		return DATUM_OTHER_SCHEMA;
	w->at += framing->size;
	return DATUM_OK;
}

/* One datum and its header. */
static inline enum datum_error
walk_datum(struct walk *w, const struct datum_framing *framing)
{
	enum datum_error error;
	const uint8_t *start;

	if (framing->size > 0 &&
	    (error = skip_framing(w, framing)) != DATUM_OK)
		return error;
	start = w->at;
	if ((error = execute(w, 0)) != DATUM_OK)
		return error;
	/* It would never end. */
	return w->at == start ? DATUM_PROGRAM : DATUM_OK;
}

enum datum_error
datum_validate(const struct datum_program *program, const uint8_t *data,
    size_t size, uint32_t *datums)
{
	enum datum_error error;
	struct walk w;

	*datums = 0;
	if (size == 0)
		return DATUM_NO_DATUM;
	walk_init(&w, program, data, size);
	do {
		error = walk_datum(&w, &program->framing);
		if (error != DATUM_OK)
			return error;
		(*datums)++;
	} while (w.at < w.end);
	return DATUM_OK;
}

enum datum_error
datum_locate(const struct datum_program *program, const uint8_t *data,
    size_t size, uint32_t *end, uint32_t *datums)
{
	enum datum_error error;
	struct walk w;

	assert(program->framing.size > 0 && size <= 65536);
	*datums = 0;
	if (size == 0)
		return DATUM_NO_DATUM;
	walk_init(&w, program, data, size);
	do {
		error = walk_datum(&w, &program->framing);
		if (error != DATUM_OK)
			return error;
		end[(*datums)++] = (uint32_t)(w.at - data);
	} while (w.at < w.end);
	return DATUM_OK;
}

/* A number's bytes. */
static inline enum datum_error
skip_number(struct walk *w, uint8_t type, uint32_t count)
{
	switch (type) {
	case DATUM_INT:
		return skip_ints(w, count);
	case DATUM_LONG:
		return skip_longs(w, count);
	case DATUM_FLOAT:
		return skip(w, (size_t)count * sizeof(float));
	default:
		return skip(w, (size_t)count * sizeof(double));
	}
}

static enum datum_error
skip_nullable(struct walk *w, const struct datum_run *run)
{
	uint32_t null = (run->flags & DATUM_NULL_SECOND) != 0;
	uint32_t i, branch;
	enum datum_error error;

	for (i = 0; i < run->count; i++) {
		if ((error = get_index(w, 2, DATUM_UNION_RANGE, &branch)) !=
		    DATUM_OK)
			return error;
		if (branch != null &&
		    (error = skip_number(w, run->type, 1)) != DATUM_OK)
			return error;
	}
	return DATUM_OK;
}

static enum datum_error
walk_run(struct walk *w, const struct datum_run *run)
{
	if (run->type == DATUM_OTHER)
		return execute(w, run->first);
	if ((run->flags & DATUM_NULLABLE) != 0)
		return skip_nullable(w, run);
	return skip_number(w, run->type, run->count);
}

enum datum_error
datum_split(const struct datum_program *program, const uint8_t *data,
    size_t size, uint32_t *offset)
{
	const struct datum_run *run = datum_runs(program);
	enum datum_error error;
	struct walk w;
	uint32_t i;

	assert(size <= UINT32_MAX);
	if (size == 0)
		return DATUM_NO_DATUM;
	walk_init(&w, program, data, size);
	for (i = 0; i < program->runs; i++, run++) {
		offset[i] = (uint32_t)(w.at - data);
		if ((error = walk_run(&w, run)) != DATUM_OK)
			return error;
	}
	offset[i] = (uint32_t)(w.at - data);
	return w.at == data ? DATUM_PROGRAM : DATUM_OK;
}

/* The run that `field' is in, and its number on the way. */
static enum datum_error
read_run(struct walk *w, const struct datum_run *run, uint32_t field,
    int64_t *value)
{
	uint32_t before = field - run->first;
	enum datum_error error;
	int32_t number;

	if ((error = skip_number(w, run->type, before)) != DATUM_OK)
		return error;
	if (run->type == DATUM_INT) {
		if ((error = get_int(w, &number)) == DATUM_OK)
			*value = number;
	} else
		error = datum_get_long(&w->at, w->end, value);
	if (error != DATUM_OK)
		return error;
	return skip_number(w, run->type, run->count - before - 1);
}

enum datum_error
datum_number(const struct datum_program *program, uint32_t field,
    const uint8_t *data, size_t size, size_t *used, int64_t *value)
{
	const struct datum_run *run = datum_runs(program);
	uint32_t i, place = datum_fields(program)[field].run;
	enum datum_error error = DATUM_OK;
	struct walk w;

	assert(run[place].type == DATUM_INT || run[place].type == DATUM_LONG);
	assert((run[place].flags & DATUM_NULLABLE) == 0);
	if (size == 0)
		return DATUM_NO_DATUM;
	walk_init(&w, program, data, size);
	if (program->framing.size > 0)
		error = skip_framing(&w, &program->framing);
	for (i = 0; i < program->runs && error == DATUM_OK; i++)
		error = i == place ? read_run(&w, &run[i], field, value) :
		    walk_run(&w, &run[i]);
	if (error != DATUM_OK)
		return error;
	*used = (size_t)(w.at - data);
	return *used == 0 ? DATUM_PROGRAM : DATUM_OK;
}
