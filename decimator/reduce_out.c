/* SPDX-License-Identifier: ISC */
/*
 * What became of a window, as datums.  Decimator only; see reduce.h.  It must
 * not write beyond the room that the caller has.
 */
#include <assert.h>
#include <endian.h>
#include <math.h>
#include <string.h>

#include "decimator/reduce_priv.h"

/* The most that is written at once, and what writing it may touch behind. */
#define PIECE_MAX	128

struct output {
	uint8_t	*at;
	uint8_t	*end;
	uint8_t	spare[PIECE_MAX];	/* where there is no room for it */
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

/*** Pieces: written without looking at how much room there is. ***/

static inline uint8_t *
begin_piece(struct output *o)
{
	return (size_t)(o->end - o->at) >= PIECE_MAX ? o->at : o->spare;
}

static inline bool
end_piece(struct output *o, uint8_t *end)
{
	if (LIKELY((size_t)(o->end - o->at) >= PIECE_MAX)) {
		o->at = end;
		return true;
	}
	return put(o, o->spare, (size_t)(end - o->spare));
}

/* Without a loop: times are long numbers, and there are many of them. */
static inline uint8_t *
store_long(uint8_t *at, int64_t value)
{
	const uint64_t more = UINT64_C(0x8080808080808080);
	uint64_t v = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63), word;
	unsigned last;

	if (UNLIKELY(v >> 56 != 0))
		return at + datum_put_long(at, value);
	word = datum_spread(v);
	last = (63 - (unsigned)__builtin_clzll(word | 1)) / 8;
	word = htole64(word | (more & ((UINT64_C(1) << (8 * last)) - 1)));
	memcpy(at, &word, sizeof(word));
	return at + last + 1;
}

static inline uint8_t *
store_real(uint8_t *at, uint8_t type, double value)
{
	float narrow = (float)value;
	uint32_t word;
	uint64_t bits;

	if (type == DATUM_FLOAT) {
		memcpy(&word, &narrow, sizeof(word));
		word = htole32(word);
		memcpy(at, &word, sizeof(word));
		return at + sizeof(word);
	}
	memcpy(&bits, &value, sizeof(bits));
	bits = htole64(bits);
	memcpy(at, &bits, sizeof(bits));
	return at + sizeof(bits);
}

/* A union's number: that of null, or that of the other branch. */
static inline uint8_t *
store_branch(uint8_t *at, const struct datum_run *run, bool null)
{
	bool null_second = (run->flags & DATUM_NULL_SECOND) != 0;

	return store_long(at, null == null_second);
}

static bool
put_long(struct output *o, int64_t value)
{
	return end_piece(o, store_long(begin_piece(o), value));
}

static int64_t
highest(const struct datum_run *run)
{
	return run->type == DATUM_INT ? INT32_MAX : INT64_MAX;
}

/*** Shape same. ***/

/* Floats or doubles that are never null, a row at a time. */
static bool
put_reals(const struct reducer *r, struct output *o,
    const struct datum_run *run, const struct run_state *state,
    unsigned output)
{
	const double *values;
	struct reals_results row;
	uint32_t i, k;
	uint8_t *at;

	for (i = 0; i < run->count; i += REALS_LANES) {
		reals_results(&state->reals, i / REALS_LANES, r->count, 0,
		    &row);
		values = decimate_yields(state->method, YIELD_MEAN) ?
		    row.mean : decimate_yields(state->method, YIELD_RMS) ?
		    row.rms : output == 0 ? row.low : row.high;
		at = begin_piece(o);
		for (k = 0; k < REALS_LANES && i + k < run->count; k++)
			at = store_real(at, run->type, values[k]);
		if (!end_piece(o, at))
			return false;
	}
	return true;
}

/* Integers, what may be null, and what has no rows. */
static bool
put_numbers(const struct reducer *r, struct output *o,
    const struct datum_run *run, const struct run_state *state,
    unsigned output)
{
	bool nullable = (run->flags & DATUM_NULLABLE) != 0;
	uint64_t nulls;
	uint32_t i;
	uint8_t *at;

	for (i = 0; i < run->count; i++) {
		nulls = run_is_real(run) ? reals_nulls(&state->reals, i) :
		    state->ints[i].nulls;
		at = begin_piece(o);
		if (nullable)
			at = store_branch(at, run, nulls == r->count);
		if (nulls == r->count)
			;
		else if (run_is_real(run))
			at = store_real(at, run->type, reals_result(
			    &state->reals, i, r->count, output));
		else
			at = store_long(at, reduce_int_result(&state->ints[i],
			    state->method, state->range, r->count - nulls,
			    output, highest(run)));
		if (!end_piece(o, at))
			return false;
	}
	return true;
}

