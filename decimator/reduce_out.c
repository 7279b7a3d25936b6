/* SPDX-License-Identifier: ISC */
/*
 * What became of a window, as datums.  Decimator only; see reduce.h.  It must
 * not write beyond the room that the caller has.
 */
#include <assert.h>
#include <endian.h>
#include <math.h>
#include <string.h>

#include "decimator/reduce_state.h"

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

/* A union's number: that of null, or that of the other branch. */
static bool
put_branch(struct output *o, const struct datum_run *run, bool null)
{
	bool null_second = (run->flags & DATUM_NULL_SECOND) != 0;

	return put_long(o, null == null_second);
}

static int64_t
highest(const struct datum_run *run)
{
	return run->type == DATUM_INT ? INT32_MAX : INT64_MAX;
}

/*** Shape same. ***/

static bool
put_numbers(const struct reducer *r, struct output *o,
    const struct datum_run *run, const struct run_state *state,
    unsigned output)
{
	bool nullable = (run->flags & DATUM_NULLABLE) != 0;
	uint64_t nulls;
	uint32_t i;
	bool good;

	for (i = 0; i < run->count; i++) {
		nulls = run_is_real(run) ? state->reals.nulls[i] :
		    state->ints[i].nulls;
		if (nullable && !put_branch(o, run, nulls == r->count))
			return false;
		if (nulls == r->count)
			continue;
		if (run_is_real(run))
			good = put_real(o, run->type, reals_result(
			    &state->reals, i, state->method, r->count,
			    output));
		else
			good = put_long(o, reduce_int_result(&state->ints[i],
			    state->method, r->count - nulls, output,
			    highest(run)));
		if (!good)
			return false;
	}
	return true;
}

static bool
put_array(const struct reducer *r, struct output *o,
    const struct reduce_array *array, unsigned output)
{
	bool good = true;
	size_t i;

	if (array->length > 0)
		good = put_long(o, (int64_t)array->length);
	for (i = 0; i < array->length && good; i++)
		if (array->type == DATUM_FLOAT || array->type == DATUM_DOUBLE)
			good = put_real(o, array->type, reduce_array_real(
			    array, i, r->count, output));
		else
			good = put_long(o, reduce_array_integer(array, i,
			    r->count, output));
	return good && put_long(o, 0);
}

static bool
put_run(const struct reducer *r, struct output *o, const struct datum_run *run,
    const struct run_state *state, unsigned i)
{
	if (run->omit)
		return true;
	if (state->array != NULL)
		return put_array(r, o, state->array, i);
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
static bool
put_time(const struct reducer *r, struct output *o, int64_t time,
    bool optional, bool none)
{
	const struct datum_run *run = r->time_run == DATUM_NONE ? NULL :
	    &datum_runs(r->program)[r->time_run];
	uint64_t bits = htole64((uint64_t)time);
	uint32_t word = htole32((uint32_t)time);

	if (run != NULL && (run->flags & DATUM_NULLABLE) != 0) {
		none = none || time == TIME_NULL;
		if (!put_branch(o, run, none))
			return false;
	} else if (optional && !put_long(o, !none))
		return false;
	if (none)
		return true;
	if (run != NULL && run->type == DATUM_DOUBLE)
		return put(o, &bits, sizeof(bits));
	if (run != NULL && run->type == DATUM_FLOAT)
		return put(o, &word, sizeof(word));
	return put_long(o, time);
}

/* All that is said of one number. */
struct statistics {
	uint64_t	nulls;
	double		real[2];	/* minimum, maximum */
	int64_t		integer[2];
	int64_t		time[2];
	double		mean;
	double		rms;
};

static void
of_real(const struct reducer *r, const struct reals *reals, uint32_t i,
    struct statistics *s)
{
	unsigned k;

	s->nulls = reals->nulls[i];
	for (k = 0; k < 2; k++) {
		s->real[k] = reals_result(reals, i, METHOD_MINMAX, r->count,
		    k);
		s->time[k] = reals_time(reals, i, k, r->first_time);
	}
	s->mean = reals_result(reals, i, METHOD_MEAN, r->count, 0);
	/* Rounding must not put it below the mean. */
	s->rms = fmax(reals_result(reals, i, METHOD_RMS, r->count, 0),
	    fabs(s->mean));
}

static void
of_integer(const struct reducer *r, const struct reduce_int *field,
    struct statistics *s)
{
	s->nulls = field->nulls;
	if (s->nulls == r->count)
		return;
	s->integer[0] = field->low;
	s->integer[1] = field->high;
	s->time[0] = field->low_time;
	s->time[1] = field->high_time;
	s->mean = reduce_int_mean(field, r->count - s->nulls);
	s->rms = fmax(reduce_int_rms(field, r->count - s->nulls),
	    fabs(s->mean));
}

static bool
put_extreme(struct output *o, const struct datum_run *run,
    const struct statistics *s, unsigned k)
{
	return run_is_real(run) ? put_real(o, run->type, s->real[k]) :
	    put_long(o, s->integer[k]);
}

static bool
put_statistics(const struct reducer *r, struct output *o,
    const struct datum_run *run, const struct statistics *s)
{
	bool nullable = (run->flags & DATUM_NULLABLE) != 0;
	bool none = s->nulls == r->count;
	unsigned k;

	for (k = 0; k < 2; k++) {
		if ((nullable && !put_long(o, !none)) ||
		    (!none && !put_extreme(o, run, s, k)) ||
		    !put_time(r, o, s->time[k], nullable, none))
			return false;
	}
	for (k = 0; k < 2; k++) {
		if ((nullable && !put_long(o, !none)) ||
		    (!none && !put_real(o, DATUM_DOUBLE,
		    k == 0 ? s->mean : s->rms)))
			return false;
	}
	return !nullable || put_long(o, (int64_t)s->nulls);
}

static bool
put_summary(const struct reducer *r, struct output *o)
{
	const struct datum_run *run = datum_runs(r->program);
	const struct run_state *state = r->run;
	struct statistics s;
	uint32_t k, i;

	if (!put_time(r, o, r->first_time, false, false) ||
	    !put_time(r, o, r->last_time, false, false) ||
	    !put_long(o, (int64_t)r->count) ||
	    !put_long(o, (int64_t)r->missed))
		return false;
	for (k = 0; k < r->program->runs; k++, run++, state++)
		for (i = 0; state->numbers && i < run->count; i++) {
			memset(&s, 0, sizeof(s));
			if (run_is_real(run))
				of_real(r, &state->reals, i, &s);
			else
				of_integer(r, &state->ints[i], &s);
			if (!put_statistics(r, o, run, &s))
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
	bool good = true;
	uint32_t k;

	assert(r->count > 0 && (r->every == 0 || r->count == r->every));
	if (r->method == METHOD_SUMMARY)
		good = put_summary(r, &o);
	else
		for (k = 0; k < r->program->runs && good; k++)
			good = put_run(r, &o, &run[k], &r->run[k], i);
	return good ? (size_t)(o.at - out) : 0;
}
