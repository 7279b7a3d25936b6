/* SPDX-License-Identifier: ISC */
/*
 * Arrays of numbers under reduction.  Decimator only; see reduce_array.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "decimator/reduce_array.h"

static bool
is_real(const struct reduce_array *a)
{
	return a->type == DATUM_FLOAT || a->type == DATUM_DOUBLE;
}

void
reduce_array_init(struct reduce_array *a, const struct datum_run *run,
    enum decimate_method method, uint64_t every)
{
	memset(a, 0, sizeof(*a));
	a->type = run->type;
	/* A group that does not end is a summary's window. */
	a->every = decimate_yields(method, YIELD_SUMMARY) ? UINT64_MAX : every;
	a->samples = (run->flags & DATUM_SAMPLES) != 0 && a->every != 0;
	a->method = method;
	a->range = datum_run_range(run);
	if (is_real(a))
		reals_init(&a->reals, 1, a->type == DATUM_DOUBLE, method,
		    a->range);
	a->room = 1;
	a->ints = xcalloc(a->room, sizeof(*a->ints));
	reduce_int_reset(a->ints, a->room);
}

void
reduce_array_free(struct reduce_array *a)
{
	unsigned i;

	reals_free(&a->reals);
	free(a->ints);
	free(a->had);
	for (i = 0; i < 2; i++) {
		free(a->real[i]);
		free(a->integer[i]);
	}
}

void
reduce_array_reset(struct reduce_array *a)
{
	/* What no datum of the window had is as it was. */
	size_t used = a->samples ? 1 : a->length;

	a->steps += used;
	a->length = 0;
	a->in_group = 0;
	if (is_real(a))
		reals_reset_first(&a->reals, used);
	else
		reduce_int_reset(a->ints, used);
}

/*** Samples. ***/

static int64_t
integer_of(const struct reduce_array *a, size_t i, uint64_t samples,
    unsigned output)
{
	return reduce_int_result(&a->ints[i], a->method, a->range,
	    samples, output,
	    a->type == DATUM_INT ? INT32_MAX : INT64_MAX);
}

static void
end_group(struct reduce_array *a)
{
	unsigned i;

	if (a->length == a->results_room) {
		a->results_room = MAX_OF(2 * a->results_room, (size_t)64);
		for (i = 0; i < 2; i++) {
			a->real[i] = xrealloc(a->real[i],
			    a->results_room * sizeof(*a->real[i]));
			a->integer[i] = xrealloc(a->integer[i],
			    a->results_room * sizeof(*a->integer[i]));
		}
	}
	for (i = 0; i < 2; i++)
		if (is_real(a))
			a->real[i][a->length] = reals_result(&a->reals, 0,
			    a->in_group, i);
		else
			a->integer[i][a->length] = integer_of(a, 0,
			    a->in_group, i);
	a->length++;
	a->in_group = 0;
	if (is_real(a))
		reals_reset(&a->reals);
	else
		reduce_int_reset(a->ints, 1);
}

void
reduce_array_finish(struct reduce_array *a)
{
	if (a->samples && a->in_group > 0)
		end_group(a);
}

/*** Elements. ***/

/* Room for so many elements, whose new ones no datum has had. */
static void
grow(struct reduce_array *a, size_t length)
{
	if (length > a->had_room) {
		a->had_room = 2 * length;
		a->had = xrealloc(a->had, a->had_room * sizeof(*a->had));
	}
	if (is_real(a) && length > a->reals.count)
		reals_grow(&a->reals, 2 * length);
	if (!is_real(a) && length > a->room) {
		a->ints = xrealloc(a->ints, 2 * length * sizeof(*a->ints));
		reduce_int_reset(a->ints + a->room, 2 * length - a->room);
		a->room = 2 * length;
	}
	memset(a->had + a->length, 0,
	    (length - a->length) * sizeof(*a->had));
	a->length = length;
}

/* `items' elements of a block, which begin with element `first'. */
static const uint8_t *
take_block(struct reduce_array *a, const uint8_t *at, const uint8_t *end,
    size_t first, size_t items, int64_t time)
{
	size_t i;

	a->steps += items;
	for (i = 0; i < items; i++) {
		if (!a->samples)
			a->had[first + i]++;
		if (is_real(a))
			at += reals_add_one(&a->reals,
			    a->samples ? 0 : first + i, at, time);
		else
			reduce_int_take(&a->ints[a->samples ? 0 : first + i],
			    a->method, a->range,
			    datum_good_long(&at, end), time);
		if (a->samples && ++a->in_group == a->every)
			end_group(a);
	}
	return at;
}

void
reduce_array_take(struct reduce_array *a, const uint8_t *at,
    const uint8_t *end, int64_t time)
{
	size_t length = 0, items;
	int64_t count;

	while ((count = datum_good_long(&at, end)) != 0) {
		if (count < 0)
			(void)datum_good_long(&at, end);
		items = (size_t)(count < 0 ? -count : count);
		if (!a->samples && length + items > a->length)
			grow(a, length + items);
		at = take_block(a, at, end, length, items, time);
		length += items;
	}
}

/*** Output. ***/

double
reduce_array_real(const struct reduce_array *a, size_t i, unsigned output)
{
	return a->samples ? a->real[output][i] :
	    reals_result(&a->reals, i, a->had[i], output);
}

int64_t
reduce_array_integer(const struct reduce_array *a, size_t i, unsigned output)
{
	return a->samples ? a->integer[output][i] :
	    integer_of(a, i, a->had[i], output);
}
