/* SPDX-License-Identifier: ISC */
/*
 * The command line.  mcrelay-gen.  Looks at nothing but its arguments and the
 * names of interfaces; what is in files is checked by those who read them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/udp.h"
#include "common/util.h"
#include "tools/common/endpoint.h"
#include "tools/gen/gen.h"
#include "tools/gen/numbered.h"

#define BYTES_DEFAULT	1000
#define RATE_DEFAULT	1000

struct parser {
	struct gen_options	*options;
	char			*error;		/* OPTIONS_ERROR_SIZE */
	bool			 bytes_given;
	bool			 datums_given;
};

static bool
parse_common(struct parser *parser, int option, const char *argument)
{
	struct gen_options *options = parser->options;
	const struct options_shared shared = {
		.endpoint = &options->endpoint,
		.json = &options->json,
		.quiet = &options->quiet,
	};

	switch (option) {
	case 'n':
		return options_number(parser->error, option, argument, 1,
		    INT64_MAX, &options->count);
	case 't':
		return options_time(parser->error, option, argument,
		    &options->time_ns);
	default:
		return options_shared(parser->error, option, argument,
		    &shared);
	}
}

static void
add_wave(struct gen_options *options, const char *argument)
{
	options->wave = xgrow(options->wave, options->waves,
	    sizeof(*options->wave));
	options->wave[options->waves++] = argument;
}

static bool
parse_source(struct parser *parser, int option, const char *argument)
{
	struct gen_options *options = parser->options;
	uint64_t number = 0;
	bool good = true;

	switch (option) {
	case 'B':
		good = options_number(parser->error, option, argument, 1,
		    BATCH_MAX, &number);
		options->batch = (unsigned)number;
		return good;
	case 'b':
		good = options_number(parser->error, option, argument,
		    NUMBERED_SIZE_MIN, DATAGRAM_MAX, &number);
		options->bytes = (size_t)number;
		parser->bytes_given = true;
		return good;
	case 'c':
		options->coalesce = true;
		return true;
	case 'D':
		good = options_number(parser->error, option, argument, 1,
		    DATAGRAM_MAX, &number);
		options->datums = (unsigned)number;
		parser->datums_given = true;
		return good;
	case 'r':
		return options_number(parser->error, option, argument, 0,
		    OPTIONS_RATE_MAX, &options->rate);
	case 'S':
		options->schema = argument;
		return true;
	case 'w':
		add_wave(options, argument);
		return true;
	default:
		return parse_common(parser, option, argument);
	}
}

static bool
parse_sink(struct parser *parser, int option, const char *argument)
{
	struct gen_options *options = parser->options;

	switch (option) {
	case 'a':
		options->anything = true;
		return true;
	case 'I':
		return options_time(parser->error, option, argument,
		    &options->idle_ns);
	case 's':
		if (endpoint_parse_host(argument, &options->endpoint.from))
			return true;
		return options_fail(parser->error, "-s %s: not an IP address",
		    argument);
	case 'w':
		options->dump = argument;
		return true;
	default:
		return parse_common(parser, option, argument);
	}
}

/* What the options say together. */
static bool
check(struct parser *parser)
{
	const struct gen_options *options = parser->options;
	const struct endpoint *at = &options->endpoint;

	if (options->command == GEN_SOURCE) {
		if (endpoint_port(&at->address) == 0)
			return options_fail(parser->error, "port 0: a source "
			    "needs a port to send to");
		if (options->schema != NULL && parser->bytes_given)
			return options_fail(parser->error, "-b is for numbered "
			    "datagrams, not for those of a schema");
		if (options->schema == NULL && parser->datums_given)
			return options_fail(parser->error, "-D needs a schema "
			    "(-S)");
		if (options->schema == NULL && options->waves > 0)
			return options_fail(parser->error, "-w needs a schema "
			    "(-S)");
		return true;
	}
	if (at->from.ss_family == AF_UNSPEC)
		return true;
	if (!udp_is_group(&at->address))
		return options_fail(parser->error, "-s needs a multicast group "
		    "to join");
	if (at->from.ss_family != at->address.ss_family)
		return options_fail(parser->error, "-s: source and group are "
		    "of different families");
	return true;
}

static bool
parse_options(struct parser *parser, int argc, char **argv)
{
	const bool source = parser->options->command == GEN_SOURCE;
	const char *letters = source ? "+:B:b:cD:i:jn:qr:S:T:t:w:" :
	    "+:aI:i:jn:qs:t:w:";
	int option;

	optind = 0;	/* glibc: start anew */
	opterr = 0;
	while ((option = getopt(argc, argv, letters)) != -1)
		if (source ? !parse_source(parser, option, optarg) :
		    !parse_sink(parser, option, optarg))
			return false;
	if (optind == argc)
		return options_fail(parser->error, "ADDRESS:PORT is missing");
	if (optind + 1 < argc)
		return options_fail(parser->error, "%s: one ADDRESS:PORT is "
		    "enough, and options come before it", argv[optind + 1]);
	return options_address(parser->error, argv[optind],
	    &parser->options->endpoint.address) && check(parser);
}

bool
gen_parse(int argc, char **argv, struct gen_options *options,
    char error[static OPTIONS_ERROR_SIZE])
{
	struct parser parser = { .options = options, .error = error };

	*options = (struct gen_options){
		.bytes = BYTES_DEFAULT,
		.rate = RATE_DEFAULT,
		.endpoint.ttl = -1,
		.datums = 1,
	};
	if (argc < 2)
		return options_fail(error, "source or sink?");
	if (strcmp(argv[1], "source") == 0)
		options->command = GEN_SOURCE;
	else if (strcmp(argv[1], "sink") == 0)
		options->command = GEN_SINK;
	else
		return options_fail(error, "%s: neither source nor sink",
		    argv[1]);
	return parse_options(&parser, argc - 1, argv + 1);
}

void
gen_options_free(struct gen_options *options)
{
	free(options->wave);
	options->wave = NULL;
}