static bool
put_array(struct output *o, const struct reduce_array *array, unsigned output)
{
	bool good = true;
	size_t i;
	uint8_t *at;

	if (array->length > 0)
		good = put_long(o, (int64_t)array->length);
	for (i = 0; i < array->length && good; i++) {
		at = begin_piece(o);
		if (array->type == DATUM_FLOAT || array->type == DATUM_DOUBLE)
			at = store_real(at, array->type, reduce_array_real(
			    array, i, output));
		else
			at = store_long(at, reduce_array_integer(array, i,
			    output));
		good = end_piece(o, at);
	}
	return good && put_long(o, 0);
}

static bool
put_run(const struct reducer *r, struct output *o, const struct datum_run *run,
    const struct run_state *state, unsigned i)
{
	if (run->omit)
		return true;
	if (state->array != NULL)
		return put_array(o, state->array, i);
	if (state->numbers && run_is_real(run) && state->reals.own == NULL &&
	    (run->flags & DATUM_NULLABLE) == 0)
		return put_reals(r, o, run, state, i);
	if (state->numbers)
		return put_numbers(r, o, run, state, i);
	if (state->carried != NULL && i == 0)
		return put(o, state->carried, state->carried_size);
	return put(o, r->kept + state->kept, state->kept_size);
}

/*** Shape summary. ***/

/*
 * `optional' in a union of its own unless the time field is one already;
 * `none': there is no such time.
 */
static inline uint8_t *
store_time(const struct reducer *r, uint8_t *at, int64_t time, bool optional,
    bool none)
{
	const struct datum_run *run = r->time_run == DATUM_NONE ? NULL :
	    &datum_runs(r->program)[r->time_run];
	uint64_t bits = htole64((uint64_t)time);
	uint32_t word = htole32((uint32_t)time);

	if (run != NULL && (run->flags & DATUM_NULLABLE) != 0) {
		none = none || time == TIME_NULL;
		at = store_branch(at, run, none);
	} else if (optional)
		at = store_long(at, !none);
	if (none)
		return at;
	if (run != NULL && run->type == DATUM_DOUBLE) {
		memcpy(at, &bits, sizeof(bits));
		return at + sizeof(bits);
	}
	if (run != NULL && run->type == DATUM_FLOAT) {
		memcpy(at, &word, sizeof(word));
		return at + sizeof(word);
	}
	return store_long(at, time);
}

/* All that is said of one number, or of an array's. */
struct statistics {
	bool		optional;	/* may be null */
	bool		none;		/* is null */
	uint64_t	count;		/* optional: of nulls, or of samples */
	double		real[2];	/* minimum, maximum */
	int64_t		integer[2];
	int64_t		time[2];
	double		mean;
	double		rms;
};

/* Of one field of a row. */
static inline void
of_real(const struct reals_results *row, size_t lane, struct statistics *s)
{
	s->real[0] = row->low[lane];
	s->real[1] = row->high[lane];
	s->time[0] = row->low_time[lane];
	s->time[1] = row->high_time[lane];
	s->mean = row->mean[lane];
	s->rms = row->rms[lane];
}

/* Out of `samples', one at least. */
static void
of_integer(const struct reduce_int *field, uint64_t samples,
    struct statistics *s)
{
	s->integer[0] = field->low;
	s->integer[1] = field->high;
	s->time[0] = field->low_time;
	s->time[1] = field->high_time;
	s->mean = reduce_int_mean(field, samples);
	s->rms = fmax(reduce_int_rms(field, samples), fabs(s->mean));
}

