/* SPDX-License-Identifier: ISC */
/*
 * The parts of mcrelay-gen: sequence window, histogram, numbered datagrams,
 * tally.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "tools/common/batch.h"
#include "tools/common/histogram.h"
#include "tools/gen/numbered.h"
#include "tools/gen/tally.h"
#include "tools/gen/window.h"

/* xorshift: the same numbers in every run. */
static uint64_t
next_random(void)
{
	static uint64_t random = 88172645463325252U;

	random ^= random << 13;
	random ^= random >> 7;
	random ^= random << 17;
	return random;
}

/*** The window. ***/

static void
add_range(struct window *window, uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n < to; n++)
		window_add(window, n);
}

static void
assert_window(const struct window *window, uint64_t lost, uint64_t doubled,
    uint64_t reordered, uint64_t stale)
{
	assert_int_equal(window_lost(window), lost);
	assert_int_equal(window->doubled, doubled);
	assert_int_equal(window->reordered, reordered);
	assert_int_equal(window->stale, stale);
}

static void
test_window_in_order(void **state ATTR_UNUSED)
{
	struct window window;

	window_init(&window, true);
	assert_window(&window, 0, 0, 0, 0);
	/* more than two laps of the bitmap */
	add_range(&window, 0, 2 * WINDOW_SIZE + 100);
	assert_window(&window, 0, 0, 0, 0);
	assert_int_equal(window.distinct, 2 * WINDOW_SIZE + 100);
	window_free(&window);
}

static void
test_window_start(void **state ATTR_UNUSED)
{
	struct window window;

	/* expected from 0: what came before the first is lost */
	window_init(&window, true);
	window_add(&window, 7);
	assert_window(&window, 7, 0, 0, 0);
	window_free(&window);

	/* heard in the middle: it is not */
	window_init(&window, false);
	window_add(&window, 7);
	assert_window(&window, 0, 0, 0, 0);
	/* but a lower one shows that the stream began earlier */
	window_add(&window, 4);
	assert_window(&window, 2, 0, 1, 0);
	assert_int_equal(window.first, 4);
	window_free(&window);
}

static void
test_window_events(void **state ATTR_UNUSED)
{
	struct window window;

	window_init(&window, true);
	add_range(&window, 0, 10);
	add_range(&window, 12, 20);	/* 10 and 11 missing */
	assert_window(&window, 2, 0, 0, 0);
	window_add(&window, 11);
	assert_window(&window, 1, 0, 1, 0);
	window_add(&window, 11);
	window_add(&window, 19);
	window_add(&window, 0);
	assert_window(&window, 1, 3, 1, 0);
	window_free(&window);
}

/* A bit of an earlier lap must not pass for a number of this one. */
static void
test_window_laps(void **state ATTR_UNUSED)
{
	const uint64_t near = WINDOW_SIZE - 3;
	struct window window;

	window_init(&window, true);
	add_range(&window, 0, near);
	/* a gap across the wrap, over bits that the first lap has set */
	window_add(&window, near + 10);
	assert_window(&window, 10, 0, 0, 0);
	add_range(&window, near, near + 10);
	assert_window(&window, 0, 0, 10, 0);

	/* the oldest number that is still remembered, and the next older */
	window_add(&window, window.next - WINDOW_SIZE);
	assert_window(&window, 0, 1, 10, 0);
	window_add(&window, window.next - WINDOW_SIZE - 1);
	assert_window(&window, 0, 1, 10, 1);
	window_free(&window);
}

static void
test_window_jump(void **state ATTR_UNUSED)
{
	const uint64_t far = 10 * WINDOW_SIZE + 17;
	struct window window;

	window_init(&window, true);
	add_range(&window, 0, 100);
	window_add(&window, far);
	assert_window(&window, far - 100, 0, 0, 0);
	/* all bits were cleared by the jump */
	add_range(&window, far - WINDOW_SIZE + 1, far);
	assert_window(&window, far - 100 - (WINDOW_SIZE - 1), 0,
	    WINDOW_SIZE - 1, 0);
	window_free(&window);
}

