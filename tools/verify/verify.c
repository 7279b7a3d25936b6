/* SPDX-License-Identifier: ISC */
/*
 * The program around reader, report and repair.  mcrelay-verify.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/help.h"
#include "common/log.h"
#include "common/util.h"
#include "tools/verify/verify.h"

static const struct help_line help_lines[] = {
	{"--catalog", "directory", "make the catalogue of a channel anew"},
	{"-o", "all", "recover every record that can be read (with -r)"},
	{"-o", "prior", "recover the records before the first damage"},
	{"-o", "after", "recover the records after the first damage"},
	{"-o", "report", "print a line for each block"},
	{"-r", "out", "write what is recovered to this file, which is new"},
	{NULL, NULL, NULL},
};
static const struct help help = {"mcrelay-verify", "1",
    "mcrelay-verify [-o all|prior|after|report] [-r out] file ...\n"
    "       mcrelay-verify --catalog directory\n"
    "       mcrelay-verify -h | -V\n", help_lines};

/* Of --catalog, beyond the letters. */
#define OPTION_CATALOG	256

static const struct option long_options[] = {
	{ "catalog", required_argument, NULL, OPTION_CATALOG },
	{ NULL, 0, NULL, 0 },
};

static bool
parse_what(struct verify_options *options, const char *what)
{
	static const struct {
		const char		*name;
		enum verify_keep	 keep;
	} keeps[] = {
		{ "all", KEEP_ALL },
		{ "prior", KEEP_PRIOR },
		{ "after", KEEP_AFTER },
	};

	options->blocks = strcmp(what, "report") == 0;
	for (size_t i = 0; i < NITEMS(keeps); i++)
		if (strcmp(what, keeps[i].name) == 0) {
			options->keep = keeps[i].keep;
			return true;
		}
	return options->blocks;
}

bool
verify_parse(int argc, char **argv, struct verify_options *options,
    char error[static OPTIONS_ERROR_SIZE])
{
	bool what_given = false;
	int option;

	*options = (struct verify_options){ .keep = KEEP_ALL };
	optind = 0;	/* glibc: start anew */
	opterr = 0;
	optopt = '?';
	while ((option = getopt_long(argc, argv, ":o:r:", long_options,
	    NULL)) != -1) {
		if (option == 'r')
			options->repaired = optarg;
		else if (option == OPTION_CATALOG)
			options->catalog = optarg;
		else if (optopt == OPTION_CATALOG)
			return options_fail(error, "--catalog needs a "
			    "directory");
		else if (optopt == 0 && option == '?')
			return options_fail(error, "%s is not an option",
			    argv[optind - 1]);
		else if (option != 'o')
			return options_unknown(error, option);
		else if (!parse_what(options, optarg))
			return options_fail(error, "-o %s: not all, prior, "
			    "after or report", optarg);
		else
			what_given = true;
	}
	options->file = argv + optind;
	options->files = (size_t)(argc - optind);
	if (options->catalog != NULL) {
		if (options->files == 0 && options->repaired == NULL &&
		    !what_given)
			return true;
		return options_fail(error, "--catalog stands alone");
	}
	if (options->files == 0)
		return options_fail(error, "which file?");
	if (options->repaired == NULL && what_given && !options->blocks)
		return options_fail(error, "what is recovered needs a file to "
		    "go to (-r)");
	if (options->repaired != NULL && options->blocks)
		return options_fail(error, "-o report does not write a file "
		    "(-r)");
	if (options->repaired != NULL && options->files > 1)
		return options_fail(error, "-r repairs one file at a time");
	return true;
}

void
summary_add(struct summary *summary, const struct reader_block *block)
{
	summary->records += block->good;
	if (block->damage == NULL)
		summary->blocks++;
	else
		summary->damaged++;
	if (block->sequence_known && !summary->sequence_known)
		summary->first_sequence = block->first_sequence;
	if (block->sequence_known) {
		summary->sequence_known = true;
		summary->last_sequence = block->last_sequence;
	}
	if (summary->first_ns == RECORDS_NO_TIME)
		summary->first_ns = block->first_ns;
	if (block->last_ns != RECORDS_NO_TIME)
		summary->last_ns = block->last_ns;
}

struct run {
	const struct verify_options *options;
	struct progress		 progress;
	uint64_t		 done;		/* bytes of earlier files */
	struct catalog		 catalog;
	struct gaps		 gaps;
};