static inline __attribute__((__always_inline__)) bool
put_statistics(const struct reducer *r, struct output *o,
    const struct datum_run *run, const struct statistics *s)
{
	bool optional = s->optional, none = s->none;
	uint8_t *at = begin_piece(o);
	unsigned k;

	for (k = 0; k < 2; k++) {
		if (optional)
			at = store_long(at, !none);
		if (!none && run_is_real(run))
			at = store_real(at, run->type, s->real[k]);
		else if (!none)
			at = store_long(at, s->integer[k]);
		at = store_time(r, at, s->time[k], optional, none);
	}
	for (k = 0; k < 2; k++) {
		if (optional)
			at = store_long(at, !none);
		if (!none)
			at = store_real(at, DATUM_DOUBLE,
			    k == 0 ? s->mean : s->rms);
	}
	if (optional)
		at = store_long(at, (int64_t)s->count);
	return end_piece(o, at);
}

/* Floats or doubles that are never null: a loop of their own, for there may be
 * thousands. */
static bool
put_rows(const struct reducer *r, struct output *o,
    const struct datum_run *run, const struct reals *reals)
{
	struct statistics s = { .optional = false, .none = false };
	struct reals_results row;
	uint32_t i, k;

	for (i = 0; i < run->count; i += REALS_LANES) {
		reals_results(reals, i / REALS_LANES, r->count, r->first_time,
		    &row);
		for (k = 0; k < REALS_LANES && i + k < run->count; k++) {
			of_real(&row, k, &s);
			if (!put_statistics(r, o, run, &s))
				return false;
		}
	}
	return true;
}

static bool
put_fields(const struct reducer *r, struct output *o,
    const struct datum_run *run, const struct run_state *state)
{
	struct statistics s = { .optional =
	    (run->flags & DATUM_NULLABLE) != 0 };
	struct reals_results row;
	bool good = true;
	uint32_t i;

	for (i = 0; i < run->count && good; i++) {
		if (s.optional)
			s.count = run_is_real(run) ?
			    reals_nulls(&state->reals, i) :
			    state->ints[i].nulls;
		s.none = s.count == r->count;
		if (run_is_real(run) && i % REALS_LANES == 0)
			reals_results(&state->reals, i / REALS_LANES,
			    r->count, r->first_time, &row);
		if (run_is_real(run))
			of_real(&row, i % REALS_LANES, &s);
		else if (!s.none)
			of_integer(&state->ints[i], r->count - s.count, &s);
		good = put_statistics(r, o, run, &s);
	}
	return good;
}

/* All samples of the window's arrays, if there are any. */
static bool
put_samples(const struct reducer *r, struct output *o,
    const struct datum_run *run, const struct reduce_array *array)
{
	struct statistics s = { .optional = true,
	    .none = array->in_group == 0, .count = array->in_group };
	struct reals_results row;

	if (run_is_real(run)) {
		reals_results(&array->reals, 0, array->in_group,
		    r->first_time, &row);
		of_real(&row, 0, &s);
	} else if (!s.none)
		of_integer(&array->ints[0], array->in_group, &s);
	return put_statistics(r, o, run, &s);
}

static bool
put_summary(const struct reducer *r, struct output *o)
{
	const struct datum_run *run = datum_runs(r->program);
	const struct run_state *state = r->run;
	uint8_t *at = begin_piece(o);
	bool good;
	uint32_t k;

	at = store_time(r, at, r->first_time, false, false);
	at = store_time(r, at, r->last_time, false, false);
	at = store_long(at, (int64_t)r->count);
	good = end_piece(o, store_long(at, (int64_t)r->missed));
	for (k = 0; k < r->program->runs && good; k++, run++, state++)
		if (state->array != NULL)
			good = put_samples(r, o, run, state->array);
		else if (state->numbers && run_is_real(run) &&
		    (run->flags & DATUM_NULLABLE) == 0)
			good = put_rows(r, o, run, &state->reals);
		else if (state->numbers)
			good = put_fields(r, o, run, state);
	return good;
}

size_t
reducer_emit(struct reducer *r, unsigned i, uint8_t *out,
    size_t capacity)
{
	const struct datum_run *run = datum_runs(r->program);
	struct output o = { .at = out, .end = out + capacity };
	bool good = true;
	uint32_t k;

	assert(r->count > 0 && (r->every == 0 || r->count == r->every));
	reducer_settle(r);
	if (r->summary)
		good = put_summary(r, &o);
	else
		for (k = 0; k < r->program->runs && good; k++)
			good = put_run(r, &o, &run[k], &r->run[k], i);
	return good ? (size_t)(o.at - out) : 0;
}
