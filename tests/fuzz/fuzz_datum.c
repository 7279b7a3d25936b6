/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing the datum program: its interpreter, with framing and without, its
 * check, and the reducers that go by it.  libFuzzer calls this; see HACKING.md.
 *
 * The first byte of the input chooses a schema, or that the input begins with
 * a program of its own, as a hostile segment might; the second a method and a
 * window.  The rest is data.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "schema/schema.h"
#include "common/util.h"
#include "decimator/reduce.h"
#include "tests/unit/reduce_push.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORD_OF(name, fields)						\
	"{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define RECORD(fields)		RECORD_OF("R", fields)
#define FIELD(name, type)	"{\"name\":\"" name "\",\"type\":" type "}"

static const char *const schemas[] = {
	RECORD(FIELD("t", "{\"type\":\"long\",\"logicalType\":"
	    "\"timestamp-micros\"}") "," FIELD("x", "\"double\"") ","
	    FIELD("y", "\"double\"") "," FIELD("n", "\"int\"")),
	RECORD(FIELD("s", "\"string\"") "," FIELD("f", "\"float\"") ","
	    FIELD("b", "\"bytes\"") "," FIELD("l", "\"long\"")),
	RECORD(FIELD("u", "[\"null\",\"double\"]") ","
	    FIELD("v", "[\"int\",\"null\"]") ","
	    FIELD("w", "[\"null\",\"string\",\"long\"]")),
	RECORD(FIELD("a", "{\"type\":\"array\",\"items\":\"double\"}") ","
	    FIELD("m", "{\"type\":\"map\",\"values\":\"long\"}") ","
	    FIELD("o", "\"boolean\"")),
	RECORD(FIELD("e", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":"
	    "[\"A\",\"B\",\"C\"]}") "," FIELD("x",
	    "{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}") ","
	    FIELD("z", "\"float\"")),
	RECORD(FIELD("v", "\"long\"") "," FIELD("next", "[\"null\",\"R\"]")),
	RECORD(FIELD("z", "{\"type\":\"array\",\"items\":\"null\"}") ","
	    FIELD("r", "{\"type\":\"array\",\"items\":"
	    "{\"type\":\"array\",\"items\":\"string\"}}")),
	/* From here on those that an eight in the first byte chooses. */
	RECORD(FIELD("i", "{\"type\":\"array\",\"items\":\"int\"}") ","
	    FIELD("l", "{\"type\":\"array\",\"items\":\"long\"}") ","
	    FIELD("f", "{\"type\":\"array\",\"items\":\"float\"}") ","
	    FIELD("d", "{\"type\":\"array\",\"items\":\"double\"}")),
	RECORD(FIELD("i", "[\"null\",\"int\"]") ","
	    FIELD("l", "[\"long\",\"null\"]") ","
	    FIELD("f", "[\"null\",\"float\"]") ","
	    FIELD("d", "[\"double\",\"null\"]") ","
	    FIELD("t", "[\"null\",{\"type\":\"long\",\"logicalType\":"
	    "\"timestamp-millis\"}]") "," FIELD("n", "\"long\"")),
	RECORD(FIELD("p", RECORD_OF("P", FIELD("x", "\"float\"") ","
	    FIELD("s", "{\"type\":\"array\",\"items\":\"float\"}"))) ","
	    FIELD("q", "{\"type\":\"map\",\"values\":\"P\"}") ","
	    FIELD("o", "[\"null\",\"P\",\"boolean\"]")),
};
#define SCHEMAS		(sizeof(schemas) / sizeof(schemas[0]))
#define SCHEMAS_FIRST	7
#define SCHEMAS_SECOND	(SCHEMAS - SCHEMAS_FIRST)

/* Three programs for each schema, made once: the channel's, and those of
 * streams that reduce arrays. */
static const struct datum_program *
program_of(size_t i, unsigned arrays)
{
	static struct schema_result result[SCHEMAS][3];
	static const uint8_t flags[3] = { 0, DATUM_ARRAY,
	    DATUM_ARRAY | DATUM_SAMPLES };
	struct schema_plan plan = { .arrays = flags[arrays] };

	if (result[i][arrays].program == NULL) {
		if (!schema_plan(schemas[i], strlen(schemas[i]), NULL, &plan,
		    &result[i][arrays]))
			abort();
		schema_plan_free(&plan);
	}
	return result[i][arrays].program;
}

static void
try_reducer(const struct datum_program *program, uint8_t choice,
    const uint8_t *data, size_t size)
{
	static uint8_t out[70000];
	enum decimate_method method = (enum decimate_method)(choice % METHODS);
	struct reducer *r;
	size_t used;
	unsigned i;

	if ((decimate_rows[method].where & FOR_FIELDS) == 0)
		return;
	r = reducer_new(program, method, 1 + choice / METHODS % 5);
	for (; size > 0; data += used, size -= used) {
		enum reducer_status status = reducer_push(r, data, size,
		    &used);

		if (status == REDUCER_INVALID)
			break;
		assert(used > 0 && used <= size);
		for (i = 0; status == REDUCER_FULL && i < reducer_outputs(r);
		    i++)
			assert(reducer_emit(r, i, out, sizeof(out)) <=
			    sizeof(out));
	}
	reducer_free(r);
}

