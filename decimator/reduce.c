/* SPDX-License-Identifier: ISC */
/*
 * Windows of datums.  Decimator only; see reduce.h.  It must not allocate
 * after reducer_new().
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "decimator/reduce_priv.h"

/*** Making. ***/

/* A run's numbers, unless they are copied or left out. */
static void
init_run(struct reducer *r, struct run_state *state,
    const struct datum_run *run)
{
	state->method = run->method > 0 && !r->summary ?
	    (enum decimate_method)(run->method - 1) : r->method;
	state->range = datum_run_range(run);
	if (run->type == DATUM_OTHER || run->omit)
		return;
	if (run_is_instant(run)) {
		state->carried = xmalloc((size_t)run->count * FIELD_SIZE_MAX);
		return;
	}
	state->numbers = !decimate_yields(state->method, YIELD_LAST) &&
	    (!r->summary || (run->flags & DATUM_ARRAY) == 0 ||
	    (run->flags & DATUM_SAMPLES) != 0);
	if (!state->numbers)
		return;
	if (decimate_outputs(state->method) > r->outputs)
		r->outputs = decimate_outputs(state->method);
	if ((run->flags & DATUM_ARRAY) != 0) {
		state->array = xcalloc(1, sizeof(*state->array));
		reduce_array_init(state->array, run, state->method, r->every);
	} else if (run_is_real(run))
		reals_init(&state->reals, run->count,
		    run->type == DATUM_DOUBLE, state->method,
		    state->range);
	else
		state->ints = xcalloc(run->count, sizeof(*state->ints));
}

struct reducer *
reducer_new(const struct datum_program *program, enum decimate_method method,
    uint64_t every)
{
	const struct datum_run *run = datum_runs(program);
	struct reducer *r = xcalloc(1, sizeof(*r));
	uint32_t i;

	r->program = program;
	r->method = method;
	r->summary = decimate_yields(method, YIELD_SUMMARY);
	r->every = every;
	r->outputs = 1;
	r->time_run = DATUM_NONE;
	r->offset = xcalloc((size_t)program->runs + 1, sizeof(*r->offset));
	r->run = xcalloc(program->runs, sizeof(*r->run));
	r->kept = xmalloc(DATUM_SIZE_MAX);
	for (i = 0; i < program->runs; i++, run++) {
		init_run(r, &r->run[i], run);
		/* Nothing else has its flags: it is a run of its own. */
		if ((run->flags & DATUM_TIME) != 0)
			r->time_run = i;
	}
	reducer_reset(r);
	return r;
}

void
reducer_free(struct reducer *r)
{
	uint32_t i;

	if (r == NULL)
		return;
	for (i = 0; i < r->program->runs; i++) {
		reals_free(&r->run[i].reals);
		if (r->run[i].array != NULL)
			reduce_array_free(r->run[i].array);
		free(r->run[i].array);
		free(r->run[i].ints);
		free(r->run[i].carried);
	}
	free(r->run);
	free(r->kept);
	free(r->offset);
	free(r);
}

void
reducer_reset(struct reducer *r)
{
	const struct datum_run *run = datum_runs(r->program);
	uint32_t i;

	r->count = 0;
	r->missed = 0;
	for (i = 0; i < r->program->runs; i++) {
		if (!r->run[i].numbers)
			continue;
		if (r->run[i].array != NULL)
			reduce_array_reset(r->run[i].array);
		else if (r->run[i].ints != NULL)
			reduce_int_reset(r->run[i].ints, run[i].count);
		else
			reals_reset(&r->run[i].reals);
	}
}

static bool
is_full(const struct reducer *r)
{
	return r->every != 0 && r->count == r->every;
}

uint64_t
reducer_count(const struct reducer *r)
{
	return is_full(r) ? 0 : r->count;
}

unsigned
reducer_outputs(const struct reducer *r)
{
	return r->outputs;
}

void
reducer_missed(struct reducer *r, uint64_t datagrams)
{
	if (is_full(r))
		reducer_reset(r);
	r->missed += datagrams;
}

/*** Taking a datum.  datum_split() has found it good. ***/

/* The time field as it stands, or TIME_NULL. */
static int64_t
get_time(const struct reducer *r, const uint8_t *data)
{
	const struct datum_run *run = &datum_runs(r->program)[r->time_run];
	const uint8_t *at = data + r->offset[r->time_run];
	const uint8_t *end = data + r->offset[r->time_run + 1];
	int64_t null = (run->flags & DATUM_NULL_SECOND) != 0;
	uint64_t bits;
	uint32_t word;

	if ((run->flags & DATUM_NULLABLE) != 0 &&
	    datum_good_long(&at, end) == null)
		return TIME_NULL;
	switch (run->type) {
	case DATUM_DOUBLE:
		memcpy(&bits, at, sizeof(bits));
		bits = le64toh(bits);
		/* -0.0 looks like TIME_NULL. */
		return (int64_t)bits == TIME_NULL ? 0 : (int64_t)bits;
	case DATUM_FLOAT:
		memcpy(&word, at, sizeof(word));
		return le32toh(word);
	default:
		return datum_good_long(&at, end);
	}
}

