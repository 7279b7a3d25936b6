/* SPDX-License-Identifier: ISC */
/*
 * Windows of datums, and their output.  Decimator only; see reduce.h.  It
 * must not allocate after reducer_new().
 */
#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "decimator/reduce.h"
#include "decimator/reduce_int.h"
#include "decimator/reduce_real.h"

/* Most bytes of a field: a union's number, then a long. */
#define FIELD_SIZE_MAX	(DATUM_INT_SIZE_MAX + DATUM_LONG_SIZE_MAX)

/* What a run's fields are reduced in. */
struct run_state {
	size_t	slot;		/* of its first field in reals or ints;
				 * instants: offset in `carried' */
	size_t	carried;	/* instants: bytes there */
};

struct reducer {
	const struct datum_program	*program;
	enum decimate_method		 method;
	uint64_t			 every;
	uint64_t			 count;	/* datums in the window */
	/* The datum whose instants are carried. */
	uint64_t			 carry_at;
	struct run_state		*run;
	struct reals			 reals;
	struct reduce_int		*ints;
	size_t				 int_count;
	uint8_t				*carried;
	/* The last datum, which is the caller's, and where its runs are. */
	const uint8_t			*datum;
	uint32_t			*offset;
};

static bool
is_real(const struct datum_run *run)
{
	return run->type == DATUM_FLOAT || run->type == DATUM_DOUBLE;
}

static bool
is_instant(const struct datum_run *run)
{
	return (run->flags & DATUM_INSTANT) != 0;
}

struct reducer *
reducer_new(const struct datum_program *program, enum decimate_method method,
    uint64_t every)
{
	const struct datum_run *run = datum_runs(program);
	struct reducer *r = xcalloc(1, sizeof(*r));
	size_t reals = 0, instants = 0;
	uint32_t i;

	assert(every > 0);
	r->program = program;
	r->method = method;
	r->every = every;
	r->carry_at = method == METHOD_MINMAX ? 0 : every / 2;
	r->offset = xcalloc((size_t)program->runs + 1, sizeof(*r->offset));
	r->run = xcalloc(program->runs, sizeof(*r->run));
	for (i = 0; i < program->runs; i++, run++) {
		if (run->type == DATUM_OTHER)
			continue;
		if (is_instant(run)) {
			r->run[i].slot = instants;
			instants += (size_t)run->count * FIELD_SIZE_MAX;
		} else if (is_real(run)) {
			r->run[i].slot = reals;
			reals += run->count;
		} else {
			r->run[i].slot = r->int_count;
			r->int_count += run->count;
		}
	}
	reals_init(&r->reals, reals, method, every);
	r->ints = xcalloc(r->int_count + 1, sizeof(*r->ints));
	r->carried = xmalloc(instants + 1);
	reducer_reset(r);
	return r;
}

void
reducer_free(struct reducer *r)
{
	if (r == NULL)
		return;
	reals_free(&r->reals);
	free(r->ints);
	free(r->carried);
	free(r->run);
	free(r->offset);
	free(r);
}

void
reducer_reset(struct reducer *r)
{
	r->count = 0;
	r->datum = NULL;
	if (r->method == METHOD_PICK)
		return;
	reals_reset(&r->reals);
	reduce_int_reset(r->ints, r->int_count);
}

uint64_t
reducer_count(const struct reducer *r)
{
	return r->count == r->every ? 0 : r->count;
}

unsigned
reducer_outputs(const struct reducer *r)
{
	return r->method == METHOD_MINMAX ? 2 : 1;
}

/*** Taking a datum.  datum_split() has found it good. ***/

static int64_t
get_long(const uint8_t **at, const uint8_t *end)
{
	enum datum_error error;
	int64_t value;

	error = datum_get_long(at, end, &value);
	assert(error == DATUM_OK);
	return value;
}

static void
take_ints(struct reducer *r, const struct datum_run *run, size_t slot,
    const uint8_t *at, const uint8_t *end)
{
	struct reduce_int *field = r->ints + slot;
	uint32_t i;

	for (i = 0; i < run->count; i++)
		reduce_int_add(field + i, r->method, get_long(&at, end));
}

static void
take_nullable(struct reducer *r, const struct datum_run *run, size_t slot,
    const uint8_t *at, const uint8_t *end)
{
	int64_t null = (run->flags & DATUM_NULL_SECOND) != 0;
	uint32_t i;

	for (i = 0; i < run->count; i++, slot++) {
		if (get_long(&at, end) == null) {
			if (is_real(run))
				reals_add_null(&r->reals, slot);
			else
				r->ints[slot].nulls++;
		} else if (run->type == DATUM_DOUBLE) {
			reals_add_doubles(&r->reals, slot, at, 1);
			at += sizeof(double);
		} else if (run->type == DATUM_FLOAT) {
			reals_add_floats(&r->reals, slot, at, 1);
			at += sizeof(float);
		} else
			reduce_int_add(&r->ints[slot], r->method,
			    get_long(&at, end));
	}
}

