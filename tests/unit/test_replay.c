/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-replay: the pace, the command line, and whole runs into a socket of
 * the test.
 */
#include <sys/socket.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/archive_support.h"
#include "tools/replay/replay.h"

#define NONE	RECORDS_NO_TIME

static void
test_pace_original(void **state ATTR_UNUSED)
{
	struct pace pace;

	pace_begin(&pace, 1, 0, UINT64_MAX);
	assert_true(pace_next(&pace, 5000) == 0);
	assert_true(pace_next(&pace, 5000) == 0);
	assert_true(pace_next(&pace, 7500) == 2500);
	assert_true(pace_next(&pace, NONE) == 2500);
	assert_true(pace_next(&pace, 8000) == 3000);
	/* The clock was set back, then it goes on. */
	assert_true(pace_next(&pace, 1000) == 3000);
	assert_true(pace_next(&pace, 1100) == 3100);
	pace_cut(&pace);
	assert_true(pace_next(&pace, 900000) == 3100);
	assert_true(pace_next(&pace, 900001) == 3101);
}

static void
test_pace_extremes(void **state ATTR_UNUSED)
{
	struct pace pace;

	pace_begin(&pace, 1, 0, UINT64_MAX);
	assert_true(pace_next(&pace, INT64_MIN + 1) == 0);
	assert_true(pace_next(&pace, INT64_MAX) == UINT64_MAX - 1);
	pace_begin(&pace, 0, 0, UINT64_MAX);
	assert_true(pace_next(&pace, 0) == 0);
	assert_true(pace_next(&pace, INT64_MAX) == 0);
}

/* No rounding adds up: a billion records a nanosecond too late is a second. */
static void
test_pace_exact(void **state ATTR_UNUSED)
{
	const uint64_t day = 86400 * NS_PER_S;
	struct pace pace;

	pace_begin(&pace, 2, 0, UINT64_MAX);
	pace_next(&pace, 0);
	for (int64_t i = 1; i <= 1000; i++)
		assert_true(pace_next(&pace, 3 * i) == (uint64_t)(3 * i) / 2);
	assert_true(pace_next(&pace, (int64_t)day) == day / 2);
	pace_begin(&pace, 1, 3, UINT64_MAX);
	for (uint64_t i = 0; i < 1000; i++)
		assert_true(pace_next(&pace, NONE) == i * NS_PER_S / 3);
	pace.count = UINT64_C(3) << 40;
	assert_true(pace_next(&pace, NONE) == (UINT64_C(1) << 40) * NS_PER_S);
}

/* The year 2026 after 1970, as a device without a clock has it. */
static void
test_pace_bounded(void **state ATTR_UNUSED)
{
	const int64_t second = (int64_t)NS_PER_S;
	struct pace pace;

	pace_begin(&pace, 1, 0, 2 * NS_PER_S);
	assert_true(pace_next(&pace, 0) == 0);
	assert_true(pace_next(&pace, 1 * second) == NS_PER_S);
	assert_true(pace_next(&pace, 1767225600 * second) == 3 * NS_PER_S);
	assert_true(pace_next(&pace, 1767225602 * second) == 5 * NS_PER_S);
	/* It is a time that passes here, not there. */
	pace_begin(&pace, 4, 0, 2 * NS_PER_S);
	assert_true(pace_next(&pace, 0) == 0);
	assert_true(pace_next(&pace, 4 * second) == NS_PER_S);
	assert_true(pace_next(&pace, 100 * second) == 3 * NS_PER_S);
	pace_begin(&pace, 0, 0, NS_PER_S);
	assert_true(pace_next(&pace, 5 * second) == 0);
	assert_true(pace_next(&pace, 9 * second) == 0);
}

