/* SPDX-License-Identifier: ISC */
/*
 * Finding numbers in datums, by the runs of the datum program.  Used by the
 * worker (the senders' numbering) and the decimator.  As distrustful as the
 * interpreter.
 */
#include <assert.h>

#include "common/datum.h"
#include "common/datum_priv.h"

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

/* An array of numbers. */
static enum datum_error
skip_numbers(struct walk *w, uint8_t type)
{
	/* Bytes that each item has at least. */
	size_t width = type == DATUM_DOUBLE ? sizeof(double) :
	    type == DATUM_FLOAT ? sizeof(float) : 1;
	const uint8_t *block_end;
	enum datum_error error;
	uint64_t items;

	for (;;) {
		error = datum_walk_block(w, &items, &block_end);
		if (error != DATUM_OK || items == 0)
			return error;
		if (items > left(w) / width)
			return DATUM_SHORT;
		error = skip_number(w, type, (uint32_t)items);
		if (error != DATUM_OK)
			return error;
		if (block_end != NULL && w->at != block_end)
			return DATUM_BLOCK;
	}
}

static enum datum_error
walk_run(struct walk *w, const struct datum_run *run)
{
	if (run->type == DATUM_OTHER)
		return datum_walk_entry(w, run->first);
	if ((run->flags & DATUM_NULLABLE) != 0)
		return skip_nullable(w, run);
	if ((run->flags & DATUM_ARRAY) != 0)
		return skip_numbers(w, run->type);
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
		error = datum_walk_framing(&w, &program->framing);
	for (i = 0; i < program->runs && error == DATUM_OK; i++)
		error = i == place ? read_run(&w, &run[i], field, value) :
		    walk_run(&w, &run[i]);
	if (error != DATUM_OK)
		return error;
	*used = (size_t)(w.at - data);
	return *used == 0 ? DATUM_PROGRAM : DATUM_OK;
}