static void
carry(struct reducer *r, struct run_state *state, const uint8_t *at,
    const uint8_t *end)
{
	if (r->count != r->carry_at)
		return;
	state->carried = (size_t)(end - at);
	memcpy(r->carried + state->slot, at, state->carried);
}

static void
take(struct reducer *r, const uint8_t *data)
{
	const struct datum_run *run = datum_runs(r->program);
	const uint8_t *at, *end;
	size_t slot;
	uint32_t i;

	for (i = 0; i < r->program->runs; i++, run++) {
		at = data + r->offset[i];
		end = data + r->offset[i + 1];
		slot = r->run[i].slot;
		if (run->type == DATUM_OTHER)
			continue;
		else if (is_instant(run))
			carry(r, &r->run[i], at, end);
		else if ((run->flags & DATUM_NULLABLE) != 0)
			take_nullable(r, run, slot, at, end);
		else if (run->type == DATUM_DOUBLE)
			reals_add_doubles(&r->reals, slot, at, run->count);
		else if (run->type == DATUM_FLOAT)
			reals_add_floats(&r->reals, slot, at, run->count);
		else
			take_ints(r, run, slot, at, end);
	}
}

enum reducer_status
reducer_push(struct reducer *r, const uint8_t *data, size_t size, size_t *used)
{
	if (r->count == r->every)
		reducer_reset(r);
	if (datum_split(r->program, data, size, r->offset) != DATUM_OK)
		return REDUCER_INVALID;
	*used = r->offset[r->program->runs];
	if (r->method != METHOD_PICK)
		take(r, data);
	r->datum = data;
	return ++r->count == r->every ? REDUCER_FULL : REDUCER_MORE;
}

/*** Output. ***/

struct output {
	uint8_t	*at;
	uint8_t	*end;
};

static bool
put(struct output *o, const void *data, size_t size)
{
	if (size > (size_t)(o->end - o->at))
		return false;
	memcpy(o->at, data, size);
	o->at += size;
	return true;
}

static bool
put_long(struct output *o, int64_t value)
{
	uint8_t bytes[DATUM_LONG_SIZE_MAX];

	return put(o, bytes, datum_put_long(bytes, value));
}

static bool
put_real(struct output *o, uint8_t type, double value)
{
	float narrow = (float)value;
	uint32_t word;
	uint64_t bits;

	if (type == DATUM_FLOAT) {
		memcpy(&word, &narrow, sizeof(word));
		word = htole32(word);
		return put(o, &word, sizeof(word));
	}
	memcpy(&bits, &value, sizeof(bits));
	bits = htole64(bits);
	return put(o, &bits, sizeof(bits));
}

static bool
put_int(const struct reducer *r, struct output *o, uint8_t type, size_t slot,
    unsigned output)
{
	const struct reduce_int *field = &r->ints[slot];

	return put_long(o, reduce_int_result(field, r->method,
	    r->count - field->nulls, output,
	    type == DATUM_INT ? INT32_MAX : INT64_MAX));
}

static bool
put_numbers(const struct reducer *r, struct output *o,
    const struct datum_run *run, size_t slot, unsigned output)
{
	bool nullable = (run->flags & DATUM_NULLABLE) != 0;
	bool null_second = (run->flags & DATUM_NULL_SECOND) != 0;
	bool real = is_real(run), null, good;
	uint32_t i;

	for (i = 0; i < run->count; i++, slot++) {
		if (nullable) {
			null = r->count == (real ? r->reals.nulls[slot] :
			    r->ints[slot].nulls);
			if (!put_long(o, null == null_second))
				return false;
			if (null)
				continue;
		}
		if (real)
			good = put_real(o, run->type, reals_result(&r->reals,
			    slot, r->count, output));
		else
			good = put_int(r, o, run->type, slot, output);
		if (!good)
			return false;
	}
	return true;
}

size_t
reducer_emit(const struct reducer *r, unsigned i, uint8_t *out,
    size_t capacity)
{
	const struct datum_run *run = datum_runs(r->program);
	struct output o = { out, out + capacity };
	const struct run_state *state;
	uint32_t k, size;
	bool good = true;

	assert(r->count == r->every && r->datum != NULL);
	if (r->method == METHOD_PICK)
		return put(&o, r->datum, r->offset[r->program->runs]) ?
		    (size_t)(o.at - out) : 0;
	for (k = 0; k < r->program->runs && good; k++, run++) {
		state = &r->run[k];
		size = r->offset[k + 1] - r->offset[k];
		if (run->type == DATUM_OTHER || (is_instant(run) && i == 1))
			good = put(&o, r->datum + r->offset[k], size);
		else if (is_instant(run))
			good = put(&o, r->carried + state->slot,
			    state->carried);
		else
			good = put_numbers(r, &o, run, state->slot, i);
	}
	return good ? (size_t)(o.at - out) : 0;
}