static bool
parse(const char *line, struct replay_options *options)
{
	static char words[256], *argv[16];
	char error[OPTIONS_ERROR_SIZE], *save, *word;
	int argc = 0;

	if (options->channel != NULL)
		replay_options_free(options);
	snprintf(words, sizeof(words), "mcrelay-replay %s", line);
	for (word = strtok_r(words, " ", &save); word != NULL;
	    word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	return replay_parse(argc, argv, options, error);
}

static void
test_options(void **state ATTR_UNUSED)
{
	static const char *const bad[] = {
		"", "a.avro", "127.0.0.1:5000", "a.avro 127.0.0.1",
		"a.avro 127.0.0.1:0", "a.avro localhost:5000",
		"-x 1x a.avro 127.0.0.1:5000", "-x -1 a.avro 127.0.0.1:5000",
		"-x nan a.avro 127.0.0.1:5000", "-r 0 a.avro 127.0.0.1:5000",
		"-r 5 -x 1 a.avro 127.0.0.1:5000", "-z a.avro 127.0.0.1:5000",
		"-s yesterday a.avro 127.0.0.1:5000",
		"-s seq: a.avro 127.0.0.1:5000",
		"-s seq:-1 a.avro 127.0.0.1:5000",
		"-e seq:99999999999999999999 a.avro 127.0.0.1:5000",
		"-s seq:5 -e seq:5 a.avro 127.0.0.1:5000",
		"-s 2026-11-20 -e 2026-11-20 a.avro 127.0.0.1:5000",
		"-i nonexistent0 a.avro 127.0.0.1:5000",
		"-T 256 a.avro 127.0.0.1:5000", "a.avro 127.0.0.1:5000 -x",
		"-m 0 a.avro 127.0.0.1:5000", "-m 5x a.avro 127.0.0.1:5000",
		"-m 1s -r 5 a.avro 127.0.0.1:5000",
		"a=127.0.0.1:5000 b", "b a=127.0.0.1:5000",
		"=127.0.0.1:5000",
		"a=127.0.0.1", "a=127.0.0.1:0", "a=127.0.0.1:5000 b=[::1]:1",
	};
	struct replay_options options = {0};

	for (size_t i = 0; i < NITEMS(bad); i++)
		if (parse(bad[i], &options))
			fail_msg("%s", bad[i]);
	assert_true(parse("-l -x 2.5 -T 3 -i lo -s 2026-11-20 "
	    "-e 20261120T000000.000001Z a.avro b.avro 239.1.2.3:5000",
	    &options));
	assert_true(options.loop);
	assert_true(options.speed > 2.4 && options.speed < 2.6);
	assert_int_equal(options.to.ttl, 3);
	assert_int_equal(options.channels, 1);
	assert_int_equal(options.channel->operands, 2);
	assert_true(options.span.end_ns - options.span.start_ns == 1000);
	assert_true(options.pause_ns == UINT64_MAX);
	assert_true(parse("-s 2026-11-20 -s seq:3 -e seq:5 a.avro [::1]:5000",
	    &options));
	assert_true(options.span.start_sequence == 3);
	assert_true(options.span.end_sequence == 5);
	assert_true(options.span.start_ns != INT64_MIN);
	assert_true(parse("-m 500ms -x 0 a.avro [::1]:5000", &options));
	assert_true(options.pause_ns == 500 * NS_PER_MS);
	assert_true(parse("dir/a=239.1.2.3:5000 b=c=127.0.0.1:5001",
	    &options));
	assert_true(options.session);
	assert_int_equal(options.channels, 2);
	assert_string_equal(options.channel[0].operand[0], "dir/a");
	assert_string_equal(options.channel[1].operand[0], "b=c");
	assert_int_equal(endpoint_port(&options.channel[1].to), 5001);
	replay_options_free(&options);
}

/*** Whole runs. ***/

struct run {
	struct sample	sample;
	int		socket;
	char		to[32];
	int		status;
	unsigned	received;
	int		first;		/* payload bytes */
	int		last;
	uint64_t	took_ns;
};

static void
setup_run(struct run *run, const char *schema)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(in);

	memset(run, 0, sizeof(*run));
	run->first = run->last = -1;
	run->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(run->socket >= 0);
	assert_int_equal(bind(run->socket, (struct sockaddr *)&in, size), 0);
	assert_int_equal(getsockname(run->socket, (struct sockaddr *)&in,
	    &size), 0);
	snprintf(run->to, sizeof(run->to), "127.0.0.1:%u",
	    ntohs(in.sin_port));
	sample_begin(&run->sample, schema, "null");
}

