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
#include "common/datum_priv.h"
#include "common/utf8.h"

static enum datum_error
skip_booleans(struct walk *w, uint64_t count)
{
	if (count > left(w))
		return DATUM_SHORT;
	while (count-- > 0)
		if (*w->at++ > 1)
			return DATUM_BOOLEAN_RANGE;
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
		if (utf8 && !utf8_valid(w->at, (size_t)length, left(w)))
			return DATUM_UTF8;
		w->at += length;
	}
	return DATUM_OK;
}

/*
 * The head of a block: how many items, 0 at the end; a negative number is
 * followed by the block's size in bytes.
 */
enum datum_error
datum_walk_block(struct walk *w, uint64_t *items, const uint8_t **block_end)
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
		error = datum_walk_block(w, &items, &block_end);
		if (error != DATUM_OK)
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

/* Whether items are nothing but numbers of one kind. */
static inline bool
plain_items(const struct datum_step *item)
{
	return (item->op == DATUM_OP_LONG || item->op == DATUM_OP_INT ||
	    item->op == DATUM_OP_BOOLEAN) && item[1].op == DATUM_OP_NEXT;
}

/* A whole block of them, without a step for each. */
static enum datum_error
skip_plain_items(struct walk *w, const struct datum_step *item,
    const struct frame *f)
{
	uint64_t count = f->remaining * item->count;
	enum datum_error error;

	if (item->op == DATUM_OP_LONG)
		error = skip_longs(w, count);
	else if (item->op == DATUM_OP_INT)
		error = skip_ints(w, count);
	else
		error = skip_booleans(w, count);
	if (error != DATUM_OK)
		return error;
	if (f->block_end != NULL && w->at != f->block_end)
		return DATUM_BLOCK;
	return DATUM_OK;
}

/* Begins the next block of the innermost array or map, or leaves it. */
static enum datum_error
next_block(struct walk *w, uint32_t *pc)
{
	struct frame *f = &w->frame[w->depth - 1];
	const struct datum_step *item = &w->steps[f->item];
	enum datum_error error;

	do {
		error = datum_walk_block(w, &f->remaining, &f->block_end);
		if (error != DATUM_OK)
			return error;
		if (f->remaining == 0) {
			*pc = f->after;
			w->depth--;
			return DATUM_OK;
		}
		/* Each item has a byte at least. */
		if (f->remaining > left(w))
			return DATUM_SHORT;
		if (!plain_items(item)) {
			*pc = f->item;
			return DATUM_OK;
		}
	} while ((error = skip_plain_items(w, item, f)) == DATUM_OK);
	return error;
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

enum datum_error
datum_walk_entry(struct walk *w, uint32_t pc)
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

enum datum_error
datum_walk_framing(struct walk *w, const struct datum_framing *framing)
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
	    (error = datum_walk_framing(w, framing)) != DATUM_OK)
		return error;
	start = w->at;
	if ((error = datum_walk_entry(w, 0)) != DATUM_OK)
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
