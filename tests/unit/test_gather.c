/* SPDX-License-Identifier: ISC */
/*
 * Datums that a reader gathers to calculate with several at once: whatever
 * comes together, in whichever records, gives what one after the other gives,
 * and none is used that was overwritten meanwhile.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "schema/schema.h"
#include "common/util.h"
#include "decimator/reduce.h"
#include "tests/unit/avro_random.h"
#include "tests/unit/reduce_support.h"
#include "tests/unit/reader_support.h"

#define FIELDS		501
#define DATUM_SIZE	(FIELDS * sizeof(double))
#define RING_SIZE	(1024U * 1024)
#define TOGETHER_MAX	16U	/* datagrams in a record */

struct fixture {
	char			*text;
	struct schema_result	 schema;
	struct fake_worker	 w;
	struct sink		 sink;
	struct message	 message;
	struct reader		*reader;
};

static void
begin(struct fixture *f, enum decimate_method method, uint64_t every)
{
	memset(f, 0, sizeof(*f));
	f->text = reduce_schema("double", FIELDS);
	f->schema = reduce_compile(f->text);
	fake_open(&f->w, RING_SIZE, f->schema.program, f->schema.program_size,
	    NULL);
	sink_open(&f->sink);
	message_init(&f->message, "accel");
	message_add(&f->message, "v", method, every, 0);
	f->reader = open_reader(&f->message, &f->w, &f->sink, NULL);
	assert_non_null(f->reader);
}

static void
end(struct fixture *f)
{
	assert_int_equal(sink_get(&f->sink, reduce_output[1],
	    REDUCE_OUTPUT_MAX), -1);
	reader_close(f->reader);
	sink_close(&f->sink);
	fake_close(&f->w);
	schema_result_free(&f->schema);
	free(f->text);
}

/* Takes datums one by one; what windows give comes out of the reader next. */
static void
expect_same(struct fixture *f, struct reducer *oracle, const uint8_t *data,
    unsigned datums, uint64_t time_ns)
{
	enum reducer_status status;
	unsigned i, k;
	ssize_t got;
	size_t used;

	for (i = 0; i < datums; i++, data += used) {
		assert_true(reducer_look(oracle, data, DATUM_SIZE, &used));
		assert_int_equal(used, DATUM_SIZE);
		status = reducer_take(oracle, data, time_ns, false);
		reducer_settle(oracle);
		if (status != REDUCER_FULL)
			continue;
		for (k = 0; k < reducer_outputs(oracle); k++) {
			reduce_size[0] = reducer_emit(oracle, k,
			    reduce_output[0], REDUCE_OUTPUT_MAX);
			got = sink_get(&f->sink, reduce_output[1],
			    REDUCE_OUTPUT_MAX);
			assert_int_equal(got, reduce_size[0]);
			assert_memory_equal(reduce_output[0],
			    reduce_output[1], reduce_size[0]);
		}
	}
}

/* One to seven datums in a datagram, some datagrams coalesced in a record, a
 * few records in a turn. */
static void
some_turns(enum decimate_method method, unsigned every)
{
	static uint8_t data[TOGETHER_MAX * DATUM_SIZE];
	static uint8_t turn[5][TOGETHER_MAX * DATUM_SIZE];
	/* What comes out of a turn must find room in a socket. */
	const unsigned most = MIN_OF(every, TOGETHER_MAX);
	unsigned round, records, datums[5], in_one, i, k;
	uint64_t time_ns = UINT64_C(1795212345678901234);
	struct avro_random random;
	struct reducer *oracle;
	struct fixture f;
	double x;

	begin(&f, method, every);
	oracle = reducer_new(f.schema.program, method, every);
	avro_random_init(&random, every, true);
	for (round = 0; round < 60; round++) {
		records = 1 + (unsigned)avro_random_below(&random, 5);
		for (k = 0; k < records; k++) {
			in_one = 1 + (unsigned)avro_random_below(&random, 3);
			datums[k] = 1 + (unsigned)avro_random_below(&random,
			    most);
			for (i = 0; i < datums[k] * FIELDS; i++) {
				x = (double)(int64_t)avro_random_next(&random);
				if (i % 4999 == 17)
					x = (double)NAN;
				memcpy(data + i * sizeof(x), &x, sizeof(x));
			}
			memcpy(turn[k], data, sizeof(data));
			fake_put_at(&f.w, data,
			    (uint32_t)(datums[k] * DATUM_SIZE),
			    (uint16_t)(in_one * DATUM_SIZE),
			    time_ns + k * NS_PER_MS);
		}
		catch_up(f.reader);
		for (k = 0; k < records; k++)
			expect_same(&f, oracle, turn[k], datums[k],
			    time_ns + k * NS_PER_MS);
		time_ns += 5 * NS_PER_MS;
	}
	reducer_free(oracle);
	end(&f);
}

