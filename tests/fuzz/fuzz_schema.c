/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing the schema compiler.  The input is a schema's text; its size chooses
 * what a decimated stream makes of it.
 *
 * There is a program or a reason.  A program is one that the workers' check
 * takes; the Parsing Canonical Form is a schema of the same data and its own
 * canonical form; the schema of a stream's output is one, too.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/decimate.h"
#include "common/util.h"
#include "schema/schema.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_result(bool good, const struct schema_result *result)
{
	struct datum_program *loaded;
	const char *why;

	assert(good == (result->program != NULL));
	assert(good == (result->error == NULL));
	if (!good)
		return;
	loaded = datum_program_load(result->program, result->program_size,
	    &why);
	assert(loaded != NULL && loaded->size == result->program_size);
	free(loaded);
}

/* Its runs may be other ones: it tells no time from a number. */
static void
check_canonical(const struct schema_result *result)
{
	const struct datum_program *program = result->program, *other;
	const size_t size = strlen(result->canonical);
	struct schema_result again;

	/* The form of a schema may be longer than what it was made of. */
	if (size > SCHEMA_SIZE_MAX)
		return;
	check_result(schema_compile(result->canonical, size, NULL, &again),
	    &again);
	assert(again.program != NULL && again.canonical != NULL);
	assert(strcmp(result->canonical, again.canonical) == 0);
	other = again.program;
	assert(other->fields == program->fields);
	schema_result_free(&again);
}

static void
try_plan(const char *text, size_t size, bool channel)
{
	static const uint8_t arrays[] = { 0, DATUM_ARRAY,
	    DATUM_ARRAY | DATUM_SAMPLES };
	/* As the configuration can ask for it. */
	const size_t method = size / 3 % METHODS;
	const struct decimate_row *row = &decimate_rows[method];
	struct schema_plan plan = {
		.arrays = arrays[size % 3],
		.summary = row->name == NULL,
		.range = (row->where & TAKES_RANGE) != 0 ? 360 : 0,
	};
	struct schema_name field = { .path = "x", .method = METHOD_MINMAX + 1 };
	struct schema_name only[] = { { .path = "t" }, { .path = "x" } };
	struct schema_result result, derived;
	bool good;

	if (size / 24 % 2 == 0) {
		plan.only = only;
		plan.onlys = NITEMS(only);
		plan.field = &field;
		plan.fields = plan.summary ? 0 : 1;
	}
	if (row->name != NULL && (row->where & FOR_FIELDS) != 0)
		plan.method = (uint8_t)(1 + method);
	good = schema_plan(text, size, NULL, &plan, &result);
	/* A name that is not known is no error of the schema. */
	if (good || (plan.onlys == 0 && plan.fields == 0))
		check_result(good, &result);
	if (good && plan.onlys > 0)
		assert(only[0].known && only[1].known &&
		    (plan.fields == 0 || field.number));
	/* What a channel can have a stream may not be able to make something
	 * of; the other way round there is nothing to be made. */
	assert(channel || !good);
	if (good && result.derived != NULL) {
		check_result(schema_compile(result.derived,
		    strlen(result.derived), NULL, &derived), &derived);
		assert(derived.program != NULL);
		schema_result_free(&derived);
	}
	schema_plan_free(&plan);
	schema_result_free(&result);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct schema_result result;
	bool good;

	good = schema_compile((const char *)data, size, NULL, &result);
	check_result(good, &result);
	assert(good == (result.canonical != NULL));
	if (good)
		check_canonical(&result);
	schema_result_free(&result);
	try_plan((const char *)data, size, good);
	return 0;
}
