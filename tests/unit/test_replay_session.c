/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-replay: many channels at once, read in pieces, in the order of
 * their times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/archive_support.h"
#include "tools/replay/queue.h"
#include "tools/replay/replay.h"
#include "tools/replay/source.h"

#define CHANNELS	5
#define RECORDS		400

/* What channel `i' has as its record `n': sizes that no piece divides, and
 * some that are larger than one. */
static size_t
session_size(unsigned i, unsigned n)
{
	return n % 97 == 13 ? 65507 - i : 20 + (n * 7 + i * 31) % 1500;
}

/* Record n of channel i is number i + n * CHANNELS of all. */
static void
write_channel(struct sample *sample, unsigned i, const char *codec)
{
	sample_begin(sample, datagram_schema, codec);
	for (unsigned n = 0; n < RECORDS; n++) {
		sample_datagram(sample, i + n * CHANNELS,
		    session_size(i, n));
		if (n % 150 == 149)
			sample_block(sample);
	}
	sample_block(sample);
	sample_write(sample, sample->file.data, sample->file.size);
}

static void
expect_all(struct source_shared *shared, struct source *source,
    unsigned channels)
{
	struct queue queue = {0};
	unsigned all = 0, i, n;

	for (i = 0; i < channels; i++) {
		assert_true(source_next(&source[i]));
		queue_add(&queue, &source[i]);
	}
	for (; queue.sources > 0; all++) {
		i = all % CHANNELS;
		n = all / CHANNELS;
		assert_ptr_equal(queue.source[0], &source[i]);
		assert_int_equal(source[i].record.sequence, all);
		assert_int_equal(source[i].size, session_size(i, n));
		for (size_t at = 0; at < source[i].size; at++)
			assert_int_equal(source[i].data[at],
			    payload_byte(all));
		assert_true(source[i].piece.room <= MAX_OF(shared->piece,
		    (size_t)2 * 65536));
		if (source_next(&source[i]))
			queue_again(&queue);
		else
			queue_drop_first(&queue);
	}
	assert_int_equal(all, CHANNELS * RECORDS);
	queue_free(&queue);
}

/* Five channels with one set of buffers, in pieces that are much smaller than
 * their blocks: every byte, in the order of the times; and once more. */
static void
check_pieces(const char *codec)
{
	const struct replay_options options = { .speed = 1,
	    .span = SPAN_ALL };
	struct progress progress = {0};
	struct source_shared shared = { .options = &options,
	    .progress = &progress, .piece = 4096 };
	struct replay_channel channel[CHANNELS] = {0};
	struct source source[CHANNELS];
	struct sample sample[CHANNELS];

	for (unsigned i = 0; i < CHANNELS; i++) {
		write_channel(&sample[i], i, codec);
		channel[i].path = sample[i].path;
		channel[i].operand = &channel[i].path;
		channel[i].operands = 1;
		source_open(&source[i], &shared, &channel[i]);
	}
	for (int round = 0; round < 2; round++) {
		expect_all(&shared, source, CHANNELS);
		for (unsigned i = 0; i < CHANNELS; i++)
			source_rewind(&source[i]);
	}
	for (unsigned i = 0; i < CHANNELS; i++) {
		assert_false(source[i].failed);
		assert_int_equal(source[i].damaged, 0);
		source_close(&source[i]);
		sample_end(&sample[i]);
	}
	free(shared.stored.data);
	free(shared.plain.data);
}

static void
test_pieces(void **state ATTR_UNUSED)
{
	each_codec(check_pieces);
}

/* A clock that was set back, or an hour ahead, in all channels together: they
 * stay in step, but for the record with which it was. */
static void
test_in_step(void **state ATTR_UNUSED)
{
	static const int64_t times[] = { 1000, 2000, 3000, 500, 1500, 3600000,
	    3601000 };
	struct source source[3] = {0};
	struct queue queue = {0};
	unsigned at[3] = {0}, i;

	for (i = 0; i < 3; i++) {
		source[i].due_ns = source[i].last_ns = RECORDS_NO_TIME;
		source[i].record.time_ns = times[0] + i;
		queue_add(&queue, &source[i]);
	}
	for (unsigned all = 0; queue.sources > 0; all++) {
		i = (unsigned)(queue.source[0] - source);
		for (unsigned j = 0; j < 3; j++)
			assert_true(at[i] <= at[j] + 1);
		if (++at[i] == NITEMS(times)) {
			queue_drop_first(&queue);
			continue;
		}
		source[i].record.time_ns = times[at[i]] + i;
		queue_again(&queue);
	}
	assert_int_equal(at[0] + at[1] + at[2], 3 * NITEMS(times));
	queue_free(&queue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_in_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
