/* SPDX-License-Identifier: ISC */
/*
 * The datum program's interpreter: against avro-c and a reference walker on
 * random schemas and datums, and on hostile datums.
 *
 * MCRELAY_TEST_SEED and MCRELAY_TEST_ROUNDS make other and longer runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/datum.h"
#include "schema/schema.h"
#include "tests/unit/avro_random.h"

#define ROUNDS		2500
#define DATUMS		4	/* for each schema */
#define MUTATIONS	12	/* of each datum */
#define PREFIXES	24	/* of each datum, at most */

/* A schema, compiled and as avro-c sees it. */
struct subject {
	char				*text;
	avro_schema_t			 schema;
	avro_value_iface_t		*class;
	avro_value_t			 value;
	struct schema_result		 result;
	const struct datum_program	*program;
	uint32_t			*offset;
};

static uint64_t
environment(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value != NULL ? strtoull(value, NULL, 0) : otherwise;
}

static void
subject_open(struct subject *s, const char *text)
{
	s->text = strdup(text);
	if (!schema_compile(text, strlen(text), NULL, &s->result))
		fail_msg("%s: %s", s->result.error, text);
	s->program = s->result.program;
	assert_int_equal(avro_schema_from_json_length(text, strlen(text),
	    &s->schema), 0);
	s->class = avro_generic_class_from_schema(s->schema);
	assert_non_null(s->class);
	assert_int_equal(avro_generic_value_new(s->class, &s->value), 0);
	s->offset = calloc(s->program->runs + 1, sizeof(*s->offset));
}

static void
subject_close(struct subject *s)
{
	avro_value_decref(&s->value);
	avro_value_iface_decref(s->class);
	avro_schema_decref(s->schema);
	schema_result_free(&s->result);
	free(s->offset);
	free(s->text);
}

static void
dump(const struct subject *s, const uint8_t *data, size_t size)
{
	size_t i;

	print_error("schema %s\ndatum", s->text);
	for (i = 0; i < size; i++)
		print_error(" %02x", data[i]);
	print_error("\n");
}

/* Does avro-c read a datum, and how many bytes is it? */
static bool
avro_c_reads(struct subject *s, const uint8_t *data, size_t size, size_t *used)
{
	avro_reader_t reader;
	bool good;

	reader = avro_reader_memory((const char *)data, (int64_t)size);
	avro_value_reset(&s->value);
	good = avro_value_read(reader, &s->value) == 0;
	/* What is left: skip bytes until there are none. */
	for (*used = size; good && avro_skip(reader, 1) == 0;)
		(*used)--;
	avro_reader_free(reader);
	return good;
}

/*
 * The verdict of the reference on one or more datums; avro-c is asked as
 * well wherever that is safe, and both must be of one opinion.
 */
static enum avro_verdict
expected(struct subject *s, const uint8_t *data, size_t size, uint32_t *datums)
{
	const uint8_t *at = data, *end = data + size, *before;
	enum avro_verdict verdict, all = AVRO_GOOD;
	size_t used;
	bool reads;

	*datums = 0;
	do {
		before = at;
		verdict = avro_reference(s->schema, &at, end);
		if (verdict == AVRO_UNSAFE)
			return verdict;
		if (verdict == AVRO_STRICT)
			all = AVRO_STRICT;
		/* Readers may or may not take what is only strict. */
		if (verdict != AVRO_STRICT) {
			reads = avro_c_reads(s, before, (size_t)(end - before),
			    &used);
			if (reads != (verdict == AVRO_GOOD) ||
			    (reads && before + used != at)) {
				dump(s, before, (size_t)(end - before));
				fail_msg("avro-c %s %zu, reference %d %zu: %s",
				    reads ? "reads" : "refuses", used, verdict,
				    (size_t)(at - before), avro_strerror());
			}
		}
		if (verdict == AVRO_BAD)
			return verdict;
		if (all == AVRO_GOOD)
			(*datums)++;
	} while (at < end);
	return all;
}