bool
reducer_time(const struct reducer *r, const uint8_t *data, uint64_t *time_ns)
{
	int64_t time, ns;

	if (r->time_run == DATUM_NONE || r->program->time_unit_ns == 0)
		return false;
	time = get_time(r, data);
	if (time < 0 || __builtin_mul_overflow(time,
	    (int64_t)r->program->time_unit_ns, &ns))
		return false;
	*time_ns = (uint64_t)ns;
	return true;
}

/* `needs' is a constant: a loop for each row of the table. */
static inline __attribute__((__always_inline__)) void
take_ints_of(const struct datum_run *run, struct run_state *state,
    unsigned needs, const uint8_t *at, const uint8_t *end, int64_t time)
{
	uint32_t i;

	for (i = 0; i < run->count; i++)
		if ((needs & NEED_OWN) != 0)
			reduce_int_take(state->ints + i, state->method,
			    state->range, datum_good_long(&at, end), time);
		else
			reduce_int_add(state->ints + i, needs,
			    datum_good_long(&at, end), time);
}

static void
take_ints(const struct datum_run *run, struct run_state *state,
    const uint8_t *at, const uint8_t *end, int64_t time)
{
	switch (state->method) {
#define TAKE_INTS(constant, name, reals, needs, yields, where)		\
	case constant:							\
		take_ints_of(run, state, (needs), at, end, time);	\
		break;
	DECIMATE_TABLE(TAKE_INTS)
#undef TAKE_INTS
	default:
		break;
	}
}

static void
take_nullable(const struct datum_run *run, struct run_state *state,
    const uint8_t *at, const uint8_t *end, int64_t time)
{
	int64_t null = (run->flags & DATUM_NULL_SECOND) != 0;
	uint32_t i;

	for (i = 0; i < run->count; i++) {
		if (datum_good_long(&at, end) == null) {
			if (run_is_real(run))
				reals_add_null(&state->reals, i);
			else
				state->ints[i].nulls++;
		} else if (run_is_real(run))
			at += reals_add_one(&state->reals, i, at, time);
		else
			reduce_int_take(&state->ints[i], state->method,
			    state->range, datum_good_long(&at, end), time);
	}
}

static void
take_numbers(const struct datum_run *run, struct run_state *state,
    const uint8_t *at, const uint8_t *end, int64_t time)
{
	if ((run->flags & DATUM_NULLABLE) != 0)
		take_nullable(run, state, at, end, time);
	else if (run_is_real(run))
		reals_add(&state->reals, at, time);
	else
		take_ints(run, state, at, end, time);
}

static void
take(struct reducer *r, const uint8_t *data, bool carry, bool keep)
{
	const struct datum_run *run = datum_runs(r->program);
	struct run_state *state = r->run;
	const uint8_t *at, *end;
	size_t kept = 0;
	uint32_t i;

	for (i = 0; i < r->program->runs; i++, run++, state++) {
		at = data + r->offset[i];
		end = data + r->offset[i + 1];
		if (state->array != NULL) {
			reduce_array_take(state->array, at, end,
			    r->last_time);
			if (keep && !r->summary)
				reduce_array_finish(state->array);
			continue;
		}
		if (state->numbers) {
			take_numbers(run, state, at, end, r->last_time);
			continue;
		}
		if (run->omit || r->summary)
			continue;
		if (carry && state->carried != NULL) {
			state->carried_size = (size_t)(end - at);
			memcpy(state->carried, at, state->carried_size);
		}
		if (keep) {
			state->kept = kept;
			state->kept_size = (size_t)(end - at);
			memcpy(r->kept + kept, at, state->kept_size);
			kept += state->kept_size;
		}
	}
}

void
reducer_settle(struct reducer *r)
{
	uint32_t i;

	for (i = 0; i < r->program->runs; i++)
		if (r->run[i].reals.count > 0)
			reals_settle(&r->run[i].reals);
}

/* Whether the instants of this datum are those to show, for all we know. */
static bool
to_carry(const struct reducer *r, bool early)
{
	if (r->count == 0)
		return true;
	if (r->outputs == 2)
		return false;
	if (decimate_yields(r->method, YIELD_LAST))
		return true;
	return r->every != 0 ? r->count == r->every / 2 : early;
}

bool
reducer_look(struct reducer *r, const uint8_t *data, size_t size, size_t *used)
{
	/* There is room to keep as much of it as a datagram can hold. */
	if (datum_split(r->program, data, size, r->offset) != DATUM_OK ||
	    r->offset[r->program->runs] > DATUM_SIZE_MAX)
		return false;
	*used = r->offset[r->program->runs];
	return true;
}

enum reducer_status
reducer_take(struct reducer *r, const uint8_t *data, uint64_t received_ns,
    bool early)
{
	if (is_full(r))
		reducer_reset(r);
	if (r->summary) {
		r->last_time = r->time_run != DATUM_NONE ? get_time(r, data) :
		    (int64_t)(received_ns / NS_PER_US);
		if (r->count == 0)
			r->first_time = r->last_time;
	}
	take(r, data, to_carry(r, early), r->every == 0 ||
	    r->count + 1 == r->every);
	r->count++;
	return is_full(r) ? REDUCER_FULL : REDUCER_MORE;
}