static void
test_together(void **state ATTR_UNUSED)
{
	static const enum decimate_method methods[] = { METHOD_MEAN,
	    METHOD_RMS, METHOD_MINMAX, METHOD_SUMMARY };
	unsigned i;

	for (i = 0; i < NITEMS(methods); i++) {
		some_turns(methods[i], 1);
		some_turns(methods[i], 3);
		some_turns(methods[i], 8);
		some_turns(methods[i], 13);
		some_turns(methods[i], 50);
	}
}

/*** A writer that does not wait. ***/

struct writer {
	struct fake_worker	*w;
	_Atomic bool		 stop;
};

/* All fields of a datum are its number. */
static void *
write_numbers(void *argument)
{
	static double values[TOGETHER_MAX][FIELDS];
	struct writer *writer = argument;
	double number = 0;
	unsigned i, k;

	while (!atomic_load(&writer->stop)) {
		for (i = 0; i < TOGETHER_MAX; i++, number++)
			for (k = 0; k < FIELDS; k++)
				values[i][k] = number;
		fake_put_at(writer->w, values, sizeof(values), DATUM_SIZE, 0);
	}
	return NULL;
}

/* The summaries that are there; how many of them. */
static unsigned
look_at_summaries(struct sink *sink)
{
	/* Four numbers and two times, which are 0. */
	const size_t each = 4 * sizeof(double) + 2;
	const uint8_t *data = reduce_output[0], *first;
	unsigned count = 0;
	ssize_t size;
	size_t i;

	for (; (size = sink_get(sink, reduce_output[0],
	    REDUCE_OUTPUT_MAX)) > 0; count++) {
		assert_true((size_t)size > FIELDS * each);
		first = data + (size_t)size - FIELDS * each;
		for (i = 1; i < FIELDS; i++)
			assert_memory_equal(first, first + i * each, each);
	}
	return count;
}

static void
test_nothing_torn(void **state ATTR_UNUSED)
{
	uint64_t begin_ns = clock_monotonic_ns(), took_ns;
	struct writer writer = { 0 };
	enum reader_status status;
	unsigned seen = 0;
	pthread_t thread;
	struct fixture f;

	begin(&f, METHOD_SUMMARY, 5);
	writer.w = &f.w;
	assert_int_equal(pthread_create(&thread, NULL, write_numbers,
	    &writer), 0);
	do {
		status = reader_step(f.reader);
		seen += look_at_summaries(&f.sink);
		took_ns = clock_monotonic_ns() - begin_ns;
	} while (status != READER_BROKEN && took_ns < 20 * NS_PER_S &&
	    (took_ns < NS_PER_S / 2 || seen < 500 ||
	    fake_counts(&f.w, 0).missed < 500));
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
	assert_int_not_equal(status, READER_BROKEN);
	catch_up(f.reader);
	seen += look_at_summaries(&f.sink);
	assert_accounted(&f.w, 0);
	assert_true(seen >= 500);
	assert_true(fake_counts(&f.w, 0).missed >= 500);
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_nothing_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
