/* SPDX-License-Identifier: ISC */
/*
 * Archives back to UDP: one channel, or many on one clock.  mcrelay-replay.
 *
 * A record is due at start + pace, an absolute moment: what is late is sent
 * at once together with all else that is due, and the next one is on
 * time again.
 */
#include <sys/resource.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/help.h"
#include "common/log.h"
#include "common/udp.h"
#include "common/util.h"
#include "tools/common/batch.h"
#include "tools/common/histogram.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"
#include "tools/common/stop.h"
#include "tools/replay/queue.h"
#include "tools/replay/replay.h"
#include "tools/replay/source.h"

static const struct help_line help_lines[] = {
	{"-e", "end", "end before the first record of this time or sequence"},
	{"-i", "interface", "send by this interface"},
	{"--io", "io_uring", "read files ahead; this is the default"},
	{"--io", "pread", "read files when they are needed"},
	{"--io", "mmap", "map files into memory"},
	{"-j", "", "report as one JSON object on one line"},
	{"-l", "", "begin again at the end"},
	{"-m", "time", "no pause longer than this, such as 10s or 500ms"},
	{"-q", "", "do not report, unless -j asks for it"},
	{"-r", "rate", "so many records a second, whatever their times"},
	{"-s", "start", "leave out records of before this time or sequence"},
	{"-T", "ttl", "the time to live, or hop limit"},
	{"-x", "speed", "2: twice as fast as it was; 0: as fast as possible"},
	{NULL, NULL, NULL},
};
static const struct help help = {"mcrelay-replay", "1",
    "mcrelay-replay [-jlq] [-e end] [-i interface] [--io how]\n"
    "           [-m time] [-r rate] [-s start] [-T ttl] [-x speed]\n"
    "           file|directory|nats://server/stream ... address:port\n"
    "       mcrelay-replay [-jlq] [-e end] [-i interface] [--io how]\n"
    "           [-m time] [-r rate] [-s start] [-T ttl] [-x speed]\n"
    "           path=address:port ...\n"
    "       mcrelay-replay -h | -V\n",
    help_lines};

/* A pause as long as this is told of. */
#define ANNOUNCED_NS	(5 * NS_PER_S)

/* What a channel keeps of its block, or has read ahead. */
#define PIECE_BYTES	((size_t)64 << 10)

struct replay {
	const struct replay_options *options;
	int			 fd;
	struct batch		*batch;
	uint64_t		 due[BATCH_MAX];	/* of the batch */
	struct pace		 pace;
	uint64_t		 start_ns;	/* CLOCK_MONOTONIC; 0: before */
	struct progress		 progress;
	uint64_t		 position;	/* of all channels */
	struct source_shared	 shared;
	struct source		*source;	/* options->channels */
	struct queue		 queue;
	unsigned		 run;		/* of its first, out of turn */
	bool			 failed;	/* after a log line */
	uint64_t		 too_large;	/* records for a datagram */
	struct send_counts	 counts;
	struct histogram	 lateness;	/* of datagrams */
};

static bool
finished(const struct replay *replay)
{
	return replay->failed || stop_requested();
}

static bool
is_timed(const struct replay *replay)
{
	return replay->options->rate != 0 || replay->options->speed > 0;
}

static void
flush(struct replay *replay)
{
	const unsigned datagrams = batch_datagrams(replay->batch);
	uint64_t now;

	if (datagrams == 0 || replay->failed)
		return;
	now = clock_monotonic_ns();
	for (unsigned i = 0; i < datagrams && is_timed(replay); i++)
		histogram_add(&replay->lateness, now - replay->due[i]);
	replay->failed = !batch_send(replay->batch, 0, &replay->counts);
}

/* Nobody has to guess why nothing is sent. */
static void
announce(struct replay *replay, const struct source *source,
    uint64_t pause_ns)
{
	const int64_t time_ns = source->record.time_ns;
	char when[UTC_TEXT_SIZE] = "without a time";

	if (replay->options->quiet || pause_ns < ANNOUNCED_NS)
		return;
	if (time_ns >= 0)
		format_utc((uint64_t)time_ns, when);
	progress_clear(&replay->progress);
	log_info("%s: the next record (%s) is due in %.0f s; -m bounds pauses",
	    source->path, when, (double)pause_ns / (double)NS_PER_S);
}