/* Runs the program with up to four options; everything fits the buffer. */
static void
replay(struct run *run, const char *a, const char *b, const char *c,
    const char *d)
{
	const char *option[] = {a, b, c, d};
	char *argv[9] = {(char *)(uintptr_t)"mcrelay-replay",
	    (char *)(uintptr_t)"-q"};
	const uint64_t before = clock_monotonic_ns();
	uint8_t data[65536];
	ssize_t size;
	int argc = 2;

	for (size_t i = 0; i < NITEMS(option) && option[i] != NULL; i++)
		argv[argc++] = (char *)(uintptr_t)option[i];
	argv[argc++] = run->sample.path;
	argv[argc++] = run->to;
	run->status = replay_main(argc, argv);
	run->took_ns = clock_monotonic_ns() - before;
	while ((size = recv(run->socket, data, sizeof(data), 0)) != -1) {
		run->received++;
		run->last = size > 0 ? data[0] : -1;
		if (run->received == 1)
			run->first = run->last;
	}
}

static void
teardown_run(struct run *run)
{
	close(run->socket);
	sample_end(&run->sample);
}

static void
write_datagrams(struct run *run, unsigned datagrams)
{
	for (unsigned i = 0; i < datagrams; i++)
		sample_datagram(&run->sample, i, 1 + i % 5);
	sample_block(&run->sample);
	sample_write(&run->sample, run->sample.file.data,
	    run->sample.file.size);
}

static void
test_fast(void **state ATTR_UNUSED)
{
	struct run run;

	setup_run(&run, datagram_schema);
	write_datagrams(&run, 60);
	replay(&run, "-x", "0", NULL, NULL);
	assert_int_equal(run.status, REPLAY_GOOD);
	assert_int_equal(run.received, 60);
	assert_int_equal(run.first, payload_byte(0));
	assert_int_equal(run.last, payload_byte(59));
	teardown_run(&run);
}

/* 59 intervals of a millisecond; never sooner, however loaded we are. */
static void
test_timed(void **state ATTR_UNUSED)
{
	struct run run;

	setup_run(&run, datagram_schema);
	write_datagrams(&run, 60);
	replay(&run, NULL, NULL, NULL, NULL);
	assert_int_equal(run.received, 60);
	assert_true(run.took_ns >= 59 * STEP_NS);
	replay(&run, "-x", "4", NULL, NULL);
	assert_int_equal(run.received, 120);
	assert_true(run.took_ns >= 59 * STEP_NS / 4);
	replay(&run, "-r", "2000", NULL, NULL);
	assert_int_equal(run.received, 180);
	assert_true(run.took_ns >= 59 * NS_PER_S / 2000);
	teardown_run(&run);
}

/* Number 10 is included, number 20 is not. */
static void
test_range(void **state ATTR_UNUSED)
{
	char from[UTC_TEXT_SIZE + 8], to[UTC_TEXT_SIZE + 8];
	struct run run;

	setup_run(&run, datagram_schema);
	write_datagrams(&run, 60);
	/* START_NS has nanoseconds, which these texts have not. */
	format_utc(START_NS + 9 * STEP_NS + NS_PER_US, from);
	format_utc(START_NS + 19 * STEP_NS + NS_PER_US, to);
	replay(&run, "-s", from, "-e", to);
	assert_int_equal(run.status, REPLAY_GOOD);
	assert_int_equal(run.received, 10);
	assert_int_equal(run.first, payload_byte(10));
	assert_int_equal(run.last, payload_byte(19));
	/* Nothing there: the loop ends. */
	replay(&run, "-l", "-e", "2001-01-01", NULL);
	assert_int_equal(run.status, REPLAY_GOOD);
	assert_int_equal(run.received, 10);
	teardown_run(&run);
}

static void
test_damaged(void **state ATTR_UNUSED)
{
	struct run run;

	setup_run(&run, datagram_schema);
	write_datagrams(&run, 30);
	sample_write(&run.sample, run.sample.file.data,
	    run.sample.file.size - AVRO_SYNC_SIZE - 2);
	replay(&run, "-x", "0", NULL, NULL);
	assert_int_equal(run.status, REPLAY_PARTLY);
	assert_int_equal(run.received, 29);
	sample_write(&run.sample, run.sample.file.data, 20);
	replay(&run, "-x", "0", NULL, NULL);
	assert_int_equal(run.status, REPLAY_FAILED);
	teardown_run(&run);
}

