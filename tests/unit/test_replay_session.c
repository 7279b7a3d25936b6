/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-replay: many channels at once, read in pieces, in the order of
 * their times.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/hash.h"
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
		assert_ptr_equal(queue.place[0].source, &source[i]);
		assert_int_equal(source[i].record.sequence, all);
		assert_int_equal(source[i].size, session_size(i, n));
		for (size_t at = 0; at < source[i].size; at++)
			assert_int_equal(source[i].data[at],
			    payload_byte(all));
		assert_true(source[i].kept.room <= MAX_OF(shared->piece,
		    (size_t)2 * 65536) + (source[i].pieces.state == NULL ?
		    source[i].held : 0));
		if (source_next(&source[i]))
			queue_again(&queue);
		else
			queue_drop_first(&queue);
	}
	assert_int_equal(all, CHANNELS * RECORDS);
	queue_free(&queue);
}

/* Of blocks of hundreds of KiB there is in memory what a record takes; of a
 * codec without pieces the block. */
static void
check_shared(const struct source_shared *shared, const char *codec,
    size_t held)
{
	assert_int_equal(shared->held, held);
	if (strcmp(codec, "snappy") == 0)
		return;
	assert_true(shared->stored.room <= (size_t)16 << 10);
	assert_true(shared->plain.room <= (size_t)128 << 10);
}

/* Five channels with one set of buffers, in pieces that are much smaller than
 * their blocks: every byte, in the order of the times; and once more.  `held'
 * is what decompressors of others have. */
static void
check_pieces_by(const char *codec, const struct reading_ops *ops, size_t held)
{
	const struct replay_options options = { .speed = 1,
	    .span = SPAN_ALL };
	struct progress progress = {0};
	struct source_shared shared = { .options = &options,
	    .progress = &progress, .piece = 4096, .held = held };
	struct replay_channel channel[CHANNELS] = {0};
	struct source source[CHANNELS];
	struct sample sample[CHANNELS];

	reading_begin(&shared.reading, ops, 16384);
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
	check_shared(&shared, codec, held);
	reading_end(&shared.reading);
	free(shared.stored.data);
	free(shared.plain.data);
}

static void
check_pieces(const char *codec)
{
	check_pieces_by(codec, &reading_pread, 0);
	check_pieces_by(codec, &reading_mmap, 0);
	check_pieces_by(codec, &reading_uring, 0);
	/* Beyond what all may have. */
	check_pieces_by(codec, &reading_pread, (size_t)1 << 30);
}

static void
test_pieces(void **state ATTR_UNUSED)
{
	each_codec(check_pieces);
}

/* What is sent of a file: a hash of the payloads. */
static uint64_t
sent_of(const char *path, const struct reading_ops *ops, bool *damaged)
{
	const struct replay_options options = { .speed = 1,
	    .span = SPAN_ALL };
	struct progress progress = {0};
	struct source_shared shared = { .options = &options,
	    .progress = &progress, .piece = 512 };
	char *operand = xstrdup(path);
	struct replay_channel channel = { .operand = &operand,
	    .operands = 1 };
	struct source source;
	uint64_t hash = 0;

	reading_begin(&shared.reading, ops, 16384);
	source_open(&source, &shared, &channel);
	while (source_next(&source))
		hash = hash_bytes64(hash, source.data, source.size) +
		    (uint64_t)source.record.sequence;
	*damaged = source.damaged != 0 || source.failed;
	source_close(&source);
	reading_end(&shared.reading);
	free(shared.stored.data);
	free(shared.plain.data);
	free(operand);
	return hash;
}

/* What mcrelay-cat and mcrelay-verify find in it. */
static uint64_t
found_in(const char *path, bool *damaged)
{
	struct reader_block block;
	struct record record;
	struct reader reader;
	const char *why;
	uint64_t hash = 0;
	size_t at;

	*damaged = reader_open(&reader, path, &why) != READER_OK;
	if (*damaged)
		return 0;
	*damaged = reader.records.program == NULL;
	while (reader.records.program != NULL &&
	    reader_next(&reader, &block, &why) == READER_OK) {
		*damaged = *damaged || block.damage != NULL;
		for (at = 0; at < block.good_size; at += record.size) {
			assert_null(records_read(&reader.records, block.data +
			    at, block.good_size - at, &record));
			hash = hash_bytes64(hash, record.payload,
			    record.payload_size) + (uint64_t)record.sequence;
		}
	}
	reader_close(&reader);
	return hash;
}

/* Whatever way it is read, the same records go out as mcrelay-cat shows, which
 * looks at blocks as a whole. */
static void
check_sent(const struct sample *sample)
{
	static const struct reading_ops *const all[] = {
		&reading_pread, &reading_mmap, &reading_uring,
	};
	bool damaged, as_well;
	const uint64_t expected = found_in(sample->path, &damaged);

	for (size_t i = 0; i < NITEMS(all); i++) {
		assert_true(sent_of(sample->path, all[i], &as_well) ==
		    expected);
		assert_int_equal(as_well, damaged);
	}
}

/* Where a byte is wrong, or all from there on is missing: in a file that is
 * sent while it comes, and in one that is uncompressed in pieces. */
static void
check_damage(const char *codec)
{
	struct sample sample;

	sample_datagrams(&sample, codec, 4, 30);
	for (size_t at = sample.header_size; at < sample.file.size;
	    at += strcmp(codec, "null") == 0 ? 7 : 3) {
		sample.file.data[at] ^= 0x41;
		sample_write(&sample, sample.file.data, sample.file.size);
		check_sent(&sample);
		sample.file.data[at] ^= 0x41;
		if (at % 8 == 0) {
			sample_write(&sample, sample.file.data, at);
			check_sent(&sample);
		}
	}
	sample_end(&sample);
}

static void
test_damage(void **state ATTR_UNUSED)
{
	each_codec(check_damage);
}

/* Files of one size that begin together do not have their reads come together:
 * of each another number of bytes comes first. */
static void
test_apart(void **state ATTR_UNUSED)
{
	struct reading_file file[4];
	struct buffer room = {0};
	struct reading reading;
	struct sample sample;
	size_t got[4];
	int fd;

	sample_datagrams(&sample, "null", 4, 1000);
	sample_write(&sample, sample.file.data, sample.file.size);
	fd = open(sample.path, O_RDONLY);
	reading_begin(&reading, &reading_uring, (size_t)64 << 10);
	for (size_t i = 0; i < NITEMS(file); i++) {
		reading_open(&file[i], &reading, fd, sample.file.size);
		assert_non_null(reading_view(&file[i], 0, 1,
		    sample.file.size, &room, &got[i]));
		for (size_t j = 0; j < i && reading.ops == &reading_uring;
		    j++)
			assert_int_not_equal(got[i], got[j]);
	}
	for (size_t i = 0; i < NITEMS(file); i++)
		reading_close(&file[i]);
	reading_end(&reading);
	free(room.data);
	close(fd);
	sample_end(&sample);
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
		i = (unsigned)(queue.place[0].source - source);
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
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_in_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
