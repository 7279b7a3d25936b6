/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-gen as its users see it: source and sink, each in a process of its
 * own, over loopback.  All waits are for output or for the end of a process.
 */
#include <endian.h>
#include <jansson.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/gen_process.h"
#include "tools/gen/gen.h"
#include "tools/gen/numbered.h"

/*
 * A source and a sink with these options; everything must arrive.  Few
 * enough that a receive buffer of the system's default size holds them all.
 */
static void
check_pair(const char *sink_options, const char *source_options,
    const char *address, int64_t count)
{
	struct run sink = run_start("sink -j -n %lld -t 20s %s %s:0",
	    (long long)count, sink_options, address);
	struct run source = run_start("source -j -n %lld %s %s:%u",
	    (long long)count, source_options, address, run_port(&sink));
	json_t *sent = run_finish(&source, GEN_GOOD);
	json_t *received = run_finish(&sink, GEN_GOOD);

	assert_int_equal(run_number(sent, "sent"), count);
	assert_int_equal(run_number(received, "received"), count);
	assert_int_equal(run_number(received, "bytes"),
	    run_number(sent, "bytes"));
	assert_int_equal(run_number(received, "missing"), 0);
	json_decref(sent);
	json_decref(received);
}

static void
test_numbered(void **state ATTR_UNUSED)
{
	check_pair("", "-r 2000", "127.0.0.1", 100);
	check_pair("", "-r 0 -b 40 -B 7", "127.0.0.1", 201);
	check_pair("", "-r 100 -b 65507", "127.0.0.1", 3);
}

/* The kernel may have it and no address, where it is switched off. */
static bool
have_ipv6(void)
{
	const struct sockaddr_in6 own = {.sin6_family = AF_INET6,
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool have = fd != -1 && bind(fd, (const struct sockaddr *)&own,
	    sizeof(own)) == 0;

	if (fd != -1)
		(void)close(fd);
	return have;
}

static void
test_ipv6(void **state ATTR_UNUSED)
{
	if (!have_ipv6()) {
		print_message("IPv6 is switched off: there is no ::1\n");
		skip();
	}
	check_pair("", "-r 2000", "[::1]", 100);
}

static void
test_multicast(void **state ATTR_UNUSED)
{
	check_pair("-i lo", "-i lo -T 0 -r 2000", "239.192.211.7", 100);
}

/* Two full messages and a rest; sizes that do and do not divide. */
static void
test_coalesced(void **state ATTR_UNUSED)
{
	check_pair("", "-c -r 0 -b 1400", "127.0.0.1", 100);
	check_pair("", "-c -r 0 -b 40 -B 1000", "127.0.0.1", 1003);
	check_pair("", "-c -r 20000 -b 1472 -B 3", "127.0.0.1", 100);
}

/* The datagrams of another's making are refused by a sink without -a. */
static void
test_corrupt(void **state ATTR_UNUSED)
{
	char schema[] = "/tmp/test_gen_run.XXXXXX";
	const int fd = mkstemp(schema);
	struct run sink, source;
	json_t *report;

	assert_true(fd != -1);
	assert_int_equal(write(fd, "\"double\"", 8), 8);
	close(fd);
	sink = run_start("sink -j -n 50 -t 20s 127.0.0.1:0");
	source = run_start("source -j -n 50 -r 0 -c -S %s 127.0.0.1:%u", schema,
	    run_port(&sink));
	json_decref(run_finish(&source, GEN_GOOD));
	report = run_finish(&sink, GEN_BAD);
	assert_int_equal(run_number(report, "corrupt"), 50);
	json_decref(report);
	unlink(schema);
}

static void
send_number(int fd, uint64_t sequence, int damage)
{
	const struct numbered numbered = {
		.stream = 1,
		.sequence = sequence,
		.sent_ns = clock_realtime_ns(),
		.started_ns = UINT64_MAX,	/* after the sink */
	};
	uint8_t data[200];

	numbered_write(data, sizeof(data), &numbered);
	data[150] ^= (uint8_t)damage;
	assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
}

/* Every kind of trouble, known beforehand. */
static void
test_judgement(void **state ATTR_UNUSED)
{
	static const uint64_t sequence[] = {
		1, 2, 0, 3, 3, 3, 8, 6, 9, 9, 10, 12,
	};	/* 4, 5, 7, 11 never come */
	struct run sink = run_start("sink -j -n 13 -t 20s 127.0.0.1:0");
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)run_port(&sink)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	json_t *report;

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	for (size_t i = 0; i < NITEMS(sequence); i++)
		send_number(fd, sequence[i], 0);
	send_number(fd, 13, 1);
	close(fd);
	report = run_finish(&sink, GEN_BAD);
	assert_int_equal(run_number(report, "received"), 13);
	assert_int_equal(run_number(report, "lost"), 4);
	assert_int_equal(run_number(report, "doubled"), 3);
	assert_int_equal(run_number(report, "reordered"), 2);
	assert_int_equal(run_number(report, "corrupt"), 1);
	assert_int_equal(run_number(report, "kernel_dropped"), 0);
	json_decref(report);
}

