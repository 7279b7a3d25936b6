/* SPDX-License-Identifier: ISC */
/*
 * Archives back to UDP.  mcrelay-replay.
 *
 * A record is due at start + pace, an absolute moment: what is late is sent
 * at once together with all else that is due, and the next one is on
 * time again.
 */
#include <sys/stat.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/help.h"
#include "common/log.h"
#include "common/util.h"
#include "tools/common/batch.h"
#include "tools/common/histogram.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"
#include "tools/common/reader.h"
#include "tools/common/remote.h"
#include "tools/common/stop.h"
#include "tools/replay/replay.h"

static const struct help_line help_lines[] = {
	{"-e", "end", "end before the first record of this time or sequence"},
	{"-i", "interface", "send by this interface"},
	{"-j", "", "report as one JSON object on one line"},
	{"-l", "", "begin again after the last file"},
	{"-m", "time", "no pause longer than this, such as 10s or 500ms"},
	{"-q", "", "do not report, unless -j asks for it"},
	{"-r", "rate", "so many records a second, whatever their times"},
	{"-s", "start", "leave out records of before this time or sequence"},
	{"-T", "ttl", "the time to live, or hop limit"},
	{"-x", "speed", "2: twice as fast as it was; 0: as fast as possible"},
	{NULL, NULL, NULL},
};
static const struct help help = {"mcrelay-replay", "1",
    "mcrelay-replay [-jlq] [-e end] [-i interface] [-m time]\n"
    "           [-r rate] [-s start] [-T ttl] [-x speed]\n"
    "           file|nats://server/stream ... address:port\n"
    "       mcrelay-replay -h | -V\n",
    help_lines};

/* A pause as long as this is told of. */
#define ANNOUNCED_NS	(5 * NS_PER_S)

struct replay {
	const struct replay_options *options;
	int			 fd;
	struct batch		*batch;
	uint64_t		 due[BATCH_MAX];	/* of the batch */
	struct pace		 pace;
	uint64_t		 start_ns;	/* CLOCK_MONOTONIC; 0: before */
	struct progress		 progress;
	uint64_t		 done;		/* bytes of earlier files */
	uint64_t		 position;	/* with those of this one */
	const char		*path;		/* of this one */
	bool			 failed;	/* after a log line */
	bool			 past_end;
	uint64_t		 damaged;	/* places, and unusable files */
	uint64_t		 too_large;	/* records for a datagram */
	uint64_t		 rounds;
	struct send_counts	 counts;
	struct histogram	 lateness;	/* of datagrams */
};

