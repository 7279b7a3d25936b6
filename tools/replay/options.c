/* SPDX-License-Identifier: ISC */
/*
 * The command line.  mcrelay-replay.
 */
#include <stdlib.h>
#include <unistd.h>

#include "common/util.h"
#include "tools/replay/replay.h"

#define SPEED_MIN	1e-3
#define SPEED_MAX	1e6

struct parser {
	struct replay_options	*options;
	char			*error;		/* OPTIONS_ERROR_SIZE */
	bool			 speed_given;
};

static bool
parse_speed(struct parser *parser, const char *text)
{
	char *end;
	const double speed = strtod(text, &end);

	if (end == text || *end != '\0')
		return options_fail(parser->error, "-x %s: not a number", text);
	/* NaN is not, either. */
	if (!(speed >= SPEED_MIN && speed <= SPEED_MAX) &&
	    !(speed >= 0 && speed <= 0))
		return options_fail(parser->error, "-x %s: 0, or %g to %g",
		    text, SPEED_MIN, SPEED_MAX);
	parser->options->speed = speed;
	parser->speed_given = true;
	return true;
}

static bool
parse_option(struct parser *parser, int option, const char *argument)
{
	struct replay_options *options = parser->options;
	const struct options_shared shared = {
		.endpoint = &options->to,
		.json = &options->json,
		.quiet = &options->quiet,
	};

	switch (option) {
	case 'e':
	case 's':
		return span_option(&options->span, parser->error, option,
		    argument);
	case 'l':
		options->loop = true;
		return true;
	case 'm':
		return options_time(parser->error, option, argument,
		    &options->pause_ns);
	case 'r':
		return options_number(parser->error, option, argument, 1,
		    OPTIONS_RATE_MAX, &options->rate);
	case 'x':
		return parse_speed(parser, argument);
	default:
		return options_shared(parser->error, option, argument,
		    &shared);
	}
}

/* What is left: files, then the destination. */
static bool
parse_rest(struct parser *parser, int argc, char **argv)
{
	struct replay_options *options = parser->options;

	if (argc < 2)
		return options_fail(parser->error, "FILE... and ADDRESS:PORT "
		    "are needed");
	options->file = argv;
	options->files = (size_t)argc - 1;
	if (!options_address(parser->error, argv[argc - 1],
	    &options->to.address))
		return false;
	if (endpoint_port(&options->to.address) == 0)
		return options_fail(parser->error, "port 0: nothing can be "
		    "sent there");
	if (options->rate != 0 && parser->speed_given)
		return options_fail(parser->error, "-r and -x: one of them "
		    "sets the pace");
	if (options->rate != 0 && options->pause_ns != UINT64_MAX)
		return options_fail(parser->error, "-r and -m: at a rate there "
		    "are no pauses");
	return span_check(&options->span, parser->error);
}

bool
replay_parse(int argc, char **argv, struct replay_options *options,
    char error[static OPTIONS_ERROR_SIZE])
{
	struct parser parser = { .options = options, .error = error };
	int option;

	*options = (struct replay_options){
		.to.ttl = -1,
		.speed = 1,
		.pause_ns = UINT64_MAX,
		.span = SPAN_ALL,
	};
	optind = 0;	/* glibc: start anew */
	opterr = 0;
	while ((option = getopt(argc, argv, "+:e:i:jlm:qr:s:T:x:")) != -1)
		if (!parse_option(&parser, option, optarg))
			return false;
	return parse_rest(&parser, argc - optind, argv + optind);
}
