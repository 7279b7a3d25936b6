/* SPDX-License-Identifier: ISC */
/*
 * The datums that mcrelay-gen makes, read back by avro-c: signals, counters,
 * times, recursion, and what is refused.
 */
#include <avro.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tools/gen/node.h"
#include "tools/gen/synth.h"

static char schema_file[64];

static void
write_schema(const char *text)
{
	FILE *file = fopen(schema_file, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int
setup(void **state ATTR_UNUSED)
{
	int fd;

	snprintf(schema_file, sizeof(schema_file), "/tmp/test_gen.XXXXXX");
	fd = mkstemp(schema_file);
	if (fd == -1)
		return -1;
	return close(fd);
}

static int
teardown(void **state ATTR_UNUSED)
{
	return unlink(schema_file);
}

/* A reader of the same schema that shares nothing with the generator. */
struct oracle {
	avro_schema_t		 schema;
	avro_value_iface_t	*class;
	avro_value_t		 value;
	avro_reader_t		 reader;
};

static void
oracle_open(struct oracle *oracle, const char *text)
{
	assert_int_equal(avro_schema_from_json_length(text, strlen(text),
	    &oracle->schema), 0);
	oracle->class = avro_generic_class_from_schema(oracle->schema);
	assert_non_null(oracle->class);
	assert_int_equal(avro_generic_value_new(oracle->class,
	    &oracle->value), 0);
	oracle->reader = avro_reader_memory("", 0);
}

static void
oracle_close(struct oracle *oracle)
{
	avro_reader_free(oracle->reader);
	avro_value_decref(&oracle->value);
	avro_value_iface_decref(oracle->class);
	avro_schema_decref(oracle->schema);
}

/* Makes a datum and reads it; all its bytes must be used. */
static void
next_datum(struct synth *synth, struct oracle *oracle)
{
	static uint8_t data[DATAGRAM_MAX];
	size_t size, used;

	assert_true(synth_datum(synth, data, sizeof(data), &size));
	assert_true(size > 0);
	avro_reader_memory_set_source(oracle->reader, (const char *)data,
	    (int64_t)size);
	avro_value_reset(&oracle->value);
	assert_int_equal(avro_value_read(oracle->reader, &oracle->value), 0);
	assert_int_equal(avro_value_sizeof(&oracle->value, &used), 0);
	assert_int_equal(used, size);
}

static avro_value_t
field(const struct oracle *oracle, const char *name)
{
	avro_value_t value = { 0 };

	assert_int_equal(avro_value_get_by_name(&oracle->value, name, &value,
	    NULL), 0);
	return value;
}

static int64_t
get_long(const struct oracle *oracle, const char *name)
{
	avro_value_t value = field(oracle, name);
	int64_t number = 0;

	assert_int_equal(avro_value_get_long(&value, &number), 0);
	return number;
}

static int32_t
get_int(const struct oracle *oracle, const char *name)
{
	avro_value_t value = field(oracle, name);
	int32_t number = 0;

	assert_int_equal(avro_value_get_int(&value, &number), 0);
	return number;
}

static double
get_double(const struct oracle *oracle, const char *name)
{
	avro_value_t value = field(oracle, name);
	double number = 0;

	assert_int_equal(avro_value_get_double(&value, &number), 0);
	return number;
}

static const char numbers[] =
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
    "{\"name\":\"packetCounter\",\"type\":\"int\"},"
    "{\"name\":\"a\",\"type\":\"double\"},"
    "{\"name\":\"b\",\"type\":\"int\"},"
    "{\"name\":\"c\",\"type\":\"double\"},"
    "{\"name\":\"d\",\"type\":\"double\"},"
    "{\"name\":\"e\",\"type\":\"double\"},"
    "{\"name\":\"seq\",\"type\":\"long\"}]}";

/* Sine, ramp, square, noise, and sine again; what counts is not dealt. */
static void
test_signals_dealt(void **state ATTR_UNUSED)
{
	struct synth *synth;
	struct oracle oracle;
	double noise, sum = 0;

	write_schema(numbers);
	oracle_open(&oracle, numbers);
	synth = synth_open(schema_file, NULL, 0);
	assert_non_null(synth);
	for (int i = 0; i < 2000; i++) {
		next_datum(synth, &oracle);
		assert_int_equal(get_int(&oracle, "packetCounter"), i);
		assert_int_equal(get_long(&oracle, "seq"), i);
		assert_int_equal(get_int(&oracle, "b"),
		    -1000 + 2 * (i % 1000));
		assert_true(get_double(&oracle, "c") ==
		    (i % 1000 < 500 ? 1 : -1));
		noise = get_double(&oracle, "d");
		assert_true(noise >= -1 && noise <= 1);
		sum += noise;
		assert_true(get_double(&oracle, "a") ==
		    get_double(&oracle, "e"));
		if (i % 1000 == 250)
			assert_true(get_double(&oracle, "a") > 0.9999);
	}
	assert_true(sum > -200 && sum < 200);
	synth_close(synth);
	oracle_close(&oracle);
}

static void
test_signals_chosen(void **state ATTR_UNUSED)
{
	static const char *const waves[] = {
		"a=spike:10:5", "b=square:2:1e12", "c=ramp", "d=sine:4:-3",
		"packetCounter=noise:1:0", "seq=ramp:4:8",
	};
	static const double sines[] = { 0, -3, 0, 3 };
	static const int ramps[] = { -8, -4, 0, 4 };
	struct synth *synth;
	struct oracle oracle;

	write_schema(numbers);
	oracle_open(&oracle, numbers);
	synth = synth_open(schema_file, waves, NITEMS(waves));
	assert_non_null(synth);
	for (int i = 0; i < 40; i++) {
		next_datum(synth, &oracle);
		assert_true(get_double(&oracle, "a") ==
		    (i % 10 == 5 ? 5 : 0));
		/* an int that the amplitude is too large for */
		assert_int_equal(get_int(&oracle, "b"),
		    i % 2 == 0 ? INT32_MAX : -INT32_MAX);
		assert_true(get_double(&oracle, "c") == 2 * i / 1000.0 - 1);
		assert_float_equal(get_double(&oracle, "d"), sines[i % 4],
		    1e-9);
		assert_int_equal(get_int(&oracle, "packetCounter"), 0);
		assert_int_equal(get_long(&oracle, "seq"), ramps[i % 4]);
	}
	synth_close(synth);
	oracle_close(&oracle);
}

static void
test_times(void **state ATTR_UNUSED)
{
	static const char text[] =
	    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
	    "{\"name\":\"us\",\"type\":{\"type\":\"long\","
	    "\"logicalType\":\"timestamp-micros\"}},"
	    "{\"name\":\"ms\",\"type\":{\"type\":\"long\","
	    "\"logicalType\":\"timestamp-millis\"}},"
	    "{\"name\":\"ns\",\"type\":{\"type\":\"long\","
	    "\"logicalType\":\"timestamp-nanos\"}},"
	    "{\"name\":\"day\",\"type\":{\"type\":\"int\","
	    "\"logicalType\":\"date\"}},"
	    "{\"name\":\"clock\",\"type\":{\"type\":\"int\","
	    "\"logicalType\":\"time-millis\"}},"
	    "{\"name\":\"other\",\"type\":{\"type\":\"int\","
	    "\"logicalType\":\"of-my-own\"}}]}";
	const uint64_t before = clock_realtime_ns();
	struct synth *synth;
	struct oracle oracle;
	uint64_t ns;

	write_schema(text);
	oracle_open(&oracle, text);
	synth = synth_open(schema_file, NULL, 0);
	assert_non_null(synth);
	next_datum(synth, &oracle);
	ns = (uint64_t)get_long(&oracle, "ns");
	assert_true(ns >= before && ns <= clock_realtime_ns());
	assert_int_equal(get_long(&oracle, "us"), ns / 1000);
	assert_int_equal(get_long(&oracle, "ms"), ns / 1000000);
	assert_int_equal(get_int(&oracle, "day"), ns / 86400000000000);
	assert_int_equal(get_int(&oracle, "clock"),
	    ns / 1000000 % 86400000);
	assert_int_equal(get_int(&oracle, "other"), 0);	/* a sine */
	synth_close(synth);
	oracle_close(&oracle);
}

/* Everything a schema can hold; the reader takes each datum whole. */
static void
test_all_types(void **state ATTR_UNUSED)
{
	static const char text[] =
	    "{\"type\":\"record\",\"name\":\"All\",\"fields\":["
	    "{\"name\":\"n\",\"type\":\"null\"},"
	    "{\"name\":\"b\",\"type\":\"boolean\"},"
	    "{\"name\":\"f\",\"type\":\"float\"},"
	    "{\"name\":\"s\",\"type\":\"string\"},"
	    "{\"name\":\"y\",\"type\":\"bytes\"},"
	    "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"X\","
	    "\"size\":5}},"
	    "{\"name\":\"x2\",\"type\":\"X\"},"
	    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\","
	    "\"symbols\":[\"A\",\"B\",\"C\"]}},"
	    "{\"name\":\"a\",\"type\":{\"type\":\"array\","
	    "\"items\":\"double\"}},"
	    "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"E\"}},"
	    "{\"name\":\"u\",\"type\":[\"null\",\"double\",\"string\","
	    "{\"type\":\"array\",\"items\":\"X\"}]},"
	    "{\"name\":\"t\",\"type\":{\"type\":\"record\","
	    "\"name\":\"Tree\",\"fields\":["
	    "{\"name\":\"v\",\"type\":\"int\"},"
	    "{\"name\":\"left\",\"type\":[\"null\",\"Tree\"]},"
	    "{\"name\":\"leaves\",\"type\":{\"type\":\"array\","
	    "\"items\":\"Tree\"}}]}}]}";
	static const char *const waves[] = { "t.left.v=ramp", "a=spike" };
	unsigned branches = 0, lengths = 0;
	struct synth *synth;
	struct oracle oracle;
	avro_value_t value;
	size_t length;
	int branch;

	write_schema(text);
	oracle_open(&oracle, text);
	synth = synth_open(schema_file, waves, NITEMS(waves));
	assert_non_null(synth);
	for (int i = 0; i < 100; i++) {
		next_datum(synth, &oracle);
		value = field(&oracle, "u");
		assert_int_equal(avro_value_get_discriminant(&value,
		    &branch), 0);
		branches |= 1U << branch;
		value = field(&oracle, "a");
		assert_int_equal(avro_value_get_size(&value, &length), 0);
		lengths |= 1U << length;
	}
	assert_int_equal(branches, 0xf);	/* each of the four */
	assert_int_equal(lengths, 0xff);	/* 0 to 7 items */
	synth_close(synth);
	oracle_close(&oracle);
}

/* A schema need not be a record. */
static void
test_roots(void **state ATTR_UNUSED)
{
	static const char list[] =
	    "{\"type\":\"record\",\"name\":\"L\",\"fields\":["
	    "{\"name\":\"next\",\"type\":[\"L\",\"null\"]}]}";
	static const char *const roots[] = {
		"\"double\"", "[\"null\",\"long\"]", "[\"string\"]",
		"{\"type\":\"array\",\"items\":\"int\"}",
		"{\"type\":\"map\",\"values\":[\"null\",\"bytes\"]}",
		"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}",
		list,
	};
	struct synth *synth;
	struct oracle oracle;

	for (size_t i = 0; i < NITEMS(roots); i++) {
		write_schema(roots[i]);
		oracle_open(&oracle, roots[i]);
		synth = synth_open(schema_file, NULL, 0);
		assert_non_null(synth);
		for (int n = 0; n < 50; n++)
			next_datum(synth, &oracle);
		synth_close(synth);
		oracle_close(&oracle);
	}
}

static void
test_refused(void **state ATTR_UNUSED)
{
	static const char endless[] =
	    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
	    "{\"name\":\"r\",\"type\":\"R\"}]}";
	static const char *const schemas[] = {
		"", "{", "\"whatever\"", "\"null\"", "[]",
		"{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}",
		"{\"type\":\"fixed\",\"name\":\"F\",\"size\":0}",
		"{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}",
		"{\"type\":\"fixed\",\"name\":\"F\",\"size\":65508}",
		endless,
	};

	for (size_t i = 0; i < NITEMS(schemas); i++) {
		write_schema(schemas[i]);
		assert_null(synth_open(schema_file, NULL, 0));
	}
	assert_null(synth_open("/nonexistent/schema", NULL, 0));
}

static void
assert_refused(const char *text, const char *wave, const char *message)
{
	char error[OPTIONS_ERROR_SIZE] = "";
	struct node *root;
	avro_schema_t schema;
	json_t *json;

	json = json_loads(text, JSON_DECODE_ANY, NULL);
	assert_non_null(json);
	assert_int_equal(avro_schema_from_json_length(text, strlen(text),
	    &schema), 0);
	root = node_build(schema, json, error);
	if (root != NULL)
		assert_false(node_assign(root, &wave, 1, error));
	assert_string_equal(error, message);
	node_free(root);
	avro_schema_decref(schema);
	json_decref(json);
}

#define NO_SIGNAL \
	": not SIGNAL[:PERIOD[:AMPLITUDE]], where SIGNAL is sine, ramp, " \
	"square, noise, spike or counter"

static void
test_messages(void **state ATTR_UNUSED)
{
	static const char endless[] =
	    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
	    "{\"name\":\"x\",\"type\":{\"type\":\"record\",\"name\":\"S\","
	    "\"fields\":[{\"name\":\"r\",\"type\":[\"R\",\"S\"]}]}}]}";
	static const char *const bad[] = {
		"a=sinus", "a=", "a=sine:", "a=sine:0", "a=sine:-1",
		"a=sine:5:", "a=sine:5x", "a=sine:5:1:1", "a=sine:5:inf",
		"a=sine:99999999999999999999",
	};
	char message[OPTIONS_ERROR_SIZE];

	for (size_t i = 0; i < NITEMS(bad); i++) {
		snprintf(message, sizeof(message), "-w %s" NO_SIGNAL,
		    bad[i]);
		assert_refused(numbers, bad[i], message);
	}
	assert_refused(numbers, "sine", "-w sine: not FIELD=SIGNAL");
	assert_refused(numbers, "aa=sine",
	    "-w aa=sine: the schema has no such numeric field");
	assert_refused(endless, "x=sine",
	    "a datum of this schema would contain itself without end");
}

/* Room that runs out is an error, never an overrun. */
static void
test_room(void **state ATTR_UNUSED)
{
	struct synth *synth;
	uint8_t *data;
	size_t size, needed;

	write_schema(numbers);
	synth = synth_open(schema_file, NULL, 0);
	assert_non_null(synth);
	data = xmalloc(DATAGRAM_MAX);
	assert_true(synth_datum(synth, data, DATAGRAM_MAX, &needed));
	free(data);
	for (size_t room = 0; room < needed; room++) {
		data = xmalloc(room);
		assert_false(synth_datum(synth, data, room, &size));
		free(data);
	}
	synth_close(synth);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals_dealt),
		cmocka_unit_test(test_signals_chosen),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_all_types),
		cmocka_unit_test(test_roots),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