/* A copy of exactly this size, so that sanitizers see each byte too many. */
static enum datum_error
validate(const struct datum_program *program, const uint8_t *data, size_t size,
    uint32_t *datums)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	enum datum_error error;

	memcpy(copy, data, size);
	error = datum_validate(program, copy, size, datums);
	free(copy);
	return error;
}

static void
compare(struct subject *s, const uint8_t *data, size_t size)
{
	enum avro_verdict verdict;
	enum datum_error error;
	uint32_t datums, wanted;

	error = validate(s->program, data, size, &datums);
	verdict = size == 0 ? AVRO_BAD : expected(s, data, size, &wanted);
	if ((error == DATUM_OK) != (verdict == AVRO_GOOD) ||
	    (error == DATUM_OK && datums != wanted)) {
		dump(s, data, size);
		fail_msg("%s, reference %d; %u datums", datum_error_text(error),
		    verdict, datums);
	}
	assert_int_not_equal(error, DATUM_PROGRAM);
}

/* The split ends where the datum does, and its runs are in order. */
static void
split(struct subject *s, const uint8_t *data, size_t size)
{
	const struct datum_run *run = datum_runs(s->program);
	const uint8_t *end = data;
	uint32_t i, width;

	assert_int_equal(avro_reference(s->schema, &end, data + size),
	    AVRO_GOOD);
	assert_int_equal(datum_split(s->program, data, size, s->offset),
	    DATUM_OK);
	assert_int_equal(s->offset[0], 0);
	assert_int_equal(s->offset[s->program->runs], end - data);
	for (i = 0; i < s->program->runs; i++, run++) {
		assert_true(s->offset[i] <= s->offset[i + 1]);
		width = run->type == DATUM_DOUBLE ? 8 : 4;
		if ((run->type == DATUM_DOUBLE || run->type == DATUM_FLOAT) &&
		    (run->flags & DATUM_NULLABLE) == 0)
			assert_int_equal(s->offset[i + 1] - s->offset[i],
			    width * run->count);
	}
}

/* As avro-c writes what it has read: in its own form. */
static void
rewritten(struct subject *s, const struct avro_bytes *datum)
{
	char *buffer;
	avro_writer_t writer;
	uint32_t datums;
	size_t used, size = 0;

	assert_true(avro_c_reads(s, datum->data, datum->size, &used));
	assert_int_equal(avro_value_sizeof(&s->value, &size), 0);
	buffer = malloc(size);
	writer = avro_writer_memory(buffer, (int64_t)size);
	assert_int_equal(avro_value_write(writer, &s->value), 0);
	assert_int_equal(avro_writer_tell(writer), size);
	assert_int_equal(validate(s->program, (uint8_t *)buffer, size,
	    &datums), DATUM_OK);
	assert_int_equal(datums, 1);
	avro_writer_free(writer);
	free(buffer);
}

static void
mutate(struct avro_random *r, const struct avro_bytes *from,
    struct avro_bytes *to)
{
	static const uint8_t likely[] = { 0, 1, 2, 3, 0x7f, 0x80, 0xff };
	size_t at, changes = 1 + avro_random_below(r, 3);

	to->size = 0;
	avro_bytes_add(to, from->data, from->size);
	while (changes-- > 0 && to->size > 0) {
		at = avro_random_below(r, (uint32_t)to->size);
		switch (avro_random_below(r, 5)) {
		case 0:
			to->data[at] ^= (uint8_t)(1 << avro_random_below(r, 8));
			break;
		case 1:
			to->data[at] = likely[avro_random_below(r,
			    sizeof(likely))];
			break;
		case 2:		/* take a byte out */
			memmove(to->data + at, to->data + at + 1,
			    to->size - at - 1);
			to->size--;
			break;
		case 3:		/* put one in */
			avro_bytes_add(to, "", 1);
			memmove(to->data + at + 1, to->data + at,
			    to->size - at - 1);
			to->data[at] = (uint8_t)avro_random_next(r);
			break;
		default:	/* garbage behind it */
			to->data[at] = (uint8_t)avro_random_next(r);
			avro_bytes_add(to, to->data + at, 1);
		}
	}
}