/* Against counting in an array: drops, doubles, shuffles, over the wrap. */
static void
test_window_random(void **state ATTR_UNUSED)
{
	const uint64_t base = WINDOW_SIZE - 5000;
	enum { NUMBERS = 10000 };
	static uint32_t seen[NUMBERS];
	uint64_t n, highest = 0, distinct = 0, doubled = 0, reordered = 0;
	struct window window;

	window_init(&window, true);
	add_range(&window, 0, base);
	for (unsigned i = 0; i < 3 * NUMBERS; i++) {
		n = MIN_OF(i / 3 + next_random() % 300,
		    (uint64_t)NUMBERS - 1);
		window_add(&window, base + n);
		if (seen[n]++ > 0)
			doubled++;
		else {
			distinct++;
			reordered += n < highest;
		}
		highest = MAX_OF(highest, n);
	}
	assert_true(doubled > 1000 && reordered > 1000);
	assert_true(distinct < highest);
	assert_window(&window, highest + 1 - distinct, doubled, reordered, 0);
	window_free(&window);
}

/*** The histogram. ***/

static void
test_histogram_small(void **state ATTR_UNUSED)
{
	struct histogram *h = xcalloc(1, sizeof(*h));

	assert_int_equal(histogram_percentile(h, 0.5), 0);
	for (uint64_t i = 1; i <= 50; i++)
		histogram_add(h, i);
	assert_int_equal(histogram_percentile(h, 0.0), 1);
	assert_int_equal(histogram_percentile(h, 0.5), 25);
	assert_int_equal(histogram_percentile(h, 0.98), 49);
	assert_int_equal(histogram_percentile(h, 1.0), 50);
	histogram_add(h, UINT64_MAX);
	assert_true(histogram_percentile(h, 1.0) == UINT64_MAX);
	assert_true(h->max == UINT64_MAX);
	free(h);
}

static int
compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
test_histogram_error(void **state ATTR_UNUSED)
{
	static const double fractions[] = { 0.01, 0.5, 0.9, 0.99, 0.999, 1 };
	enum { VALUES = 20000 };
	static uint64_t values[VALUES];
	struct histogram *h = xcalloc(1, sizeof(*h));
	uint64_t exact, got;

	/* of every magnitude */
	for (size_t i = 0; i < VALUES; i++) {
		values[i] = next_random() >> next_random() % 64;
		histogram_add(h, values[i]);
	}
	qsort(values, VALUES, sizeof(values[0]), compare);
	for (size_t i = 0; i < NITEMS(fractions); i++) {
		exact = values[(size_t)(fractions[i] * VALUES) - 1];
		got = histogram_percentile(h, fractions[i]);
		assert_true(got >= exact);
		assert_true(got - exact <= exact / HISTOGRAM_SUB);
	}
	free(h);
}

/*** Numbered datagrams. ***/

static const struct numbered sample = {
	.stream = 0xdeadbeef,
	.sequence = UINT64_C(0x0102030405060708),
	.sent_ns = 1800000000123456789,
	.started_ns = 1800000000000000000,
};

static void
test_numbered_layout(void **state ATTR_UNUSED)
{
	static const uint8_t expected[] = {
		'M', 'C', 'R', 'G', 0xde, 0xad, 0xbe, 0xef,
		1, 2, 3, 4, 5, 6, 7, 8,
	};
	uint8_t data[64];

	numbered_write(data, sizeof(data), &sample);
	assert_memory_equal(data, expected, sizeof(expected));
	assert_int_equal(data[35], sizeof(data));
}

static void
test_numbered_round_trip(void **state ATTR_UNUSED)
{
	uint8_t *data = xmalloc(DATAGRAM_MAX);
	struct numbered got;
	size_t size;

	for (size_t i = 0; i < 100; i++) {
		size = i < 90 ? NUMBERED_SIZE_MIN + i :
		    DATAGRAM_MAX - (i - 90);
		numbered_write(data, size, &sample);
		memset(&got, 0, sizeof(got));
		assert_true(numbered_read(data, size, &got));
		assert_int_equal(got.stream, sample.stream);
		assert_true(got.sequence == sample.sequence);
		assert_true(got.sent_ns == sample.sent_ns);
		assert_true(got.started_ns == sample.started_ns);
	}
	free(data);
}

