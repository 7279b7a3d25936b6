/* SPDX-License-Identifier: ISC */
/*
 * The sender's own numbering: random losses, repeats and delays against a
 * count that is made from the whole history, all types, many sources.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "schema/schema.h"
#include "worker/sender_sequence.h"

/* One source's numbers, unwrapped, in the order in which they came. */
#define HISTORY		3000

struct history {
	int64_t		number[HISTORY];
	unsigned	count;
};

static uint64_t	random_state;

static uint64_t
random_below(uint64_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1;
	return (random_state >> 33) % limit;
}

static bool
has_come(const struct history *h, int64_t number)
{
	unsigned i;

	for (i = 0; i < h->count; i++)
		if (h->number[i] == number)
			return true;
	return false;
}

static int64_t
highest(const struct history *h)
{
	int64_t most = h->number[0];
	unsigned i;

	for (i = 1; i < h->count; i++)
		most = MAX_OF(most, h->number[i]);
	return most;
}

/* Counts by looking at everything that has come. */
static void
count_all(const struct history *h, struct ingest_state *expected)
{
	struct history before = {.count = 0};
	int64_t n;
	unsigned i;

	memset(expected, 0, sizeof(*expected));
	for (i = 0; i < h->count; i++) {
		if (has_come(&before, h->number[i]))
			expected->counts.sequence_repeats++;
		else if (i > 0 && h->number[i] < highest(&before))
			expected->counts.sequence_reordered++;
		before.number[before.count++] = h->number[i];
	}
	for (n = h->number[0]; n < highest(h); n++)
		expected->counts.sequence_gaps += !has_come(h, n);
}

/* Mostly the next one; now and then a loss, a late one, a repeat. */
static int64_t
next_number(const struct history *h, int64_t most)
{
	switch (random_below(8)) {
	case 0:
		return most + 1 + (int64_t)random_below(20);
	case 1:
		return most - (int64_t)random_below(SENDER_WINDOW);
	case 2:
		return h->number[h->count - 1 - random_below(
		    MIN_OF(h->count, 5U))];
	case 3:
		return most + 1 + (int64_t)random_below(127);
	default:
		return most + 1;
	}
}

static void
run_random(unsigned bits, int64_t first, unsigned count)
{
	struct history h = {.number = { first }, .count = 1};
	struct sender source = {0};
	struct ingest_state state = {0}, expected;
	int64_t number, most = first;

	sequence_number(&source, (uint64_t)first, bits, &state);
	while (h.count < count) {
		number = next_number(&h, most);
		/* What lies further back is another test's. */
		if (number <= most - SENDER_WINDOW)
			continue;
		most = MAX_OF(most, number);
		h.number[h.count++] = number;
		sequence_number(&source, (uint64_t)number, bits, &state);
	}
	count_all(&h, &expected);
	assert_int_equal(state.counts.sequence_gaps,
	    expected.counts.sequence_gaps);
	assert_int_equal(state.counts.sequence_repeats,
	    expected.counts.sequence_repeats);
	assert_int_equal(state.counts.sequence_reordered,
	    expected.counts.sequence_reordered);
}

/* Starting points just below where each type wraps. */
static void
test_random(void **state ATTR_UNUSED)
{
	static const struct {
		unsigned	bits;
		int64_t		first;
	} types[] = {
		{ 8, 200 }, { 8, 0 }, { 16, 65000 }, { 32, 4294967000 },
		{ 32, 2147483000 }, { 32, -5 }, { 64, -300 },
		{ 64, INT64_C(1) << 40 },
	};
	unsigned round, i;

	for (round = 0; round < 60; round++)
		for (i = 0; i < NITEMS(types); i++) {
			random_state = round * NITEMS(types) + i;
			run_random(types[i].bits, types[i].first,
			    2 + (unsigned)random_below(300));
		}
}

struct scene {
	unsigned	bits;
	uint64_t	numbers[6];
	unsigned	count;
	uint64_t	gaps;
	uint64_t	repeats;
	uint64_t	reordered;
};

