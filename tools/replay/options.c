/* SPDX-License-Identifier: ISC */
/*
 * The command line.  mcrelay-replay.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
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
	case READING_OPTION:
		return reading_parse(parser->error, argument, &options->io);
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

/* An address that something can be sent to. */
static bool
parse_address(struct parser *parser, const char *text,
    struct sockaddr_storage *address)
{
	if (!options_address(parser->error, text, address))
		return false;
	return endpoint_port(address) != 0 || options_fail(parser->error,
	    "port 0: nothing can be sent there");
}

/* Files, then the destination. */
static bool
parse_one(struct parser *parser, int argc, char **argv)
{
	struct replay_options *options = parser->options;

	options->channel = xcalloc(1, sizeof(*options->channel));
	options->channels = 1;
	options->channel->operand = argv;
	options->channel->operands = (size_t)argc - 1;
	return parse_address(parser, argv[argc - 1],
	    &options->channel->to);
}

/* PATH=ADDRESS:PORT. */
static bool
parse_pair(struct parser *parser, const char *text,
    struct replay_channel *channel)
{
	const char *equals = strrchr(text, '=');

	if (equals == NULL || equals == text)
		return options_fail(parser->error, "%s: not PATH=ADDRESS:PORT, "
		    "as the last one is", text);
	channel->path = xasprintf("%.*s", (int)(equals - text), text);
	channel->operand = &channel->path;
	channel->operands = 1;
	if (!parse_address(parser, equals + 1, &channel->to))
		return false;
	/* One socket, so that what is due goes to the kernel at once. */
	return channel->to.ss_family ==
	    parser->options->channel->to.ss_family ||
	    options_fail(parser->error, "%s: all addresses have to be of one "
	    "family, IPv4 or IPv6", text);
}

static bool
parse_session(struct parser *parser, int argc, char **argv)
{
	struct replay_options *options = parser->options;

	options->session = true;
	options->channels = (size_t)argc;
	options->channel = xcalloc(options->channels,
	    sizeof(*options->channel));
	for (int i = 0; i < argc; i++)
		if (!parse_pair(parser, argv[i], &options->channel[i]))
			return false;
	return true;
}

static bool
parse_rest(struct parser *parser, int argc, char **argv)
{
	struct replay_options *options = parser->options;
	bool good;

	if (argc > 0 && strchr(argv[argc - 1], '=') != NULL)
		good = parse_session(parser, argc, argv);
	else if (argc < 2)
		good = options_fail(parser->error, "FILE... and ADDRESS:PORT, "
		    "or PATH=ADDRESS:PORT, are needed");
	else
		good = parse_one(parser, argc, argv);
	if (!good)
		return false;
	options->to.address = options->channel->to;
	if (options->rate != 0 && parser->speed_given)
		return options_fail(parser->error, "-r and -x: one of them "
		    "sets the pace");
	if (options->rate != 0 && options->pause_ns != UINT64_MAX)
		return options_fail(parser->error, "-r and -m: at a rate there "
		    "are no pauses");
	return span_check(&options->span, parser->error);
}

void
replay_options_free(struct replay_options *options)
{
	for (size_t i = 0; i < options->channels; i++)
		free(options->channel[i].path);
	free(options->channel);
	options->channel = NULL;
	options->channels = 0;
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
		.io = &reading_uring,
	};
	optind = 0;	/* glibc: start anew */
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:e:i:jlm:qr:s:T:x:",
	    reading_option, NULL)) != -1)
		if (!parse_option(&parser, option, optarg))
			return false;
	return parse_rest(&parser, argc - optind, argv + optind);
}
