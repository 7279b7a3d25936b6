/* SPDX-License-Identifier: ISC */
/*
 * The command line.  mcrelay-cat.
 */
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tools/cat/cat.h"

#define DEFAULT_CONF	SYSCONFDIR "/mcrelay.yaml"

/* The text is cut up. */
static bool
parse_fields(struct cat_options *options, char *error, char *text)
{
	char *field;

	while ((field = strsep(&text, ",")) != NULL) {
		if (field[0] == '\0')
			return options_fail(error, "-F: a field without a "
			    "name");
		options->field = xgrow(options->field, options->fields,
		    sizeof(*options->field));
		options->field[options->fields++] = field;
	}
	return true;
}

static bool
parse_option(struct cat_options *options, char *error, int option)
{
	switch (option) {
	case 'c':
		options->conf = optarg;
		return true;
	case 'e':
	case 's':
		return span_option(&options->span, error, option, optarg);
	case 'F':
		return parse_fields(options, error, optarg);
	case 'f':
		options->follow = true;
		return true;
	case 'i':
		return endpoint_set_interface(&options->from, optarg) ||
		    options_fail(error, "-i %s: no such interface", optarg);
	case READING_OPTION:
		return reading_parse(error, optarg, &options->io);
	case 'l':
		options->live = true;
		return options_address(error, optarg,
		    &options->from.address);
	case 'n':
		return options_number(error, option, optarg, 0, INT64_MAX,
		    &options->count);
	case 'o':
		options->form = form_find(optarg);
		return options->form != NULL || options_fail(error,
		    "-o %s: not json, csv, pcapng, hex, raw or avro", optarg);
	case 'S':
		options->schema = optarg;
		return true;
	case 't':
		options->style.iso = true;
		return true;
	case 'x':
		options->style.hex = true;
		return true;
	default:
		return options_unknown(error, option);
	}
}

/* What does not go together. */
static bool
check(const struct cat_options *options, char *error)
{
	if (options->live && (options->operands != 0 || options->follow))
		return options_fail(error, "-l shows what comes, and no "
		    "file");
	if (!options->live && (options->schema != NULL ||
	    options->from.interface != 0))
		return options_fail(error, "-i and -S go with -l");
	if (options->operands == 0 && !options->live)
		return options_fail(error, "which file, directory, channel or "
		    "stream?");
	if (options->fields != 0 && !options->form->fields)
		return options_fail(error, "-F is for json and csv");
	if (options->follow && options->operands != 1)
		return options_fail(error, "-f follows one file, directory, "
		    "channel or stream");
	return span_check(&options->span, error);
}

bool
cat_parse(int argc, char **argv, struct cat_options *options,
    char error[static OPTIONS_ERROR_SIZE])
{
	int option;

	*options = (struct cat_options){
		.form = &form_json,
		.span = SPAN_ALL,
		.count = UINT64_MAX,
		.conf = DEFAULT_CONF,
		.io = &reading_pread,
		.from.ttl = -1,
	};
	optind = 0;	/* glibc: start anew */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":c:e:F:fi:l:n:o:S:s:tx",
	    reading_option, NULL)) != -1)
		if (!parse_option(options, error, option))
			return false;
	options->operand = argv + optind;
	options->operands = (size_t)(argc - optind);
	return check(options, error);
}