static const struct scene scenes[] = {
	{ 32, { 7 }, 1, 0, 0, 0 },
	{ 32, { 7, 8, 9 }, 3, 0, 0, 0 },
	{ 32, { 7, 10 }, 2, 2, 0, 0 },
	{ 32, { 7, 10, 9 }, 3, 1, 0, 1 },
	{ 32, { 7, 10, 9, 8 }, 4, 0, 0, 2 },
	{ 32, { 7, 10, 9, 9, 10, 7 }, 6, 1, 3, 1 },
	/* Before the first: no gap to take back. */
	{ 32, { 7, 6, 6 }, 3, 0, 1, 1 },
	/* The edge of the window. */
	{ 32, { 1, 1000, 873, 872 }, 4, 997, 0, 2 },
	{ 32, { 1, 1000, 873, 873 }, 4, 997, 1, 1 },
	/* A sender that begins anew, with and without a loss on the way. */
	{ 32, { 5000, 0, 1, 2 }, 4, 0, 0, 0 },
	{ 32, { 5000, 0, 2, 3, 5 }, 5, 1, 0, 1 },
	{ 32, { 5000, 0, 1, 5001 }, 4, 5000 - 1, 0, 0 },
	/* One that went astray. */
	{ 32, { 5000, 0, 5001, 1, 5002 }, 5, 0, 0, 2 },
	{ 64, { 5000, UINT64_C(1) << 62, 5001, 5002 }, 4, 0, 0, 1 },
	/* The longest leap, and one longer. */
	{ 64, { 5, 5 + (1 << 24), 6 + (1 << 24) }, 3, (1 << 24) - 1, 0, 0 },
	{ 64, { 5, 6 + (1 << 24), 7 + (1 << 24), 8 + (1 << 24) }, 4, 0, 0,
	    0 },
	/* Half of a byte's range: neither ahead nor behind. */
	{ 8, { 0, 128, 1 }, 3, 0, 0, 1 },
	{ 8, { 0, 127 }, 2, 126, 0, 0 },
	{ 8, { 0, 129 }, 2, 0, 0, 1 },
	{ 16, { 65535, 0, 1 }, 3, 0, 0, 0 },
};

static void
test_scenes(void **state ATTR_UNUSED)
{
	struct sender source;
	struct ingest_state seen;
	const struct scene *s;
	unsigned i;

	for (s = scenes; s < scenes + NITEMS(scenes); s++) {
		memset(&source, 0, sizeof(source));
		memset(&seen, 0, sizeof(seen));
		for (i = 0; i < s->count; i++)
			sequence_number(&source, s->numbers[i], s->bits,
			    &seen);
		if (seen.counts.sequence_gaps != s->gaps ||
		    seen.counts.sequence_repeats != s->repeats ||
		    seen.counts.sequence_reordered != s->reordered)
			fail_msg("scene %d: %llu gaps, %llu repeats, %llu "
			    "reordered", (int)(s - scenes),
			    (unsigned long long)seen.counts.sequence_gaps,
			    (unsigned long long)seen.counts.sequence_repeats,
			    (unsigned long long)seen.counts.sequence_reordered);
	}
}

/*** Records. ***/

struct bench {
	struct channel_config	 config;
	struct worker_state	 shared;
	struct segment		 segment;
	struct sender_sequence		 sequence;
	struct ingest_state	 state;
	struct datum_program	*program;
};

static struct bench	b;

static void
open_bench(enum sender_sequence_type type, uint32_t at)
{
	b.config.sender_sequence = (struct sender_sequence_config){ type, at };
	b.segment.config = &b.config;
	b.segment.state = &b.shared;
	memset(&b.shared, 0, sizeof(b.shared));
	memset(&b.state, 0, sizeof(b.state));
	sender_sequence_init(&b.sequence, &b.segment, b.program);
}

/* A batch of one record, from one of several sources. */
static void
take(uint16_t port, const void *data, size_t size, uint16_t segment)
{
	struct ring_record record = {.length = (uint32_t)size,
	    .datagram_size = segment, .family = 4, .port = port,
	    .sequence = b.state.sequence};

	sender_sequence_begin(&b.sequence, &b.state);
	sender_sequence_count(&b.sequence, &b.state, &record, data);
	b.state.sequence += ring_record_datagrams(&record);
}

static void
check(uint64_t gaps, uint64_t repeats, uint64_t reordered)
{
	assert_int_equal(b.state.counts.sequence_gaps, gaps);
	assert_int_equal(b.state.counts.sequence_repeats, repeats);
	assert_int_equal(b.state.counts.sequence_reordered, reordered);
}

/* 0x0102... and 0x0105...: a distance of 3 where the low byte is. */
static void
test_types(void **state ATTR_UNUSED)
{
	static const struct {
		enum sender_sequence_type	type;
		unsigned		low;	/* its low byte */
		size_t			size;
	} types[] = {
		{ SENDER_SEQUENCE_U8, 0, 1 },
		{ SENDER_SEQUENCE_U16LE, 0, 2 }, { SENDER_SEQUENCE_U16BE, 1,
		    2 },
		{ SENDER_SEQUENCE_U32LE, 0, 4 }, { SENDER_SEQUENCE_U32BE, 3,
		    4 },
		{ SENDER_SEQUENCE_U64LE, 0, 8 }, { SENDER_SEQUENCE_U64BE, 7,
		    8 },
	};
	uint8_t data[11];
	unsigned i;

	for (i = 0; i < NITEMS(types); i++) {
		open_bench(types[i].type, 3);
		memset(data, 1, sizeof(data));
		take(1, data, 3 + types[i].size, 0);
		data[3 + types[i].low] += 3;
		/* One byte is missing: it has no number. */
		take(1, data, 3 + types[i].size - 1, 0);
		check(0, 0, 0);
		take(1, data, 3 + types[i].size, 0);
		check(2, 0, 0);
	}
}

static void
test_coalesced(void **state ATTR_UNUSED)
{
	open_bench(SENDER_SEQUENCE_U8, 1);
	take(1, "a\1b\2c\4d\4e", 9, 2);	/* the last has no number */
	check(1, 1, 0);
	take(1, "a\3", 2, 0);
	check(0, 1, 1);
}