static void
look_at_block(struct run *run, const char *path,
    const struct reader_block *block, uint64_t number)
{
	if (run->options->blocks || block->damage != NULL)
		progress_clear(&run->progress);
	if (block->damage != NULL)
		report_damage(path, block);
	else if (run->options->blocks)
		report_block(number, block);
}

/* Reads the file to its end, or to where it cannot be read any more. */
static void
read_blocks(struct run *run, const char *path, struct reader *reader,
    struct repair *repair, struct summary *summary)
{
	enum reader_status status;
	struct reader_block block;

	if (run->options->blocks) {
		progress_clear(&run->progress);
		report_begin(path, reader);
	}
	while ((status = reader_next(reader, &block, &summary->why)) ==
	    READER_OK) {
		summary_add(summary, &block);
		look_at_block(run, path, &block, summary->blocks);
		if (run->options->repaired != NULL)
			repair_block(repair, reader, &block);
		progress_show(&run->progress,
		    run->done + reader->walk.offset, path);
	}
	summary->bytes = reader->walk.size;
	if (status == READER_UNUSABLE)
		summary->status = VERIFY_UNUSABLE;
	else if (summary->damaged != 0)
		summary->status = VERIFY_DAMAGED;
}

/* A file that was cut between two blocks looks whole, but is too short. */
static void
ask_catalog(struct run *run, const char *path, struct summary *summary)
{
	const char *why = catalog_contradicts(catalog_find(&run->catalog,
	    path), summary);

	if (why == NULL || summary->status == VERIFY_UNUSABLE)
		return;
	say("%s: damaged: %s\n", path, why);
	summary->damaged++;
	summary->status = VERIFY_DAMAGED;
}

static void
report_repair(const struct repair *repair)
{
	if (repair->failed)
		return;
	if (repair->fd == -1)
		say("%s: not written: there is nothing to recover\n",
		    repair->path);
	else
		say("%s: written: %" PRIu64 " records in %" PRIu64 " blocks\n",
		    repair->path, repair->records, repair->blocks);
}

static enum verify_status
verify_file(struct run *run, const char *path)
{
	struct summary summary = {
		.first_ns = RECORDS_NO_TIME,
		.last_ns = RECORDS_NO_TIME,
	};
	struct reader reader;
	struct repair repair;

	if (reader_open(&reader, path, &summary.why) != READER_OK) {
		summary.status = VERIFY_UNUSABLE;
		progress_clear(&run->progress);
		report_end(path, &reader, &summary);
		return summary.status;
	}
	repair_begin(&repair, run->options->repaired, run->options->keep);
	read_blocks(run, path, &reader, &repair, &summary);
	progress_clear(&run->progress);
	ask_catalog(run, path, &summary);
	report_end(path, &reader, &summary);
	gaps_file(&run->gaps, &run->catalog, path, &summary);
	run->done += summary.bytes;
	reader_close(&reader);
	if (run->options->repaired != NULL) {
		if (!repair_end(&repair, summary.status != VERIFY_UNUSABLE))
			summary.status = VERIFY_UNUSABLE;
		report_repair(&repair);
	}
	return summary.status;
}

static enum verify_status
verify_files(const struct verify_options *options)
{
	struct run run = { .options = options };
	enum verify_status status = VERIFY_WHOLE, worst = VERIFY_WHOLE;

	progress_begin(&run.progress, options->file, options->files);
	for (size_t i = 0; i < options->files; i++) {
		status = verify_file(&run, options->file[i]);
		worst = MAX_OF(worst, status);
	}
	if (run.catalog.bad != 0 && worst == VERIFY_WHOLE)
		worst = VERIFY_DAMAGED;
	gaps_end(&run.gaps);
	catalog_close(&run.catalog);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return worst;
	log_warn("cannot write the report");
	return VERIFY_UNUSABLE;
}

int
verify_main(int argc, char **argv)
{
	struct verify_options options;
	char error[OPTIONS_ERROR_SIZE];

	log_init("mcrelay-verify", NULL, LOG_TARGET_STDERR, LOG_INFO);
	/* A limit is an error like a full disk. */
	signal(SIGXFSZ, SIG_IGN);
	help_answer(&help, argc, argv);
	if (!verify_parse(argc, argv, &options, error)) {
		log_warnx("%s", error);
		help_usage(&help);
		return VERIFY_UNUSABLE;
	}
	if (options.catalog != NULL)
		return (int)rebuild_catalog(options.catalog);
	return (int)verify_files(&options);
}