static void
one_datum(struct subject *s, struct avro_random *r)
{
	struct avro_bytes datum = { 0 }, other = { 0 };
	uint32_t datums;
	size_t i, step;

	avro_random_datum(r, s->schema, &datum);
	assert_true(datum.size >= s->program->smallest);
	compare(s, datum.data, datum.size);
	assert_int_equal(validate(s->program, datum.data, datum.size, &datums),
	    DATUM_OK);
	assert_int_equal(datums, 1);
	split(s, datum.data, datum.size);
	rewritten(s, &datum);

	/* No part of it is one: the encoding is free of prefixes. */
	step = datum.size / PREFIXES + 1;
	for (i = 0; i < datum.size; i += step)
		assert_int_not_equal(validate(s->program, datum.data, i,
		    &datums), DATUM_OK);
	assert_int_not_equal(validate(s->program, datum.data, datum.size - 1,
	    &datums), DATUM_OK);
	for (i = 0; i < MUTATIONS; i++) {
		mutate(r, &datum, &other);
		compare(s, other.data, other.size);
	}
	/* Two of them. */
	avro_random_datum(r, s->schema, &datum);
	compare(s, datum.data, datum.size);
	split(s, datum.data, datum.size);
	avro_bytes_free(&datum);
	avro_bytes_free(&other);
}

static void
test_random(void **state ATTR_UNUSED)
{
	uint64_t seed = environment("MCRELAY_TEST_SEED", 1);
	uint64_t rounds = environment("MCRELAY_TEST_ROUNDS", ROUNDS);
	struct avro_random r;
	struct subject s;
	char *text;
	int i;

	avro_random_init(&r, seed, false);
	while (rounds-- > 0) {
		text = avro_random_schema(&r);
		subject_open(&s, text);
		for (i = 0; i < DATUMS; i++)
			one_datum(&s, &r);
		subject_close(&s);
		free(text);
	}
}

/*** Hostile datums. ***/

#define LONG_MINIMUM	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
#define TWO_TO_62	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"
#define TWO_TO_60	"\x80\x80\x80\x80\x80\x80\x80\x80\x20"
#define RECURSIVE	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[" \
			"{\"name\":\"r\",\"type\":[\"null\",\"R\"]}]}"
#define NESTED		"{\"type\":\"record\",\"name\":\"R\",\"fields\":[" \
			"{\"name\":\"r\",\"type\":" \
			"{\"type\":\"array\",\"items\":\"R\"}}]}"
#define ENUMERATION	"{\"type\":\"enum\",\"name\":\"E\"," \
			"\"symbols\":[\"A\",\"B\"]}"
#define ARRAY(items)	"{\"type\":\"array\",\"items\":" items "}"
#define EMPTY_RECORD	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}"

