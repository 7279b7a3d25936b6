/* SPDX-License-Identifier: ISC */
/*
 * The program around reader, report and repair.  mcrelay-verify.
 */
#include <fcntl.h>
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
	{"--io", "pread", "read files when they are needed; the default"},
	{"--io", "io_uring", "read files ahead"},
	{"--io", "mmap", "map files into memory"},
	{"-j", "files", "read so many files at once"},
	{"-o", "all", "recover every record that can be read (with -r)"},
	{"-o", "prior", "recover the records before the first damage"},
	{"-o", "after", "recover the records after the first damage"},
	{"-o", "report", "print a line for each block"},
	{"-r", "out", "write what is recovered to this file, which is new"},
	{NULL, NULL, NULL},
};
static const struct help help = {"mcrelay-verify", "1",
    "mcrelay-verify [--io how] [-j files] [-o all|prior|after|report] "
    "[-r out]\n"
    "           file ...\n"
    "       mcrelay-verify --catalog directory\n"
    "       mcrelay-verify -h | -V\n", help_lines};

/* A thread each. */
#define JOBS_MAX	64

/* Of --catalog, beyond the letters. */
#define OPTION_CATALOG	256

static const struct option long_options[] = {
	{ "catalog", required_argument, NULL, OPTION_CATALOG },
	{ "io", required_argument, NULL, READING_OPTION },
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

/* What goes with what. */
static bool
agrees(const struct verify_options *options, bool what_given,
    char error[static OPTIONS_ERROR_SIZE])
{
	if (options->catalog != NULL) {
		if (options->files == 0 && options->repaired == NULL &&
		    options->jobs == 0 && !what_given)
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

bool
verify_parse(int argc, char **argv, struct verify_options *options,
    char error[static OPTIONS_ERROR_SIZE])
{
	bool what_given = false;
	int option;

	*options = (struct verify_options){ .keep = KEEP_ALL,
	    .io = &reading_pread };
	optind = 0;	/* glibc: start anew */
	opterr = 0;
	optopt = '?';
	while ((option = getopt_long(argc, argv, ":j:o:r:", long_options,
	    NULL)) != -1) {
		if (option == 'r')
			options->repaired = optarg;
		else if (option == 'j') {
			if (!options_number(error, 'j', optarg, 1, JOBS_MAX,
			    &options->jobs))
				return false;
		} else if (option == READING_OPTION) {
			if (!reading_parse(error, optarg, &options->io))
				return false;
		} else if (option == OPTION_CATALOG)
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
	return agrees(options, what_given, error);
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

/* A file in the reading, and what is said of it. */
struct file {
	FILE			*out;
	char			*text;		/* of `out' in memory */
	size_t			 size;
	bool			 opened;
	struct reading		 reading;
	struct reader		 reader;
	struct repair		 repair;
	struct summary		 summary;
};

struct run {
	const struct verify_options *options;
	struct progress		 progress;
	_Atomic uint64_t	 done;		/* bytes */
	struct crew		*crew;		/* NULL: no threads */
	size_t			 ahead;
	struct file		*file;		/* of these: the ith is at
						 * i % ahead */
	struct catalog		 catalog;
	struct gaps		 gaps;
};

/* By the thread that reports, too. */
static bool
reads_one_by_one(const struct run *run)
{
	return run->ahead == 1;
}

static void
look_at_block(struct run *run, struct file *file, const char *path,
    const struct reader_block *block)
{
	if (!run->options->blocks && block->damage == NULL)
		return;
	if (reads_one_by_one(run))
		progress_clear(&run->progress);
	if (block->damage != NULL)
		report_damage(file->out, path, block);
	else
		report_block(file->out, file->summary.blocks, block);
}

/* Reads the file to its end, or to where it cannot be read any more. */
static void
read_blocks(struct run *run, struct file *file, const char *path)
{
	struct summary *summary = &file->summary;
	struct reader *reader = &file->reader;
	enum reader_status status;
	struct reader_block block;

	if (run->options->blocks) {
		if (reads_one_by_one(run))
			progress_clear(&run->progress);
		report_begin(file->out, path, reader);
	}
	while ((status = reader_next(reader, &block, &summary->why)) ==
	    READER_OK) {
		summary_add(summary, &block);
		look_at_block(run, file, path, &block);
		if (run->options->repaired != NULL)
			repair_block(&file->repair, reader, &block);
		run->done += block.size;
		if (reads_one_by_one(run))
			progress_show(&run->progress, run->done, path);
	}
	summary->bytes = reader->walk.size;
	if (status == READER_UNUSABLE)
		summary->status = VERIFY_UNUSABLE;
	else if (summary->damaged != 0)
		summary->status = VERIFY_DAMAGED;
}

/* What is read ahead of each file. */
#define ROOM_BYTES	((size_t)2 << 20)

/* By any thread, until finish_file(). */
static void
read_file(void *argument, size_t i)
{
	struct run *run = argument;
	const char *path = run->options->file[i];
	struct file *file = &run->file[i % run->ahead];

	*file = (struct file){
		.out = stdout,
		.summary.first_ns = RECORDS_NO_TIME,
		.summary.last_ns = RECORDS_NO_TIME,
	};
	if (!reads_one_by_one(run))
		file->out = open_memstream(&file->text, &file->size);
	if (file->out == NULL)
		fatal("cannot keep a report");
	reading_begin(&file->reading, run->options->io, ROOM_BYTES);
	file->opened = reader_open_by(&file->reader, &file->reading, AT_FDCWD,
	    path, 0, &file->summary.why) == READER_OK;
	if (file->opened) {
		repair_begin(&file->repair, run->options->repaired,
		    run->options->keep);
		read_blocks(run, file, path);
		reader_forget_block(&file->reader);
	} else
		file->summary.status = VERIFY_UNUSABLE;
	reading_end(&file->reading);
}

/* A file that was cut between two blocks looks whole, but is too short. */
static void
ask_catalog(struct run *run, const char *path, struct summary *summary)
{
	const char *why = catalog_contradicts(catalog_find(&run->catalog,
	    path), summary);

	if (why == NULL || summary->status == VERIFY_UNUSABLE)
		return;
	say(stdout, "%s: damaged: %s\n", path, why);
	summary->damaged++;
	summary->status = VERIFY_DAMAGED;
}

static void
report_repair(const struct repair *repair)
{
	if (repair->failed)
		return;
	if (repair->fd == -1)
		say(stdout, "%s: not written: there is nothing to "
		    "recover\n", repair->path);
	else
		say(stdout, "%s: written: %" PRIu64 " records in %"
		    PRIu64 " blocks\n", repair->path, repair->records,
		    repair->blocks);
}

static void
end_repair(struct file *file)
{
	if (!repair_end(&file->repair, file->summary.status !=
	    VERIFY_UNUSABLE))
		file->summary.status = VERIFY_UNUSABLE;
	report_repair(&file->repair);
}

/* What was said so far, and what others know of the file. */
static enum verify_status
finish_file(struct run *run, struct file *file, const char *path)
{
	struct summary *summary = &file->summary;

	progress_clear(&run->progress);
	if (!reads_one_by_one(run)) {
		if (fclose(file->out) != 0)
			fatal("cannot keep a report");
		fwrite(file->text, 1, file->size, stdout);
		free(file->text);
	}
	if (file->opened)
		ask_catalog(run, path, summary);
	report_end(stdout, path, &file->reader, summary);
	if (!file->opened)
		return summary->status;
	gaps_file(&run->gaps, &run->catalog, path, summary);
	reader_close(&file->reader);
	if (run->options->repaired != NULL)
		end_repair(file);
	return summary->status;
}

static enum verify_status
verify_file(struct run *run, size_t i)
{
	const char *path = run->options->file[i];
	enum verify_status status;

	if (reads_one_by_one(run))
		read_file(run, i);
	else
		while (!crew_wait(run->crew))
			progress_show(&run->progress, run->done, path);
	status = finish_file(run, &run->file[i % run->ahead], path);
	if (!reads_one_by_one(run))
		crew_taken(run->crew);
	return status;
}

/* Threads that read ahead of the one that is reported, each by so much. */
#define AHEAD	4

static void
begin_run(struct run *run, const struct verify_options *options)
{
	const size_t jobs = MIN_OF((size_t)options->jobs, options->files);

	*run = (struct run){ .options = options, .ahead = 1 };
	progress_begin(&run->progress, options->file, options->files);
	if (jobs > 1)
		run->ahead = AHEAD * jobs;
	run->file = xcalloc(run->ahead, sizeof(*run->file));
	if (jobs > 1)
		run->crew = crew_begin((unsigned)jobs, options->files,
		    run->ahead, read_file, run);
}

static void
end_run(struct run *run)
{
	if (run->crew != NULL)
		crew_end(run->crew);
	free(run->file);
	gaps_end(&run->gaps);
	catalog_close(&run->catalog);
}

static enum verify_status
verify_files(const struct verify_options *options)
{
	enum verify_status worst = VERIFY_WHOLE;
	struct run run;

	begin_run(&run, options);
	for (size_t i = 0; i < options->files; i++)
		worst = MAX_OF(worst, verify_file(&run, i));
	if (run.catalog.bad != 0 && worst == VERIFY_WHOLE)
		worst = VERIFY_DAMAGED;
	end_run(&run);
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