/* Whether datum_number() can find it. */
static bool
is_whole_number(const struct datum_field *field)
{
	return (field->type == DATUM_INT || field->type == DATUM_LONG) &&
	    (field->flags & (DATUM_NULLABLE | DATUM_ARRAY)) == 0;
}

/* Numbers are found in what is a datum, and nowhere else; `end' is the first
 * one's, 0 when there is none. */
static void
try_numbers(const struct datum_program *program, const uint8_t *data,
    size_t size, size_t end)
{
	const struct datum_field *field = datum_fields(program);
	enum datum_error error;
	int64_t value;
	size_t used;
	uint32_t i;

	for (i = 0; i < program->fields; i++) {
		if (!is_whole_number(&field[i]))
			continue;
		error = datum_number(program, i, data, size, &used, &value);
		assert((error == DATUM_OK) == (end > 0));
		assert(error != DATUM_OK || used == end);
	}
}

/*
 * The same datums with a header before each, of which the last may be no whole
 * one: they are found where they are.  `program' has no framing.
 */
static void
try_framed(const struct datum_program *program, const uint8_t *data,
    const uint32_t *end, uint32_t whole, size_t size)
{
	static const struct datum_framing framing = {DATUM_FRAMING_MIN, 1,
	    {0, 1, 2, 3, 4}};
	static uint8_t framed[65536];
	static uint32_t found[DATUM_FRAMED_MAX];
	struct datum_program *copy;
	uint32_t begin = 0, datums, i;
	enum datum_error error;
	size_t used = 0;

	if (size + (whole + 1) * framing.size > sizeof(framed))
		return;
	copy = xrealloc(NULL, program->size);
	memcpy(copy, program, program->size);
	copy->framing = framing;
	for (i = 0; begin < size; i++) {
		uint32_t next = i < whole ? end[i] : (uint32_t)size;

		memcpy(framed + used, framing.bytes, framing.size);
		memcpy(framed + used + framing.size, data + begin,
		    next - begin);
		used += framing.size + next - begin;
		begin = next;
	}
	error = datum_locate(copy, framed, used, found, &datums);
	assert(error == datum_validate(copy, framed, used, &i) && i == datums);
	assert(datums == whole || error == DATUM_ITEMS);
	for (i = 0; i < datums; i++)
		assert(found[i] == end[i] + (i + 1) * framing.size);
	try_numbers(copy, framed, used, whole > 0 ? found[0] : 0);
	(void)datum_validate(copy, data, size, &datums);
	free(copy);
}

/*
 * What is good as a whole is good datum by datum, and the other way round:
 * unless the program is hostile, whose runs need not be its steps.
 */
static void
try_data(const struct datum_program *program, bool hostile,
    const uint8_t *data, size_t size)
{
	uint32_t *offset = xcalloc((size_t)program->runs + 1, sizeof(*offset));
	uint32_t *end = xcalloc(size + 1, sizeof(*end)), datums, whole = 0;
	enum datum_error error = datum_validate(program, data, size, &datums);
	size_t at = 0;

	while (at < size && datum_split(program, data + at, size - at,
	    offset) == DATUM_OK) {
		at += offset[program->runs];
		assert(at <= size);
		end[whole++] = (uint32_t)at;
	}
	/* The number of empty items is limited for a datagram as a whole. */
	if (!hostile && error != DATUM_ITEMS) {
		assert(whole == datums);
		assert((error == DATUM_OK) == (size > 0 && at == size));
	}
	if (!hostile) {
		try_numbers(program, data, size, end[0]);
		try_framed(program, data, end, whole, size);
	}
	free(end);
	free(offset);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct datum_program *loaded;
	const struct datum_program *program;
	const char *why;
	uint8_t choice, schema;

	if (size < 2 || size > 65536)
		return 0;
	choice = data[1];
	schema = data[0] % (SCHEMAS_FIRST + 1);
	if (schema == SCHEMAS_FIRST) {
		loaded = datum_program_load(data + 2, size - 2, &why);
		if (loaded != NULL && loaded->size <= size - 2) {
			try_data(loaded, true, data + 2 + loaded->size,
			    size - 2 - loaded->size);
			try_reducer(loaded, choice, data + 2 + loaded->size,
			    size - 2 - loaded->size);
		}
		free(loaded);
		return 0;
	}
	if ((data[0] & 8) != 0)
		schema = SCHEMAS_FIRST + schema % SCHEMAS_SECOND;
	program = program_of(schema, data[0] / 16 % 3);
	try_data(program, false, data + 2, size - 2);
	try_reducer(program, choice, data + 2, size - 2);
	return 0;
}