static const struct {
	const char		*schema;
	const char		*data;
	size_t			 size;
	enum datum_error	 error;
	uint32_t		 datums;
} hostile[] = {
#define ROW(schema, data, error, datums) \
	{ schema, data, sizeof(data) - 1, error, datums }
	ROW("\"int\"", "", DATUM_NO_DATUM, 0),
	ROW("\"int\"", "\x02\x04", DATUM_OK, 2),
	ROW("\"int\"", "\x80\x80\x80\x80\x00", DATUM_OK, 1),
	ROW("\"int\"", "\xff\xff\xff\xff\x0f", DATUM_OK, 1),
	ROW("\"int\"", "\xff\xff\xff\xff\x10", DATUM_INT_RANGE, 0),
	ROW("\"int\"", "\x80\x80\x80\x80\x80\x00", DATUM_INT_RANGE, 0),
	ROW("\"int\"", "\x02\x80", DATUM_SHORT, 1),
	ROW("\"long\"", LONG_MINIMUM, DATUM_OK, 1),
	ROW("\"long\"", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
	    DATUM_VARINT, 0),
	ROW("\"long\"", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
	    DATUM_VARINT, 0),
	ROW("\"boolean\"", "\x00\x01", DATUM_OK, 2),
	ROW("\"boolean\"", "\x01\x02", DATUM_BOOLEAN_RANGE, 1),
	ROW("\"double\"", "1234567", DATUM_SHORT, 0),
	ROW("\"double\"", "123456789", DATUM_SHORT, 1),
	ROW("\"float\"", "1234", DATUM_OK, 1),
	ROW("\"bytes\"", "\x01", DATUM_LENGTH, 0),
	ROW("\"bytes\"", LONG_MINIMUM, DATUM_LENGTH, 0),
	ROW("\"bytes\"", TWO_TO_62 "x", DATUM_SHORT, 0),
	ROW("\"bytes\"", "\x04xy", DATUM_OK, 1),
	ROW("\"bytes\"", "\x04x", DATUM_SHORT, 0),
	ROW("\"bytes\"", "\x02\xff", DATUM_OK, 1),
	ROW("\"string\"", "\x02\xff", DATUM_UTF8, 0),
	ROW("\"string\"", "\x04\xc0\x80", DATUM_UTF8, 0),
	ROW("\"string\"", "\x06\xe0\x9f\xbf", DATUM_UTF8, 0),
	ROW("\"string\"", "\x06\xed\xa0\x80", DATUM_UTF8, 0),
	ROW("\"string\"", "\x08\xf4\x90\x80\x80", DATUM_UTF8, 0),
	ROW("\"string\"", "\x08\xf0\x8f\xbf\xbf", DATUM_UTF8, 0),
	ROW("\"string\"", "\x14" "12345678\xe2\x82", DATUM_UTF8, 0),
	ROW("\"string\"", "\x06\xe2\x82\xac", DATUM_OK, 1),
	ROW("\"string\"", "\x01", DATUM_LENGTH, 0),
	ROW(ENUMERATION, "\x02\x00", DATUM_OK, 2),
	ROW(ENUMERATION, "\x04", DATUM_ENUM_RANGE, 0),
	ROW(ENUMERATION, "\x01", DATUM_ENUM_RANGE, 0),
	ROW("[\"null\",\"long\"]", "\x00\x02\x02", DATUM_OK, 2),
	ROW("[\"null\",\"long\"]", "\x04", DATUM_UNION_RANGE, 0),
	ROW("[\"null\",\"long\"]", "\x01", DATUM_UNION_RANGE, 0),
	ROW("[\"null\",\"long\"]", TWO_TO_62, DATUM_INT_RANGE, 0),
	ROW("[\"null\",\"long\"]", "\x02", DATUM_SHORT, 0),
	ROW(ARRAY("\"null\""), TWO_TO_60 "\x00", DATUM_ITEMS, 0),
	ROW(ARRAY("\"null\""), "\x80\x80\x08\x00", DATUM_OK, 1),
	ROW(ARRAY("\"null\""), "\x82\x80\x08\x00", DATUM_ITEMS, 0),
	ROW(ARRAY("\"null\""), "\x80\x80\x08\x02\x00", DATUM_ITEMS, 0),
	ROW(ARRAY("\"null\""), "\x01\x00\x00", DATUM_OK, 1),
	ROW(ARRAY("\"null\""), "\x01\x02\x00", DATUM_BLOCK, 0),
	ROW(ARRAY(EMPTY_RECORD), TWO_TO_60 "\x00", DATUM_ITEMS, 0),
	ROW(ARRAY("\"double\""), TWO_TO_60 "12345678\x00", DATUM_SHORT, 0),
	ROW(ARRAY("\"float\""), "\x02" "1234\x00", DATUM_OK, 1),
	ROW(ARRAY("\"float\""), "\x02" "1234", DATUM_SHORT, 0),
	ROW(ARRAY("\"float\""), "\x01\x08" "1234\x00", DATUM_OK, 1),
	ROW(ARRAY("\"float\""), "\x01\x06" "1234\x00", DATUM_BLOCK, 0),
	ROW(ARRAY("\"float\""), "\x01\x01" "1234\x00", DATUM_BLOCK, 0),
	ROW(ARRAY("\"float\""), "\x01" TWO_TO_62 "1234\x00", DATUM_SHORT, 0),
	ROW(ARRAY("\"long\""), "\x01\x04\x02\x00", DATUM_BLOCK, 0),
	ROW(ARRAY("\"long\""), "\x01\x02\x02\x00", DATUM_OK, 1),
	ROW(ARRAY("\"long\""), LONG_MINIMUM "\x02\x02\x00", DATUM_SHORT, 0),
	ROW(ARRAY("\"null\""), LONG_MINIMUM "\x00\x00", DATUM_ITEMS, 0),
	ROW(ARRAY("\"long\""), TWO_TO_62 "\x02\x00", DATUM_SHORT, 0),
	ROW("{\"type\":\"map\",\"values\":\"null\"}", "\x02\x02x\x00", DATUM_OK,
	    1),
	ROW("{\"type\":\"map\",\"values\":\"null\"}", "\x02\x02\xff\x00",
	    DATUM_UTF8, 0),
	ROW("{\"type\":\"map\",\"values\":\"null\"}", TWO_TO_60 "\x00\x00",
	    DATUM_SHORT, 0),
	ROW(RECURSIVE, "\x02\x02\x00", DATUM_OK, 1),
	ROW(RECURSIVE, "\x02\x02", DATUM_SHORT, 0),
#undef ROW
};

