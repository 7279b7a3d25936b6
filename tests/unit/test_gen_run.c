/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-gen as its users see it: source and sink, each in a process of its
 * own, over loopback.  All waits are for output or for the end of a process.
 */
#include <sys/wait.h>
#include <endian.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tools/gen/gen.h"
#include "tools/gen/numbered.h"

#define WORDS_MAX	24
#define DEADLINE_MS	30000

struct run {
	pid_t	pid;
	int	out;		/* its stdout */
	int	err;		/* its stderr */
	char	text[512];	/* of stderr, the beginning */
	size_t	length;
};

static _Noreturn void
child(int out, int err, char **argv, int argc)
{
	int status;

	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	/* an orphan must not outlive a test that failed */
	alarm(DEADLINE_MS / 1000);
	status = gen_main(argc, argv);
	fflush(stdout);
	_exit(status);
}

static struct run	start(const char *fmt, ...) ATTR_PRINTF(1, 2);

/* Starts `mcrelay-gen LINE'. */
static struct run
start(const char *fmt, ...)
{
	struct run run = { 0 };
	char line[512], *argv[WORDS_MAX + 1] = { NULL };
	char *word, *rest = NULL;
	int out[2], err[2], argc = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	argv[argc++] = (char[]){ "mcrelay-gen" };
	for (word = strtok_r(line, " ", &rest);
	    word != NULL && argc < WORDS_MAX;
	    word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	assert_null(word);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(err), 0);
	run.pid = fork();
	assert_true(run.pid != -1);
	if (run.pid == 0)
		child(out[1], err[1], argv, argc);
	close(out[1]);
	close(err[1]);
	run.out = out[0];
	run.err = err[0];
	return run;
}

/* Waits for a whole line on stderr. */
static void
wait_line(struct run *run)
{
	struct pollfd pollfd = { .fd = run->err, .events = POLLIN };
	ssize_t n;

	while (strchr(run->text, '\n') == NULL) {
		assert_int_equal(poll(&pollfd, 1, DEADLINE_MS), 1);
		n = read(run->err, run->text + run->length,
		    sizeof(run->text) - 1 - run->length);
		assert_true(n > 0);
		run->length += (size_t)n;
	}
}

/* The port of a sink that is ready. */
static unsigned
port_of(struct run *run)
{
	const char *start_of = "mcrelay-gen: listening on ";
	const char *colon;
	unsigned port;

	wait_line(run);
	assert_memory_equal(run->text, start_of, strlen(start_of));
	colon = strrchr(run->text, ':');
	assert_int_equal(sscanf(colon, ":%u\n", &port), 1);
	assert_true(port > 0);
	return port;
}