/* Datums of a schema without a time need to be told a rate. */
static void
test_no_time(void **state ATTR_UNUSED)
{
	struct run run;

	setup_run(&run, "\"string\"");
	sample_record(&run.sample, "\002x", 2);
	sample_record(&run.sample, "\004yz", 3);
	sample_block(&run.sample);
	sample_write(&run.sample, run.sample.file.data,
	    run.sample.file.size);
	replay(&run, NULL, NULL, NULL, NULL);
	assert_int_equal(run.status, REPLAY_FAILED);
	assert_int_equal(run.received, 0);
	replay(&run, "-r", "1000", NULL, NULL);
	assert_int_equal(run.status, REPLAY_GOOD);
	assert_int_equal(run.received, 2);
	assert_int_equal(run.first, 2);
	assert_int_equal(run.last, 4);
	replay(&run, "-r", "1000", "-s", "2026-11-20");
	assert_int_equal(run.status, REPLAY_FAILED);
	teardown_run(&run);
}

/* Payloads that no datagram can carry are left out, and said to be. */
static void
test_too_large(void **state ATTR_UNUSED)
{
	struct run run;

	setup_run(&run, datagram_schema);
	sample_datagram(&run.sample, 0, 65507);
	sample_datagram(&run.sample, 1, 65508);
	sample_datagram(&run.sample, 2, 0);
	sample_block(&run.sample);
	sample_write(&run.sample, run.sample.file.data,
	    run.sample.file.size);
	replay(&run, "-x", "0", NULL, NULL);
	assert_int_equal(run.status, REPLAY_PARTLY);
	assert_int_equal(run.received, 2);
	assert_int_equal(run.first, payload_byte(0));
	assert_int_equal(run.last, -1);
	teardown_run(&run);
}

#define RUNS	100

/* Two channels to one address, recorded by turns, of 3 and 5 bytes; how often
 * one followed the other.  Each is there as a whole, in its order. */
static unsigned
play_two(struct run *run, struct sample *sample, const char *speed)
{
	char pair[2][256], data[16];
	char *argv[] = {(char *)(uintptr_t)"mcrelay-replay",
	    (char *)(uintptr_t)"-qx", (char *)(uintptr_t)speed, pair[0],
	    pair[1], NULL};
	unsigned got[2] = {0}, turns = 0;
	ssize_t size, last = 0;

	for (int i = 0; i < 2; i++)
		snprintf(pair[i], sizeof(pair[i]), "%s=%s", sample[i].path,
		    run->to);
	assert_int_equal(replay_main(5, argv), REPLAY_GOOD);
	while ((size = recv(run->socket, data, sizeof(data), 0)) != -1) {
		assert_true(size == 3 || size == 5);
		assert_int_equal((uint8_t)data[0],
		    payload_byte(2 * got[size == 5]++ + (size == 5)));
		turns += size != last;
		last = size;
	}
	assert_int_equal(got[0], RUNS);
	assert_int_equal(got[1], RUNS);
	return turns;
}

/* By their times; but as fast as possible several of one at a time, neither
 * being held up for long. */
static void
test_runs(void **state ATTR_UNUSED)
{
	struct sample sample[2];
	struct run run;
	unsigned turns;

	setup_run(&run, datagram_schema);
	for (int i = 0; i < 2; i++) {
		sample_begin(&sample[i], datagram_schema, "null");
		for (int n = 0; n < RUNS; n++)
			sample_datagram(&sample[i], 2 * n + i,
			    3 + 2 * (size_t)i);
		sample_block(&sample[i]);
		sample_write(&sample[i], sample[i].file.data,
		    sample[i].file.size);
	}
	assert_int_equal(play_two(&run, sample, "1e6"), 2 * RUNS);
	turns = play_two(&run, sample, "0");
	assert_true(turns >= 2 * RUNS / 40 && turns <= 2 * RUNS / 20);
	sample_end(&sample[0]);
	sample_end(&sample[1]);
	teardown_run(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pace_original),
		cmocka_unit_test(test_pace_extremes),
		cmocka_unit_test(test_pace_exact),
		cmocka_unit_test(test_pace_bounded),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_fast),
		cmocka_unit_test(test_timed),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_no_time),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
