/* SPDX-License-Identifier: ISC */
/*
 * The program around the two commands: options and the report.  mcrelay-gen.
 */
#include <stdio.h>

#include "common/help.h"
#include "common/log.h"
#include "tools/common/output.h"
#include "tools/common/stop.h"
#include "tools/gen/gen.h"

static const struct help_line help_lines[] = {
	{"source", "address:port", "send datagrams; 1000 a second, numbered"},
	{"sink", "address:port", "receive them, say what became of them"},
	{"-a", "", "sink: accept anything, not numbered datagrams only"},
	{"-B", "batch", "source: hand over so many in one system call"},
	{"-b", "bytes", "source: the size of a numbered datagram"},
	{"-c", "", "source: hand over runs of equal size (UDP_SEGMENT)"},
	{"-D", "datums", "source: so many datums in a datagram"},
	{"-I", "idle", "sink: end when none has come for this time"},
	{"-i", "interface", "send by, or listen on, this interface"},
	{"-j", "", "report as one JSON object on one line"},
	{"-n", "count", "end when so many were sent, or have arrived"},
	{"-q", "", "do not report, unless -j asks for it"},
	{"-r", "rate", "source: datagrams a second; 0: as fast as possible"},
	{"-S", "schema", "source: send datums of this Avro schema"},
	{"-s", "source", "sink: join the group for this sender only"},
	{"-T", "ttl", "source: the time to live, or hop limit"},
	{"-t", "time", "end after this time"},
	{"-w", "field=signal[:period[:amplitude]]",
	    "source: what a numeric field follows"},
	{"-w", "file", "sink: write each datagram to it"},
	{NULL, NULL, NULL},
};
static const struct help help = {"mcrelay-gen", "1",
    "mcrelay-gen source [-cjq] [-B batch] [-b bytes] [-D datums]\n"
    "           [-i interface] [-n count] [-r rate] [-S schema] [-T ttl]\n"
    "           [-t time] [-w field=signal[:period[:amplitude]]]\n"
    "           address:port\n"
    "       mcrelay-gen sink [-ajq] [-I idle] [-i interface] [-n count]\n"
    "           [-s source] [-t time] [-w file] address:port\n"
    "       mcrelay-gen -h | -V\n", help_lines};

int
gen_main(int argc, char **argv)
{
	struct gen_options options;
	char error[OPTIONS_ERROR_SIZE];
	enum gen_status status;
	json_t *report = NULL;

	log_init("mcrelay-gen", NULL, LOG_TARGET_STDERR, LOG_INFO);
	help_answer(&help, argc, argv);
	if (!gen_parse(argc, argv, &options, error)) {
		log_warnx("%s", error);
		help_usage(&help);
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