/* Its exit status; stdout is in `text'. */
static int
finish_text(struct run *run, char *text, size_t size)
{
	struct pollfd pollfd = { .fd = run->out, .events = POLLIN };
	size_t length = 0;
	ssize_t n;
	int status;

	do {
		assert_int_equal(poll(&pollfd, 1, DEADLINE_MS), 1);
		n = read(run->out, text + length, size - 1 - length);
		assert_true(n >= 0);
		length += (size_t)n;
	} while (n > 0);
	text[length] = '\0';
	assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
	close(run->out);
	close(run->err);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The same; the report of -j. */
static json_t *
finish(struct run *run, int expected_status)
{
	char text[4096];
	json_t *report;

	assert_int_equal(finish_text(run, text, sizeof(text)),
	    expected_status);
	report = json_loads(text, 0, NULL);
	assert_non_null(report);
	return report;
}

static int64_t
number(const json_t *report, const char *name)
{
	const json_t *value = json_object_get(report, name);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

/*
 * A source and a sink with these options; everything must arrive.  Few
 * enough that a receive buffer of the system's default size holds them all.
 */
static void
check_pair(const char *sink_options, const char *source_options,
    const char *address, int64_t count)
{
	struct run sink = start("sink -j -n %lld -t 20s %s %s:0",
	    (long long)count, sink_options, address);
	struct run source = start("source -j -n %lld %s %s:%u",
	    (long long)count, source_options, address, port_of(&sink));
	json_t *sent = finish(&source, GEN_GOOD);
	json_t *received = finish(&sink, GEN_GOOD);

	assert_int_equal(number(sent, "sent"), count);
	assert_int_equal(number(received, "received"), count);
	assert_int_equal(number(received, "bytes"), number(sent, "bytes"));
	assert_int_equal(number(received, "missing"), 0);
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

static void
test_ipv6(void **state ATTR_UNUSED)
{
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
	sink = start("sink -j -n 50 -t 20s 127.0.0.1:0");
	source = start("source -j -n 50 -r 0 -c -S %s 127.0.0.1:%u", schema,
	    port_of(&sink));
	json_decref(finish(&source, GEN_GOOD));
	report = finish(&sink, GEN_BAD);
	assert_int_equal(number(report, "corrupt"), 50);
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
	struct run sink = start("sink -j -n 13 -t 20s 127.0.0.1:0");
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port_of(&sink)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	json_t *report;

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	for (size_t i = 0; i < NITEMS(sequence); i++)
		send_number(fd, sequence[i], 0);
	send_number(fd, 13, 1);
	close(fd);
	report = finish(&sink, GEN_BAD);
	assert_int_equal(number(report, "received"), 13);
	assert_int_equal(number(report, "lost"), 4);
	assert_int_equal(number(report, "doubled"), 3);
	assert_int_equal(number(report, "reordered"), 2);
	assert_int_equal(number(report, "corrupt"), 1);
	assert_int_equal(number(report, "kernel_dropped"), 0);
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
	struct run sink = start("sink -j -n 51 -I 300ms 127.0.0.1:0");
	struct run source = start("source -j -n 50 -r 0 127.0.0.1:%u",
	    port_of(&sink));
	json_t *report;

	json_decref(finish(&source, GEN_GOOD));
	report = finish(&sink, GEN_BAD);
	assert_int_equal(number(report, "received"), 50);
	assert_int_equal(number(report, "missing"), 1);
	assert_int_equal(number(report, "lost"), 0);
	json_decref(report);
}

/* A sink that comes later does not ask for what was before it. */
static void
test_late_sink(void **state ATTR_UNUSED)
{
	struct run first = start("sink -j -n 10 -t 20s 127.0.0.1:0");
	const unsigned port = port_of(&first);
	struct run source = start("source -j -r 1000 127.0.0.1:%u", port);
	struct run second;
	json_t *report;

	json_decref(finish(&first, GEN_GOOD));
	/* meanwhile nobody listens, and the source goes on */
	second = start("sink -j -n 50 -t 20s 127.0.0.1:%u", port);
	report = finish(&second, GEN_GOOD);
	assert_int_equal(number(report, "lost"), 0);
	assert_true(json_integer_value(json_object_get(json_array_get(
	    json_object_get(report, "streams"), 0), "first")) >= 10);
	json_decref(report);
	kill(source.pid, SIGTERM);
	report = finish(&source, GEN_GOOD);
	assert_true(number(report, "sent") >= 60);
	json_decref(report);
}

/* INT and TERM end both with a report, also when nothing happens. */
static void
test_signals(void **state ATTR_UNUSED)
{
	struct run sink = start("sink -j 127.0.0.1:0");
	struct run first = start("sink -j -n 1 -a -t 20s 127.0.0.1:0");
	struct run fast = start("source -j -c -r 0 127.0.0.1:%u",
	    port_of(&first));
	struct run counter = start("sink -j -n 1 -a -t 20s 127.0.0.1:0");
	struct run slow = start("source -j -r 1 127.0.0.1:%u",
	    port_of(&counter));
	char text[4096];
	json_t *report;

	/* it has sent its first, so it waits for its second */
	json_decref(finish(&counter, GEN_GOOD));
	kill(slow.pid, SIGINT);
	report = finish(&slow, GEN_GOOD);
	assert_true(number(report, "sent") >= 1);
	json_decref(report);

	port_of(&sink);
	kill(sink.pid, SIGTERM);
	assert_true(finish_text(&sink, text, sizeof(text)) != GEN_FAILED);
	assert_memory_equal(text, "{\"received\": ", 13);
	/* it has begun to send, so it knows of the signal */
	json_decref(finish(&first, GEN_GOOD));
	kill(fast.pid, SIGTERM);
	report = finish(&fast, GEN_GOOD);
	assert_true(number(report, "sent") > 0);
	json_decref(report);
}

static void
test_time(void **state ATTR_UNUSED)
{
	const uint64_t start_ns = clock_monotonic_ns();
	struct run sink = start("sink -j -t 300ms 127.0.0.1:0");
	struct run source = start("source -j -r 100 -t 500ms 127.0.0.1:9");
	json_t *report = finish(&sink, GEN_BAD);

	assert_int_equal(number(report, "received"), 0);
	assert_true(clock_monotonic_ns() - start_ns >= 300 * NS_PER_MS);
	json_decref(report);
	/* no more than is due; fewer on a busy machine are no error */
	report = finish(&source, GEN_GOOD);
	assert_in_range(number(report, "sent"), 1, 50);
	assert_true(clock_monotonic_ns() - start_ns >= 500 * NS_PER_MS);
	json_decref(report);

	/* the second is due after the end */
	sink = start("sink -j 127.0.0.1:0");
	source = start("source -j -r 1 -t 100ms 127.0.0.1:%u",
	    port_of(&sink));
	report = finish(&source, GEN_GOOD);
	assert_int_equal(number(report, "sent"), 1);
	json_decref(report);
	kill(sink.pid, SIGTERM);
	report = finish(&sink, GEN_GOOD);
	assert_int_equal(number(report, "received"), 1);
	json_decref(report);
}

static void
test_text(void **state ATTR_UNUSED)
{
	struct run sink = start("sink -n 5 -t 20s 127.0.0.1:0");
	struct run source = start("source -q -n 5 -r 0 127.0.0.1:%u",
	    port_of(&sink));
	char text[4096];

	assert_int_equal(finish_text(&source, text, sizeof(text)), GEN_GOOD);
	assert_string_equal(text, "");
	assert_int_equal(finish_text(&sink, text, sizeof(text)), GEN_GOOD);
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
		run = start("%s", lines[i]);
		wait_line(&run);
		assert_int_equal(finish_text(&run, text, sizeof(text)),
		    GEN_FAILED);
		assert_string_equal(text, "");
	}
}

/* A dump that cannot be written is said, and the counts still are. */
static void
test_full_disk(void **state ATTR_UNUSED)
{
	struct run sink = start("sink -j -n 1 -w /dev/full 127.0.0.1:0");
	struct run source = start("source -j -n 1 127.0.0.1:%u",
	    port_of(&sink));
	json_t *report;

	json_decref(finish(&source, GEN_GOOD));
	report = finish(&sink, GEN_FAILED);
	assert_int_equal(number(report, "received"), 1);
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
