/* SPDX-License-Identifier: ISC */
/*
 * The command line.  mcrelay-replay.
 */
#include <bsd/stdlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/util.h"
#include "common/when.h"
#include "tools/replay/replay.h"

#define RATE_MAX	1000000000LL
#define SPEED_MIN	1e-3
#define SPEED_MAX	1e6

struct parser {
	struct replay_options	*options;
	char			*error;		/* REPLAY_ERROR_SIZE */
	bool			 speed_given;
};

static bool	fail(struct parser *parser, const char *fmt, ...)
		    ATTR_PRINTF(2, 3);

static bool
fail(struct parser *parser, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(parser->error, REPLAY_ERROR_SIZE, fmt, ap);
	va_end(ap);
	return false;
}

static bool
parse_number(struct parser *parser, int option, const char *text,
    long long min, long long max, long long *number)
{
	const char *why;

	*number = strtonum(text, min, max, &why);
	if (why == NULL)
		return true;
	return fail(parser, "-%c %s: %s (%lld to %lld)", option, text, why,
	    min, max);
}

static bool
parse_speed(struct parser *parser, const char *text)
{
	char *end;
	const double speed = strtod(text, &end);

	if (end == text || *end != '\0')
		return fail(parser, "-x %s: not a number", text);
	/* NaN is not, either. */
	if (!(speed >= SPEED_MIN && speed <= SPEED_MAX) &&
	    !(speed >= 0 && speed <= 0))
		return fail(parser, "-x %s: 0, or %g to %g", text, SPEED_MIN,
		    SPEED_MAX);
	parser->options->speed = speed;
	parser->speed_given = true;
	return true;
}

static bool
parse_time(struct parser *parser, int option, const char *text, int64_t *ns)
{
	if (when_parse(text, ns))
		return true;
	return fail(parser, "-%c %s: not a time such as "
	    "2026-11-20T21:30:00Z or 20261120T213000.123456Z", option, text);
}

static bool
parse_option(struct parser *parser, int option, const char *argument)
{
	struct replay_options *options = parser->options;
	long long number = 0;
	bool good = true;

	switch (option) {
	case 'e':
		return parse_time(parser, option, argument,
		    &options->end_ns);
	case 'i':
		if (endpoint_set_interface(&options->to, argument))
			return true;
		return fail(parser, "-i %s: no such interface", argument);
	case 'j':
		options->json = true;
		return true;
	case 'l':
		options->loop = true;
		return true;
	case 'q':
		options->quiet = true;
		return true;
	case 'r':
		good = parse_number(parser, option, argument, 1, RATE_MAX,
		    &number);
		options->rate = (uint64_t)number;
		return good;
	case 's':
		return parse_time(parser, option, argument,
		    &options->start_ns);
	case 'T':
		good = parse_number(parser, option, argument, 0, 255,
		    &number);
		options->to.ttl = (int)number;
		return good;
	case 'x':
		return parse_speed(parser, argument);
	case ':':
		return fail(parser, "-%c needs an argument", optopt);
	default:
		return fail(parser, "-%c is not an option", optopt);
	}
}

/* What is left: files, then the destination. */
static bool
parse_rest(struct parser *parser, int argc, char **argv)
{
	struct replay_options *options = parser->options;

	if (argc < 2)
		return fail(parser, "FILE... and ADDRESS:PORT are needed");
	options->file = argv;
	options->files = (size_t)argc - 1;
	if (!endpoint_parse(argv[argc - 1], &options->to.address))
		return fail(parser, "%s: not ADDRESS:PORT (IPv6 in "
		    "brackets)", argv[argc - 1]);
	if (endpoint_port(&options->to.address) == 0)
		return fail(parser, "port 0: nothing can be sent there");
	if (options->rate != 0 && parser->speed_given)
		return fail(parser, "-r and -x: one of them sets the pace");
	if (options->start_ns >= options->end_ns)
		return fail(parser, "the end is not after the start");
	return true;
}

bool
replay_parse(int argc, char **argv, struct replay_options *options,
    char error[static REPLAY_ERROR_SIZE])
{
	struct parser parser = { .options = options, .error = error };
	int option;

	*options = (struct replay_options){
		.to.ttl = -1,
		.speed = 1,
		.start_ns = INT64_MIN,
		.end_ns = INT64_MAX,
	};
	optind = 0;	/* glibc: start anew */
	opterr = 0;
	while ((option = getopt(argc, argv, "+:e:i:jlqr:s:T:x:")) != -1)
		if (!parse_option(&parser, option, optarg))
			return false;
	return parse_rest(&parser, argc - optind, argv + optind);
}
