/* SPDX-License-Identifier: ISC */
/*
 * The program around the two commands: options and the report.  mcrelay-gen.
 */
#include <stdio.h>

#include "common/log.h"
#include "tools/common/output.h"
#include "tools/common/stop.h"
#include "tools/gen/gen.h"

static const char usage[] =
    "usage: mcrelay-gen source [-cjq] [-B batch] [-b bytes] [-D datums]\n"
    "           [-i interface] [-n count] [-r rate] [-S schema] [-T ttl]\n"
    "           [-t time] [-w field=signal[:period[:amplitude]]]\n"
    "           address:port\n"
    "       mcrelay-gen sink [-ajq] [-I idle] [-i interface] [-n count]\n"
    "           [-s source] [-t time] [-w file] address:port\n";

int
gen_main(int argc, char **argv)
{
	struct gen_options options;
	char error[OPTIONS_ERROR_SIZE];
	enum gen_status status;
	json_t *report = NULL;

	log_init("mcrelay-gen", NULL, LOG_TARGET_STDERR, LOG_INFO);
	if (!gen_parse(argc, argv, &options, error)) {
		log_warnx("%s", error);
		fputs(usage, stderr);
		gen_options_free(&options);
		return GEN_FAILED;
	}
	stop_catch_signals();
	if (options.command == GEN_SOURCE)
		status = source_run(&options, &report);
	else
		status = sink_run(&options, &report);
	if (report != NULL && (options.json || !options.quiet) &&
	    !output_report(report, options.json))
		status = GEN_FAILED;
	json_decref(report);
	gen_options_free(&options);
	return (int)status;
}