static void
test_numbered_damage(void **state ATTR_UNUSED)
{
	uint8_t data[120], longer[121] = { 0 };
	struct numbered got;

	for (size_t size = NUMBERED_SIZE_MIN; size <= sizeof(data); size++) {
		numbered_write(data, size, &sample);
		for (size_t bit = 0; bit < size * 8; bit++) {
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(numbered_read(data, size, &got));
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (size_t cut = 0; cut < size; cut++)
			assert_false(numbered_read(data, cut, &got));
		memcpy(longer, data, size);
		assert_false(numbered_read(longer, size + 1, &got));
		assert_true(numbered_read(data, size, &got));
	}
}

/*** The tally. ***/

static void
tally_number(struct tally *tally, uint32_t stream, uint64_t sequence,
    uint64_t started_ns)
{
	const struct numbered numbered = {
		.stream = stream,
		.sequence = sequence,
		.sent_ns = 5000,
		.started_ns = started_ns,
	};
	uint8_t data[NUMBERED_SIZE_MIN];

	numbered_write(data, sizeof(data), &numbered);
	assert_true(tally_datagram(tally, data, sizeof(data), 7000));
}

static void
test_tally_streams(void **state ATTR_UNUSED)
{
	struct tally *tally = xcalloc(1, sizeof(*tally));
	json_t *report = json_object();
	int lost, first;

	tally_init(tally, false, 1000);
	assert_false(tally_is_clean(tally));	/* nothing is not good */
	tally_number(tally, 1, 0, 1000);
	tally_number(tally, 2, 500, 999);	/* began before us */
	tally_number(tally, 1, 1, 1000);
	tally_number(tally, 2, 501, 999);
	assert_true(tally_is_clean(tally));
	tally_number(tally, 3, 3, 1001);	/* did not: 0 to 2 are lost */
	assert_false(tally_is_clean(tally));
	tally_report(tally, report);
	assert_int_equal(json_unpack(report, "{s:i, s:[{}, {s:i}, {}!]}",
	    "lost", &lost, "streams", "first", &first), 0);
	assert_int_equal(lost, 3);
	assert_int_equal(first, 500);
	assert_int_equal(histogram_percentile(&tally->latency, 0.5), 2000);
	json_decref(report);
	tally_free(tally);
	free(tally);
}

static void
test_tally_unclean(void **state ATTR_UNUSED)
{
	struct tally *tally = xcalloc(1, sizeof(*tally));

	tally_init(tally, false, 1000);
	tally_number(tally, 1, 0, 1000);
	assert_true(tally_is_clean(tally));
	assert_true(tally_datagram(tally, (const uint8_t *)"?", 1, 0));
	assert_int_equal(tally->corrupt, 1);
	assert_false(tally_is_clean(tally));
	tally_free(tally);

	tally_init(tally, false, 1000);
	tally_number(tally, 1, 0, 1000);
	tally_number(tally, 1, 0, 1000);
	assert_false(tally_is_clean(tally));
	tally_free(tally);

	tally_init(tally, true, 1000);
	assert_true(tally_datagram(tally, (const uint8_t *)"?", 1, 0));
	assert_true(tally_is_clean(tally));
	tally_free(tally);
	free(tally);
}

static void
test_tally_too_many(void **state ATTR_UNUSED)
{
	const struct numbered one_more = { .stream = TALLY_STREAMS_MAX };
	struct tally *tally = xcalloc(1, sizeof(*tally));
	uint8_t data[NUMBERED_SIZE_MIN];

	tally_init(tally, false, 0);
	for (uint32_t i = 0; i < TALLY_STREAMS_MAX; i++)
		tally_number(tally, i, 0, 0);
	numbered_write(data, sizeof(data), &one_more);
	assert_false(tally_datagram(tally, data, sizeof(data), 0));
	tally_free(tally);
	free(tally);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window_in_order),
		cmocka_unit_test(test_window_start),
		cmocka_unit_test(test_window_events),
		cmocka_unit_test(test_window_laps),
		cmocka_unit_test(test_window_jump),
		cmocka_unit_test(test_window_random),
		cmocka_unit_test(test_histogram_small),
		cmocka_unit_test(test_histogram_error),
		cmocka_unit_test(test_numbered_layout),
		cmocka_unit_test(test_numbered_round_trip),
		cmocka_unit_test(test_numbered_damage),
		cmocka_unit_test(test_tally_streams),
		cmocka_unit_test(test_tally_unclean),
		cmocka_unit_test(test_tally_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