/* Doubles of ramps, two to a datagram, in a dump. */
static void
check_dump(const char *name)
{
	struct {
		uint32_t	length;
		double		value[2];
	} __attribute__((__packed__)) record;
	FILE *file = fopen(name, "re");
	int n = 0;

	assert_non_null(file);
	while (fread(&record, sizeof(record), 1, file) == 1) {
		assert_int_equal(be32toh(record.length), 16);
		assert_true(record.value[0] == 2 * (n % 10 / 10.0) - 1);
		assert_true(record.value[1] == 2 * ((n + 1) % 10 / 10.0) - 1);
		n += 2;
	}
	assert_int_equal(n, 200);
	assert_true(feof(file));
	fclose(file);
}

static void
test_dump(void **state ATTR_UNUSED)
{
	char schema[] = "/tmp/test_gen_run.XXXXXX";
	char dump[] = "/tmp/test_gen_run.XXXXXX";
	const int fd = mkstemp(schema), dump_fd = mkstemp(dump);
	char sink_options[64], source_options[96];

	assert_true(fd != -1 && dump_fd != -1);
	assert_int_equal(write(fd, "\"double\"", 8), 8);
	close(fd);
	close(dump_fd);
	snprintf(sink_options, sizeof(sink_options), "-a -w %s", dump);
	snprintf(source_options, sizeof(source_options),
	    "-r 5000 -S %s -D 2 -w =ramp:10", schema);
	check_pair(sink_options, source_options, "127.0.0.1", 100);
	check_dump(dump);
	unlink(schema);
	unlink(dump);
}

/* A dump's datagrams hold one short string each: `n' of them. */
static void
check_strings(const char *name, int n)
{
	FILE *file = fopen(name, "re");
	uint8_t data[128];
	unsigned sizes = 0;
	uint32_t length;

	assert_non_null(file);
	for (; fread(&length, sizeof(length), 1, file) == 1; n--) {
		length = be32toh(length);
		assert_in_range(length, 1, 63);
		assert_int_equal(fread(data, 1, length, file), length);
		/* Avro: twice the length, then the text */
		assert_int_equal(data[0], 2 * (length - 1));
		sizes |= 1U << length % 32;
	}
	assert_int_equal(n, 0);
	assert_true(__builtin_popcount(sizes) >= 5);
	fclose(file);
}

/* Neighbours of different sizes must not be glued together. */
static void
test_coalesced_datums(void **state ATTR_UNUSED)
{
	char schema[] = "/tmp/test_gen_run.XXXXXX";
	char dump[] = "/tmp/test_gen_run.XXXXXX";
	const int fd = mkstemp(schema), dump_fd = mkstemp(dump);
	char sink_options[64], source_options[96];

	assert_true(fd != -1 && dump_fd != -1);
	assert_int_equal(write(fd, "\"string\"", 8), 8);
	close(fd);
	close(dump_fd);
	snprintf(sink_options, sizeof(sink_options), "-a -w %s", dump);
	snprintf(source_options, sizeof(source_options), "-c -r 0 -S %s",
	    schema);
	check_pair(sink_options, source_options, "127.0.0.1", 100);
	check_strings(dump, 100);
	unlink(schema);
	unlink(dump);
}

/* What never came is missing, and no gap in the numbers shows it. */
static void
test_missing(void **state ATTR_UNUSED)
{
	struct run sink = run_start("sink -j -n 51 -I 300ms 127.0.0.1:0");
	struct run source = run_start("source -j -n 50 -r 0 127.0.0.1:%u",
	    run_port(&sink));
	json_t *report;

	json_decref(run_finish(&source, GEN_GOOD));
	report = run_finish(&sink, GEN_BAD);
	assert_int_equal(run_number(report, "received"), 50);
	assert_int_equal(run_number(report, "missing"), 1);
	assert_int_equal(run_number(report, "lost"), 0);
	json_decref(report);
}

/* A sink that comes later does not ask for what was before it. */
static void
test_late_sink(void **state ATTR_UNUSED)
{
	struct run first = run_start("sink -j -n 10 -t 20s 127.0.0.1:0");
	const unsigned port = run_port(&first);
	struct run source = run_start("source -j -r 1000 127.0.0.1:%u", port);
	struct run second;
	json_t *report;

	json_decref(run_finish(&first, GEN_GOOD));
	/* meanwhile nobody listens, and the source goes on */
	second = run_start("sink -j -n 50 -t 20s 127.0.0.1:%u", port);
	report = run_finish(&second, GEN_GOOD);
	assert_int_equal(run_number(report, "lost"), 0);
	assert_true(json_integer_value(json_object_get(json_array_get(
	    json_object_get(report, "streams"), 0), "first")) >= 10);
	json_decref(report);
	kill(source.pid, SIGTERM);
	report = run_finish(&source, GEN_GOOD);
	assert_true(run_number(report, "sent") >= 60);
	json_decref(report);
}