/* Waits until then; what is due already goes first. */
static void
wait_until(struct replay *replay, const struct source *source,
    uint64_t due_ns)
{
	uint64_t now = clock_monotonic_ns();

	if (now >= due_ns)
		return;
	flush(replay);
	reading_turn(&replay->shared.reading);
	announce(replay, source, due_ns - now);
	progress_show(&replay->progress, replay->position, source->path);
	while (!stop_requested() && !replay->failed && now < due_ns)
		now = stop_sleep_until(due_ns);
}

static void
send_record(struct replay *replay, const struct source *source)
{
	uint64_t due;

	if (source->size > DATAGRAM_MAX) {
		replay->too_large++;
		return;
	}
	if (replay->start_ns == 0)
		replay->start_ns = clock_monotonic_ns();
	due = replay->start_ns + pace_next(&replay->pace, source->due_ns);
	if (is_timed(replay))
		wait_until(replay, source, due);
	if (!batch_has_room(replay->batch))
		flush(replay);
	if (finished(replay))
		return;
	replay->due[batch_datagrams(replay->batch)] = due;
	memcpy(batch_next(replay->batch), source->data, source->size);
	if (source_is_cut(source))
		return;
	batch_add_to(replay->batch, source->size, replay->options->session ?
	    &source->channel->to : NULL);
}

/* Of a session a channel that cannot be read on does not end the others, once
 * they have begun. */
static void
see_failure(struct replay *replay, const struct source *source)
{
	if (source->failed && (!replay->options->session ||
	    replay->start_ns == 0))
		replay->failed = true;
}

/*
 * As fast as possible a channel goes on for as long as it is one message to its
 * address: that takes a fraction of what a message for each datagram takes.  Of
 * what is there already, so that nobody waits for a file in its turn.
 */
#define RUN_MAX	32U

static bool
goes_on(struct replay *replay, const struct source *source)
{
	const bool runs = !is_timed(replay) && replay->run + 1 < RUN_MAX &&
	    !source_has_to_read(source);

	replay->run = runs ? replay->run + 1 : 0;
	return runs;
}

/* The first of the queue goes on; what is due must not wait for a file. */
static void
go_on(struct replay *replay)
{
	struct source *source = replay->queue.place[0].source;
	const uint64_t before = source->position;
	const bool stays = goes_on(replay, source);

	if (source_has_to_read(source) && is_timed(replay))
		flush(replay);
	if (source->left == 0)
		progress_show(&replay->progress, replay->position,
		    source->path);
	if (source_next(source)) {
		if (stays)
			queue_stay(&replay->queue);
		else
			queue_again(&replay->queue);
	} else {
		replay->run = 0;
		queue_drop_first(&replay->queue);
		see_failure(replay, source);
	}
	replay->position += source->position - before;
}

/* The first record of each channel. */
static void
begin_round(struct replay *replay)
{
	struct source *source;

	replay->position = 0;
	for (size_t i = 0; i < replay->options->channels; i++) {
		source = &replay->source[i];
		if (source_next(source))
			queue_add(&replay->queue, source);
		else
			see_failure(replay, source);
		replay->position += source->position;
	}
}

static void
send_all(struct replay *replay)
{
	const struct replay_options *options = replay->options;
	uint64_t before;

	do {
		before = replay->pace.count;
		begin_round(replay);
		while (replay->queue.sources > 0 && !finished(replay)) {
			send_record(replay, replay->queue.place[0].source);
			if (!finished(replay))
				go_on(replay);
		}
		pace_cut(&replay->pace);
		for (size_t i = 0; i < options->channels && options->loop; i++)
			source_rewind(&replay->source[i]);
		/* Nothing in them to send would be a loop without end. */
	} while (options->loop && !finished(replay) &&
	    replay->pace.count > before);
	if (!stop_requested())
		flush(replay);
	progress_clear(&replay->progress);
}

/* Damaged places, unusable files. */
static uint64_t
damaged(const struct replay *replay)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < replay->options->channels; i++)
		sum += replay->source[i].damaged +
		    replay->source[i].failed;
	return sum;
}