static bool
finished(const struct replay *replay)
{
	return replay->failed || replay->past_end || stop_requested();
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
announce(struct replay *replay, uint64_t pause_ns, int64_t time_ns)
{
	char when[UTC_TEXT_SIZE] = "without a time";

	if (replay->options->quiet || pause_ns < ANNOUNCED_NS)
		return;
	if (time_ns >= 0)
		format_utc((uint64_t)time_ns, when);
	progress_clear(&replay->progress);
	log_info("%s: the next record (%s) is due in %.0f s; -m bounds pauses",
	    replay->path, when, (double)pause_ns / (double)NS_PER_S);
}

/* Waits until then; what is due already goes first. */
static void
wait_until(struct replay *replay, uint64_t due_ns, int64_t time_ns)
{
	uint64_t now = clock_monotonic_ns();

	if (now >= due_ns)
		return;
	flush(replay);
	announce(replay, due_ns - now, time_ns);
	progress_show(&replay->progress, replay->position, replay->path);
	while (!stop_requested() && !replay->failed && now < due_ns)
		now = stop_sleep_until(due_ns);
}

static void
send_record(struct replay *replay, const struct record *record,
    const uint8_t *data, size_t size)
{
	uint64_t due;

	if (size > DATAGRAM_MAX) {
		replay->too_large++;
		return;
	}
	if (replay->start_ns == 0)
		replay->start_ns = clock_monotonic_ns();
	due = replay->start_ns + pace_next(&replay->pace, record->time_ns);
	if (is_timed(replay))
		wait_until(replay, due, record->time_ns);
	if (!batch_has_room(replay->batch))
		flush(replay);
	if (finished(replay))
		return;
	replay->due[batch_datagrams(replay->batch)] = due;
	memcpy(batch_next(replay->batch), data, size);
	batch_add(replay->batch, size);
}

/* How far in the file the records of a block up to `size' bytes reach. */
static uint64_t
position_in(const struct reader_block *block, size_t size)
{
	return (uint64_t)((double)size / (double)block->good_size *
	    (double)block->size);
}

static void
send_block(struct replay *replay, const struct reader *reader,
    const struct reader_block *block)
{
	const uint8_t *at = block->data;
	size_t left = block->good_size;
	enum span_place place;
	struct record record;

	for (uint64_t i = 0; i < block->good && !finished(replay); i++) {
		if (records_read(&reader->records, at, left, &record) !=
		    NULL)
			return;	/* cannot be: it has been read before */
		at += record.size;
		left -= record.size;
		replay->position = replay->done + block->offset +
		    position_in(block, (size_t)(at - block->data));
		place = span_place(&replay->options->span, &record);
		replay->past_end = place == SPAN_BEHIND;
		if (place != SPAN_WITHIN)
			continue;
		if (reader->records.datagrams)
			send_record(replay, &record, record.payload,
			    record.payload_size);
		else
			send_record(replay, &record, record.data,
			    record.size);
	}
}

/* Whether its records can be sent as the options ask for; a log line if not. */
static bool
can_replay(const struct replay *replay, const struct reader *reader,
    const char *path)
{
	const struct replay_options *options = replay->options;
	const struct records *records = &reader->records;

	if (!reader->codec_known)
		log_warnx("%s: codec %s is not supported by this program",
		    path, reader->codec_name);
	else if (records->program == NULL)
		log_warnx("%s: schema: %s", path, records->error);
	else if (span_refuses(&options->span, records) != NULL)
		log_warnx("%s: %s", path, span_refuses(&options->span,
		    records));
	else if (records->datagrams || records->time_unit_ns != 0)
		return true;
	else if (options->rate == 0 && options->speed > 0)
		log_warnx("%s: its records have no time: give a rate (-r), "
		    "or -x 0 for as fast as possible", path);
	else
		return true;
	return false;
}

static void
damage(struct replay *replay, const char *path, uint64_t offset,
    const char *why)
{
	progress_clear(&replay->progress);
	log_warnx("%s: damaged at offset %" PRIu64 ": %s; going on behind it",
	    path, offset, why);
	replay->damaged++;
}

static void
unusable(struct replay *replay, const char *path, const char *why)
{
	progress_clear(&replay->progress);
	log_warnx("%s: %s", path, why);
	replay->failed = true;
}

static void
send_blocks(struct replay *replay, struct reader *reader, const char *path)
{
	enum reader_status status = READER_OK;
	struct reader_block block;
	const char *why;

	while (!finished(replay)) {
		status = reader_next(reader, &block, &why);
		if (status != READER_OK)
			break;
		if (block.damage != NULL)
			damage(replay, path, block.offset, block.damage);
		send_block(replay, reader, &block);
		/* What is due must not wait for the next block. */
		if (is_timed(replay))
			flush(replay);
		replay->position = replay->done + reader->walk.offset;
		progress_show(&replay->progress, replay->position, path);
	}
	if (status == READER_UNUSABLE)
		unusable(replay, path, why);
	replay->done += reader->walk.size;
}

static void
send_file(struct replay *replay, const char *path)
{
	struct reader reader;
	const char *why;

	if (reader_open(&reader, path, &why) != READER_OK) {
		unusable(replay, path, why);
		return;
	}
	replay->path = path;
	if (can_replay(replay, &reader, path))
		send_blocks(replay, &reader, path);
	else
		replay->failed = true;
	reader_close(&reader);
}

/* As many messages as there were when it began. */
static void
send_messages(struct replay *replay, struct remote *remote)
{
	const char *name = remote_name(remote), *why;
	struct reader *reader;

	while (!finished(replay))
		switch (remote_next(remote, false, &reader, &why)) {
		case REMOTE_FILE:
			replay->failed = !can_replay(replay, reader, name);
			if (!replay->failed)
				send_blocks(replay, reader, name);
			break;
		case REMOTE_MORE:
			send_blocks(replay, reader, name);
			break;
		case REMOTE_DAMAGED:
			progress_clear(&replay->progress);
			log_warnx("%s: %s; left out", name, why);
			replay->damaged++;
			break;
		case REMOTE_FAILED:
			unusable(replay, name, why);
			return;
		case REMOTE_END:
			return;
		case REMOTE_NOTHING:
			break;
		}
}

static void
send_stream(struct replay *replay, const char *address)
{
	const int64_t start_ns = replay->options->span.start_ns;
	struct remote *remote;
	char *why;

	remote = remote_open(address, &why);
	if (remote == NULL) {
		log_warnx("%s", why);
		free(why);
		replay->failed = true;
		return;
	}
	if (start_ns != INT64_MIN)
		remote_seek(remote, start_ns);
	replay->path = remote_name(remote);
	send_messages(replay, remote);
	remote_close(remote);
}

static void
send_operand(struct replay *replay, const char *operand)
{
	if (remote_is(operand))
		send_stream(replay, operand);
	else
		send_file(replay, operand);
}

static void
send_files(struct replay *replay)
{
	const struct replay_options *options = replay->options;
	uint64_t before;

	do {
		before = replay->pace.count;
		replay->done = 0;
		replay->past_end = false;
		for (size_t i = 0; i < options->files && !finished(replay);
		    i++)
			send_operand(replay, options->file[i]);
		pace_cut(&replay->pace);
		replay->rounds++;
		/* Nothing in them to send would be a loop without end. */
	} while (options->loop && !replay->failed && !stop_requested() &&
	    replay->pace.count > before);
	if (!stop_requested())
		flush(replay);
	progress_clear(&replay->progress);
}

static json_t *
make_report(const struct replay *replay)
{
	json_t *report = output_sent(&replay->counts, replay->start_ns == 0 ?
	    0 : clock_monotonic_ns() - replay->start_ns);

	json_object_set_new(report, "damaged",
	    json_integer((json_int_t)replay->damaged));
	json_object_set_new(report, "too_large",
	    json_integer((json_int_t)replay->too_large));
	if (replay->lateness.count != 0)
		json_object_set_new(report, "lateness_us",
		    output_percentiles(&replay->lateness));
	return report;
}

static enum replay_status
replay_run(const struct replay_options *options)
{
	struct replay *replay = xcalloc(1, sizeof(*replay));
	enum replay_status status = REPLAY_FAILED;
	json_t *report;

	replay->options = options;
	replay->fd = endpoint_open_source(&options->to);
	if (replay->fd != -1) {
		replay->batch = batch_new(replay->fd, BATCH_MAY_COALESCE);
		pace_begin(&replay->pace, options->speed, options->rate,
	    options->pause_ns);
		progress_begin(&replay->progress, options->file,
		    options->files);
		stop_sleep_exactly();
		send_files(replay);
		if (!replay->failed)
			status = replay->damaged != 0 ||
			    replay->too_large != 0 ? REPLAY_PARTLY :
			    REPLAY_GOOD;
		report = make_report(replay);
		if ((options->json || !options->quiet) &&
		    !output_report(report, options->json))
			status = REPLAY_FAILED;
		json_decref(report);
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

	log_init("mcrelay-replay", NULL, LOG_TARGET_STDERR, LOG_INFO);
	help_answer(&help, argc, argv);
	if (!replay_parse(argc, argv, &options, error)) {
		log_warnx("%s", error);
		help_usage(&help);
		return REPLAY_FAILED;
	}
	stop_catch_signals();
	return (int)replay_run(&options);
}