/* INT and TERM end both with a report, also when nothing happens. */
static void
test_signals(void **state ATTR_UNUSED)
{
	struct run sink = run_start("sink -j 127.0.0.1:0");
	struct run first = run_start("sink -j -n 1 -a -t 20s 127.0.0.1:0");
	struct run fast = run_start("source -j -c -r 0 127.0.0.1:%u",
	    run_port(&first));
	struct run counter = run_start("sink -j -n 1 -a -t 20s 127.0.0.1:0");
	struct run slow = run_start("source -j -r 1 127.0.0.1:%u",
	    run_port(&counter));
	char text[4096];
	json_t *report;

	/* it has sent its first, so it waits for its second */
	json_decref(run_finish(&counter, GEN_GOOD));
	kill(slow.pid, SIGINT);
	report = run_finish(&slow, GEN_GOOD);
	assert_true(run_number(report, "sent") >= 1);
	json_decref(report);

	run_port(&sink);
	kill(sink.pid, SIGTERM);
	assert_true(run_finish_text(&sink, text, sizeof(text)) != GEN_FAILED);
	assert_memory_equal(text, "{\"received\": ", 13);
	/* it has begun to send, so it knows of the signal; of what came
	 * after the first the sink's buffer may have been too small */
	assert_true(run_finish_text(&first, text, sizeof(text)) !=
	    GEN_FAILED);
	kill(fast.pid, SIGTERM);
	report = run_finish(&fast, GEN_GOOD);
	assert_true(run_number(report, "sent") > 0);
	json_decref(report);
}

static void
test_time(void **state ATTR_UNUSED)
{
	const uint64_t start_ns = clock_monotonic_ns();
	struct run sink = run_start("sink -j -t 300ms 127.0.0.1:0");
	struct run source = run_start("source -j -r 100 -t 500ms 127.0.0.1:9");
	json_t *report = run_finish(&sink, GEN_BAD);

	assert_int_equal(run_number(report, "received"), 0);
	assert_true(clock_monotonic_ns() - start_ns >= 300 * NS_PER_MS);
	json_decref(report);
	/* no more than is due; fewer on a busy machine are no error */
	report = run_finish(&source, GEN_GOOD);
	assert_in_range(run_number(report, "sent"), 1, 50);
	assert_true(clock_monotonic_ns() - start_ns >= 500 * NS_PER_MS);
	json_decref(report);

	/* the second is due after the end */
	sink = run_start("sink -j 127.0.0.1:0");
	source = run_start("source -j -r 1 -t 100ms 127.0.0.1:%u",
	    run_port(&sink));
	report = run_finish(&source, GEN_GOOD);
	assert_int_equal(run_number(report, "sent"), 1);
	json_decref(report);
	kill(sink.pid, SIGTERM);
	report = run_finish(&sink, GEN_GOOD);
	assert_int_equal(run_number(report, "received"), 1);
	json_decref(report);
}

static void
test_text(void **state ATTR_UNUSED)
{
	struct run sink = run_start("sink -n 5 -t 20s 127.0.0.1:0");
	struct run source = run_start("source -q -n 5 -r 0 127.0.0.1:%u",
	    run_port(&sink));
	char text[4096];

	assert_int_equal(run_finish_text(&source, text, sizeof(text)),
	    GEN_GOOD);
	assert_string_equal(text, "");
	assert_int_equal(run_finish_text(&sink, text, sizeof(text)), GEN_GOOD);
	assert_memory_equal(text, "received 5\nbytes 5000\nlost 0\n", 29);
	assert_non_null(strstr(text, "\nlatency_us p50 "));
}

static void
test_failures(void **state ATTR_UNUSED)
{
	static const char *const lines[] = {
		"", "source", "sink -n 0 127.0.0.1:0",
		"source -S /nonexistent/schema 127.0.0.1:9",
		"sink -w /nonexistent/dump 127.0.0.1:0",
		"sink 192.0.2.77:0",
	};
	struct run run;
	char text[256];

	for (size_t i = 0; i < NITEMS(lines); i++) {
		run = run_start("%s", lines[i]);
		run_wait_line(&run);
		assert_int_equal(run_finish_text(&run, text, sizeof(text)),
		    GEN_FAILED);
		assert_string_equal(text, "");
	}
}

/* A dump that cannot be written is said, and the counts still are. */
static void
test_full_disk(void **state ATTR_UNUSED)
{
	struct run sink = run_start("sink -j -n 1 -w /dev/full 127.0.0.1:0");
	struct run source = run_start("source -j -n 1 127.0.0.1:%u",
	    run_port(&sink));
	json_t *report;

	json_decref(run_finish(&source, GEN_GOOD));
	report = run_finish(&sink, GEN_FAILED);
	assert_int_equal(run_number(report, "received"), 1);
	json_decref(report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbered),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_multicast),
		cmocka_unit_test(test_coalesced),
		cmocka_unit_test(test_corrupt),
		cmocka_unit_test(test_judgement),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_coalesced_datums),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_late_sink),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