static json_t *
make_report(const struct replay *replay)
{
	json_t *report = output_sent(&replay->counts, replay->start_ns == 0 ?
	    0 : clock_monotonic_ns() - replay->start_ns);

	json_object_set_new(report, "damaged",
	    json_integer((json_int_t)damaged(replay)));
	json_object_set_new(report, "too_large",
	    json_integer((json_int_t)replay->too_large));
	if (replay->lateness.count != 0)
		json_object_set_new(report, "lateness_us",
		    output_percentiles(&replay->lateness));
	return report;
}

static int
open_socket(const struct replay_options *options)
{
	bool hosts = false, groups = false;

	if (!options->session)
		return endpoint_open_source(&options->to);
	for (size_t i = 0; i < options->channels; i++)
		if (udp_is_group(&options->channel[i].to))
			groups = true;
		else
			hosts = true;
	return endpoint_open_sources(&options->to, hosts, groups);
}

/* Standard ones, the socket, a ring, a directory or a stream that is read. */
#define DESCRIPTORS_BESIDE	32

/* A file for each channel; false after a log line. */
static bool
raise_limit(const struct replay_options *options)
{
	const rlim_t needed = options->channels + DESCRIPTORS_BESIDE;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return true;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1 ||
	    limit.rlim_max >= needed)
		return true;
	log_warnx("%zu channels need %llu open files, and the limit is %llu: "
	    "raise it (ulimit -Hn)", options->channels,
	    (unsigned long long)needed, (unsigned long long)limit.rlim_max);
	return false;
}

static void
open_sources(struct replay *replay)
{
	const struct replay_options *options = replay->options;

	replay->shared.options = options;
	replay->shared.progress = &replay->progress;
	replay->shared.piece = PIECE_BYTES;
	reading_begin(&replay->shared.reading, options->io, PIECE_BYTES);
	replay->source = xcalloc(options->channels, sizeof(*replay->source));
	for (size_t i = 0; i < options->channels; i++) {
		options->channel[i].to = endpoint_scoped(&(struct endpoint){
		    .address = options->channel[i].to,
		    .interface = options->to.interface });
		source_open(&replay->source[i], &replay->shared,
		    &options->channel[i]);
		for (size_t j = 0; j < options->channel[i].operands; j++)
			progress_expect(&replay->progress,
			    options->channel[i].operand[j]);
	}
}

static void
close_sources(struct replay *replay)
{
	for (size_t i = 0; i < replay->options->channels; i++)
		source_close(&replay->source[i]);
	reading_end(&replay->shared.reading);
	free(replay->source);
	queue_free(&replay->queue);
	free(replay->shared.stored.data);
	free(replay->shared.plain.data);
}

static enum replay_status
report(const struct replay *replay)
{
	const struct replay_options *options = replay->options;
	json_t *made = make_report(replay);
	bool good;

	good = (!options->json && options->quiet) ||
	    output_report(made, options->json);
	json_decref(made);
	if (replay->failed || !good)
		return REPLAY_FAILED;
	return damaged(replay) != 0 || replay->too_large != 0 ?
	    REPLAY_PARTLY : REPLAY_GOOD;
}

static enum replay_status
replay_run(const struct replay_options *options)
{
	struct replay *replay = xcalloc(1, sizeof(*replay));
	enum replay_status status = REPLAY_FAILED;

	replay->options = options;
	replay->fd = raise_limit(options) ? open_socket(options) : -1;
	if (replay->fd != -1) {
		replay->batch = batch_new(replay->fd, BATCH_MAY_COALESCE);
		pace_begin(&replay->pace, options->speed, options->rate,
		    options->pause_ns);
		progress_begin(&replay->progress, NULL, 0);
		open_sources(replay);
		stop_sleep_exactly();
		send_all(replay);
		status = report(replay);
		close_sources(replay);
		batch_free(replay->batch);
		close(replay->fd);
	}
	free(replay);
	return status;
}

int
replay_main(int argc, char **argv)
{
	struct replay_options options;
	char error[OPTIONS_ERROR_SIZE];
	int status = REPLAY_FAILED;

	log_init("mcrelay-replay", NULL, LOG_TARGET_STDERR, LOG_INFO);
	help_answer(&help, argc, argv);
	if (replay_parse(argc, argv, &options, error)) {
		stop_catch_signals();
		status = (int)replay_run(&options);
	} else {
		log_warnx("%s", error);
		help_usage(&help);
	}
	replay_options_free(&options);
	return status;
}