static void
test_hostile(void **state ATTR_UNUSED)
{
	struct schema_result result;
	enum datum_error error;
	uint32_t datums;
	size_t i;

	for (i = 0; i < NITEMS(hostile); i++) {
		if (!schema_compile(hostile[i].schema,
		    strlen(hostile[i].schema), NULL, &result))
			fail_msg("%s: %s", hostile[i].schema, result.error);
		error = validate(result.program,
		    (const uint8_t *)hostile[i].data, hostile[i].size,
		    &datums);
		if (error != hostile[i].error || datums != hostile[i].datums)
			fail_msg("row %zu (%s): %s, %u datums", i,
			    hostile[i].schema, datum_error_text(error), datums);
		schema_result_free(&result);
	}
}

/* `levels' opening bytes, then as many closing ones. */
static enum datum_error
nested(const char *schema, size_t levels, uint8_t open, uint8_t close,
    size_t closing)
{
	uint8_t *data = malloc(levels + closing);
	struct schema_result result;
	enum datum_error error;
	uint32_t datums;

	assert_true(schema_compile(schema, strlen(schema), NULL, &result));
	memset(data, open, levels);
	memset(data + levels, close, closing);
	error = datum_validate(result.program, data, levels + closing, &datums);
	schema_result_free(&result);
	free(data);
	return error;
}

static void
test_depth(void **state ATTR_UNUSED)
{
	/* The first level is the datum itself. */
	assert_int_equal(nested(RECURSIVE, DATUM_DEPTH_MAX, 2, 0, 1), DATUM_OK);
	assert_int_equal(nested(RECURSIVE, DATUM_DEPTH_MAX + 1, 2, 0, 1),
	    DATUM_DEPTH);
	assert_int_equal(nested(RECURSIVE, 65000, 2, 0, 1), DATUM_DEPTH);
	/* An array and a call for each. */
	assert_int_equal(nested(NESTED, 31, 2, 0, 32), DATUM_OK);
	assert_int_equal(nested(NESTED, 33, 2, 0, 34), DATUM_DEPTH);
	assert_int_equal(nested(NESTED, 30000, 2, 0, 30001), DATUM_DEPTH);
}

static void
test_texts(void **state ATTR_UNUSED)
{
	int error;

	for (error = 0; error < DATUM_ERRORS; error++)
		assert_non_null(datum_error_text((enum datum_error)error));
	assert_string_equal(datum_error_text(DATUM_ERRORS), "unknown error");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