/* Sources do not disturb each other, until there are too many. */
static void
test_sources(void **state ATTR_UNUSED)
{
	uint16_t port;
	unsigned i;
	uint8_t n;

	open_bench(SENDER_SEQUENCE_U8, 0);
	for (n = 0; n < 50; n++)
		for (port = 1; port <= SENDERS_MAX; port++) {
			uint8_t number = (uint8_t)(n * 2 + port);

			take(port, &number, 1, 0);
		}
	check(49 * SENDERS_MAX, 0, 0);
	/* 100 takes the place of 1, which was heard least recently; and 1
	 * that of 2. */
	take(100, "\1", 1, 0);
	take(1, "\377", 1, 0);
	check(49 * SENDERS_MAX, 0, 0);
	for (i = 3; i <= SENDERS_MAX; i++) {
		uint8_t number = (uint8_t)(49 * 2 + i);

		take((uint16_t)i, &number, 1, 0);
	}
	check(49 * SENDERS_MAX, SENDERS_MAX - 2, 0);
}

/* What a batch did that was not committed is not there the next time. */
static void
test_uncommitted(void **state ATTR_UNUSED)
{
	struct ingest_state before;

	open_bench(SENDER_SEQUENCE_U8, 0);
	take(1, "\1", 1, 0);
	before = b.state;
	take(1, "\5", 1, 0);
	check(3, 0, 0);
	b.state = before;
	take(1, "\5", 1, 0);
	check(3, 0, 0);
	take(1, "\5", 1, 0);
	check(3, 1, 0);
}

static void
load_program(const char *schema)
{
	struct schema_result result;

	assert_true(schema_compile(schema, strlen(schema), NULL, &result));
	b.program = result.program;
	result.program = NULL;
	schema_result_free(&result);
}

/* A field between others of its run, and behind what is no number; several
 * datums in a datagram; rejected ones do not count. */
static void
test_field(void **state ATTR_UNUSED)
{
	load_program("{\"type\":\"record\",\"name\":\"R\",\"fields\":["
	    "{\"name\":\"s\",\"type\":\"string\"},"
	    "{\"name\":\"a\",\"type\":\"long\"},"
	    "{\"name\":\"n\",\"type\":\"long\"},"
	    "{\"name\":\"b\",\"type\":\"long\"},"
	    "{\"name\":\"e\",\"type\":\"boolean\"}]}");
	open_bench(SENDER_SEQUENCE_FIELD, 1);
	take(1, "\2x\7\2\5\1", 6, 0);			/* 1 */
	take(1, "\2x\7\10\5\1" "\0\1\6\1\0", 11, 0);	/* 4, 3 */
	check(1, 0, 1);
	/* 5 and a broken one; one that is cut off; a broken one; nothing. */
	take(1, "\2x\7\12\5\1" "\0\1\6\1\2", 11, 0);
	take(1, "\2x\7\24\5\1" "\0\1", 8, 0);
	take(1, "\2x\7\24\5\3", 6, 0);
	take(1, "", 0, 0);
	check(1, 0, 1);
	take(1, "\2x\7\12\5\1" "\2x\7\12\5\1", 12, 0);	/* 5, 5 */
	check(1, 1, 1);
	free(b.program);
	b.program = NULL;
}

static void
test_framed_field(void **state ATTR_UNUSED)
{
	load_program("{\"type\":\"record\",\"name\":\"R\",\"fields\":["
	    "{\"name\":\"n\",\"type\":\"int\"}]}");
	b.program->framing = (struct datum_framing){ 5, 1, { 0, 0, 0, 0, 9 } };
	open_bench(SENDER_SEQUENCE_FIELD, 0);
	take(1, "\0\0\0\0\11\2", 6, 0);
	take(1, "\0\0\0\0\10\20", 6, 0);		/* another schema */
	take(1, "\20", 1, 0);
	take(1, "\0\0\0\0\11\4" "\20", 7, 0);
	check(0, 0, 0);
	take(1, "\0\0\0\0\11\4" "\0\0\0\0\11\10", 12, 0);
	check(1, 0, 0);
	free(b.program);
	b.program = NULL;
}

/* An int wraps where its 32 bits do. */
static void
test_int_wraps(void **state ATTR_UNUSED)
{
	load_program("\"int\"");
	open_bench(SENDER_SEQUENCE_FIELD, 0);
	take(1, "\376\377\377\377\17", 5, 0);		/* 2^31 - 1 */
	take(1, "\377\377\377\377\17", 5, 0);		/* -2^31 */
	check(0, 0, 0);
	take(1, "\373\377\377\377\17", 5, 0);		/* -2^31 + 2 */
	check(1, 0, 0);
	free(b.program);
	b.program = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_scenes),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_coalesced),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_uncommitted),
		cmocka_unit_test(test_field),
		cmocka_unit_test(test_framed_field),
		cmocka_unit_test(test_int_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
