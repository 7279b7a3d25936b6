/* SPDX-License-Identifier: ISC */
/*
 * The program around the two commands: options and the report.  mcrelay-gen.
 */
#include <stdio.h>

#include "common/log.h"
#include "tools/common/stop.h"
#include "tools/gen/gen.h"

static const char usage[] =
    "usage: mcrelay-gen source [-cjq] [-B batch] [-b bytes] [-D datums]\n"
    "           [-i interface] [-n count] [-r rate] [-S schema] [-T ttl]\n"
    "           [-t time] [-w field=signal[:period[:amplitude]]]\n"
    "           address:port\n"
    "       mcrelay-gen sink [-ajq] [-I idle] [-i interface] [-n count]\n"
    "           [-s source] [-t time] [-w file] address:port\n";

static void
print_value(json_t *value)
{
	const char *key;
	json_t *member;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		json_object_foreach(value, key, member) {
			printf(" %s", key);
			print_value(member);
		}
		break;
	case JSON_STRING:
		printf(" %s", json_string_value(value));
		break;
	case JSON_REAL:
		printf(" %.3f", json_real_value(value));
		break;
	default:
		printf(" %lld", (long long)json_integer_value(value));
	}
}

/* A line for each member; for an array, a line for each of its items. */
static void
print_text(json_t *report)
{
	const char *key;
	json_t *member, *item;
	size_t i;

	json_object_foreach(report, key, member) {
		if (!json_is_array(member)) {
			printf("%s", key);
			print_value(member);
			printf("\n");
			continue;
		}
		json_array_foreach(member, i, item) {
			printf("%s", key);
			print_value(item);
			printf("\n");
		}
	}
}

static bool
print_report(const struct gen_options *options, json_t *report)
{
	if (options->json) {
		json_dumpf(report, stdout, JSON_REAL_PRECISION(9));
		printf("\n");
	} else if (!options->quiet)
		print_text(report);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	log_warn("cannot write the report");
	return false;
}

int
gen_main(int argc, char **argv)
{
	struct gen_options options;
	char error[GEN_ERROR_SIZE];
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
	if (report != NULL && !print_report(&options, report))
		status = GEN_FAILED;
	json_decref(report);
	gen_options_free(&options);
	return (int)status;
}
