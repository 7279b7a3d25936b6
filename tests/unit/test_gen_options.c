/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-gen's command line: what it refuses and says, and what it takes.
 */
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "tools/gen/gen.h"

#define WORDS_MAX	32

/* Splits `line' at blanks; true when it was accepted. */
static bool
parse(const char *line, struct gen_options *options,
    char error[static OPTIONS_ERROR_SIZE])
{
	static char copy[256];
	char *argv[WORDS_MAX + 1] = { NULL };
	char *word, *rest = NULL;
	int argc = 0;

	snprintf(copy, sizeof(copy), "mcrelay-gen %s", line);
	for (word = strtok_r(copy, " ", &rest);
	    word != NULL && argc < WORDS_MAX;
	    word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	assert_null(word);
	return gen_parse(argc, argv, options, error);
}

static const struct {
	const char	*line;
	const char	*error;
} bad_lines[] = {
	{ "", "source or sink?" },
	{ "tap 127.0.0.1:1", "tap: neither source nor sink" },
	{ "source", "ADDRESS:PORT is missing" },
	{ "sink -n 5", "ADDRESS:PORT is missing" },
	{ "source 127.0.0.1:1 -n 5",
	    "-n: one ADDRESS:PORT is enough, and options come before it" },
	{ "sink -x 127.0.0.1:1", "-x is not an option" },
	{ "sink -r 5 127.0.0.1:1", "-r is not an option" },
	{ "source -a 127.0.0.1:1", "-a is not an option" },
	{ "source -n", "-n needs an argument" },
	{ "source -n 0 127.0.0.1:1",
	    "-n 0: too small (1 to 9223372036854775807)" },
	{ "source -n many 127.0.0.1:1",
	    "-n many: invalid (1 to 9223372036854775807)" },
	{ "source -b 39 127.0.0.1:1", "-b 39: too small (40 to 65507)" },
	{ "source -b 65508 127.0.0.1:1",
	    "-b 65508: too large (40 to 65507)" },
	{ "source -B 1025 127.0.0.1:1", "-B 1025: too large (1 to 1024)" },
	{ "source -r -1 127.0.0.1:1",
	    "-r -1: too small (0 to 1000000000)" },
	{ "source -T 256 127.0.0.1:1", "-T 256: too large (0 to 255)" },
	{ "source -i nosuch0 127.0.0.1:1",
	    "-i nosuch0: no such interface" },
	{ "source -t fast 127.0.0.1:1",
	    "-t fast: not a time (such as 10s or 500ms)" },
	{ "source -t 5d 127.0.0.1:1",
	    "-t 5d: not a time (such as 10s or 500ms)" },
	{ "source -t -5s 127.0.0.1:1", "-t -5s: out of range" },
	{ "sink -I 0 127.0.0.1:1", "-I 0: out of range" },
	{ "sink -t nan 127.0.0.1:1", "-t nan: out of range" },
	{ "sink -t 1e300h 127.0.0.1:1", "-t 1e300h: out of range" },
	{ "source 127.0.0.1:0", "port 0: a source needs a port to send to" },
	{ "source -D 2 127.0.0.1:1", "-D needs a schema (-S)" },
	{ "source -w x=sine 127.0.0.1:1", "-w needs a schema (-S)" },
	{ "source -S s.avsc -b 100 127.0.0.1:1",
	    "-b is for numbered datagrams, not for those of a schema" },
	{ "sink -s here 239.1.1.1:1", "-s here: not an IP address" },
	{ "sink -s 10.0.0.1 10.0.0.2:1",
	    "-s needs a multicast group to join" },
	{ "sink -s ::1 239.1.1.1:1",
	    "-s: source and group are of different families" },
	{ "sink 127.0.0.1",
	    "127.0.0.1: not ADDRESS:PORT (IPv6 in brackets)" },
	{ "sink localhost:1",
	    "localhost:1: not ADDRESS:PORT (IPv6 in brackets)" },
	{ "sink ::1:1", "::1:1: not ADDRESS:PORT (IPv6 in brackets)" },
	{ "sink [::1:1", "[::1:1: not ADDRESS:PORT (IPv6 in brackets)" },
	{ "sink []:1", "[]:1: not ADDRESS:PORT (IPv6 in brackets)" },
	{ "sink :1", ":1: not ADDRESS:PORT (IPv6 in brackets)" },
	{ "sink 1.2.3.4:65536",
	    "1.2.3.4:65536: not ADDRESS:PORT (IPv6 in brackets)" },
	{ "sink 1.2.3.4:-1",
	    "1.2.3.4:-1: not ADDRESS:PORT (IPv6 in brackets)" },
	{ "sink 1.2.3.4:1x",
	    "1.2.3.4:1x: not ADDRESS:PORT (IPv6 in brackets)" },
};

static void
test_options_bad(void **state ATTR_UNUSED)
{
	struct gen_options options;
	char error[OPTIONS_ERROR_SIZE];

	for (size_t i = 0; i < NITEMS(bad_lines); i++) {
		error[0] = '\0';
		assert_false(parse(bad_lines[i].line, &options, error));
		assert_string_equal(error, bad_lines[i].error);
		gen_options_free(&options);
	}
}

static void
test_options_source(void **state ATTR_UNUSED)
{
	struct gen_options options;
	char error[OPTIONS_ERROR_SIZE];

	assert_true(parse("source 127.0.0.1:1", &options, error));
	assert_int_equal(options.command, GEN_SOURCE);
	assert_int_equal(options.endpoint.ttl, -1);
	assert_int_equal(options.endpoint.interface, 0);
	gen_options_free(&options);

	assert_true(parse("source -cjq -B 8 -b 64 -i lo -n 7 -r 0 -T 3 "
	    "-t 1.5s [ff15::1]:65535", &options, error));
	assert_true(options.coalesce && options.json && options.quiet);
	assert_int_equal(options.batch, 8);
	assert_int_equal(options.bytes, 64);
	assert_int_equal(options.endpoint.interface, if_nametoindex("lo"));
	assert_int_equal(options.count, 7);
	assert_int_equal(options.rate, 0);
	assert_int_equal(options.endpoint.ttl, 3);
	assert_int_equal(options.time_ns, 1500 * NS_PER_MS);
	assert_int_equal(options.endpoint.address.ss_family, AF_INET6);
	gen_options_free(&options);

	assert_true(parse("source -S s.avsc -D 4 -w a=sine -w b=ramp:5 "
	    "1.2.3.4:1", &options, error));
	assert_string_equal(options.schema, "s.avsc");
	assert_int_equal(options.datums, 4);
	assert_int_equal(options.waves, 2);
	assert_string_equal(options.wave[1], "b=ramp:5");
	gen_options_free(&options);
}

static void
test_options_sink(void **state ATTR_UNUSED)
{
	struct gen_options options;
	char error[OPTIONS_ERROR_SIZE];

	assert_true(parse("sink -a -I 200ms -s 10.0.0.1 -t 2m -w dump "
	    "232.1.1.1:0", &options, error));
	assert_int_equal(options.command, GEN_SINK);
	assert_true(options.anything);
	assert_int_equal(options.idle_ns, 200 * NS_PER_MS);
	assert_int_equal(options.time_ns, 120 * NS_PER_S);
	assert_int_equal(options.endpoint.from.ss_family, AF_INET);
	assert_string_equal(options.dump, "dump");
	gen_options_free(&options);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_bad),
		cmocka_unit_test(test_options_source),
		cmocka_unit_test(test_options_sink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
