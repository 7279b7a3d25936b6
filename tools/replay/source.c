/* SPDX-License-Identifier: ISC */
/*
 * The records of a channel.  mcrelay-replay.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/archive_names.h"
#include "common/log.h"
#include "common/util.h"
#include "tools/common/stop.h"
#include "tools/replay/source_priv.h"

void
source_open(struct source *source, struct source_shared *shared,
    const struct replay_channel *channel)
{
	*source = (struct source){ .shared = shared, .channel = channel };
	source_rewind(source);
	source->first = true;
}

static void
name(struct source *source, char *path)
{
	free(source->path);
	source->path = path;
}

void
source_unusable(struct source *source, const char *why)
{
	progress_clear(source->shared->progress);
	log_warnx("%s: %s", source->path, why);
	source->failed = true;
}

/* The same of one among many. */
void
source_left_out(struct source *source, const char *why)
{
	progress_clear(source->shared->progress);
	log_warnx("%s: %s; left out", source->path, why);
	source->damaged++;
}

static void
end_capture(struct source *source)
{
	uint64_t fragments, cut;

	capture_left_out(source->capture, &fragments, &cut);
	if (fragments != 0)
		log_warnx("%s: %" PRIu64 " fragments of datagrams are left "
		    "out", source->path, fragments);
	if (cut != 0)
		log_warnx("%s: %" PRIu64 " datagrams are left out: they were "
		    "not captured whole", source->path, cut);
	source->damaged += fragments + cut;
	capture_close(source->capture);
	source->capture = NULL;
}

/* Nothing is open then. */
static void
end_operand(struct source *source)
{
	if (source->reader == &source->file) {
		source->done += source->file.walk.size;
		reader_close(&source->file);
	}
	source->reader = NULL;
	source_forget_block(source);
	free(source->kept.data);
	source->kept = (struct buffer){0};
	if (source->remote != NULL)
		remote_close(source->remote);
	source->remote = NULL;
	if (source->capture != NULL)
		end_capture(source);
}

void
source_rewind(struct source *source)
{
	end_operand(source);
	listing_free(&source->listing);
	source->operand = source->listed = 0;
	source->position = source->done = 0;
	source->due_ns = source->last_ns = RECORDS_NO_TIME;
	source->played = 0;
	source->first = false;
}

void
source_close(struct source *source)
{
	source_rewind(source);
	free(source->path);
}

/* Whether its records can be sent as the options ask for; a log line if not. */
static bool
can_replay(const struct source *source, const struct reader *reader)
{
	const struct replay_options *options = source->shared->options;
	const struct records *records = &reader->records;
	const char *path = source->path;

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
begin_file(struct source *source)
{
	source->reader = &source->file;
	source->failed = !can_replay(source, &source->file);
	if (!reader_can_send(&source->file))
		reading_plainly(&source->file.file);
}

static enum reader_status
open_path(struct source *source, int flags, const char **why)
{
	return reader_open_by(&source->file, &source->shared->reading,
	    AT_FDCWD, source->path, flags, why);
}

static void
open_file(struct source *source)
{
	const char *why;

	if (open_path(source, 0, &why) == READER_OK)
		begin_file(source);
	else
		source_unusable(source, why);
}

/* One that was being written may have been finished since. */
static void
open_listed(struct source *source, const char *directory)
{
	const struct listed *listed =
	    &source->listing.file[source->listed++];
	enum reader_status status;
	const char *why;

	name(source, xasprintf("%s/%s%s", directory, listed->stem,
	    listed->finished ? "" : ARCHIVE_PART));
	errno = 0;
	status = open_path(source, O_NOFOLLOW, &why);
	if (status != READER_OK && !listed->finished && errno == ENOENT) {
		name(source, xasprintf("%s/%s", directory, listed->stem));
		status = open_path(source, O_NOFOLLOW, &why);
	}
	if (status == READER_OK) {
		begin_file(source);
		if (!source->failed && span_leaves_out(
		    &source->shared->options->span,
		    &source->file.records, listed))
			end_operand(source);
	} else if (status != READER_END)
		source_left_out(source, why);
}

static void
open_directory(struct source *source)
{
	char *path;

	if (!listing_read_path(&source->listing, source->path)) {
		source_unusable(source, strerror(errno));
		return;
	}
	source->listed = 0;
	if (source->listing.files == 0)
		source_unusable(source, "no file of an archive in it");
	for (size_t i = 0; i < source->listing.files; i++) {
		path = xasprintf("%s/%s", source->path,
		    source->listing.file[i].stem);
		if (source->first)
			progress_expect(source->shared->progress, path);
		free(path);
	}
}

static void
open_capture(struct source *source)
{
	char *why;

	source->sequence = 0;
	source->capture = capture_open(source->path, &why);
	if (source->capture == NULL) {
		source_unusable(source, why);
		free(why);
	}
}

static void
open_stream(struct source *source, const char *address)
{
	const int64_t start_ns = source->shared->options->span.start_ns;
	char *why;

	source->remote = remote_open(address, &why);
	if (source->remote == NULL) {
		log_warnx("%s", why);
		free(why);
		source->failed = true;
		return;
	}
	name(source, xstrdup(remote_name(source->remote)));
	if (start_ns != INT64_MIN)
		remote_seek(source->remote, start_ns);
}

static void
open_operand(struct source *source, const char *operand)
{
	struct stat st;

	if (remote_is(operand)) {
		open_stream(source, operand);
		return;
	}
	name(source, xstrdup(operand));
	if (stat(operand, &st) == 0 && S_ISDIR(st.st_mode))
		open_directory(source);
	else if (capture_is(operand))
		open_capture(source);
	else
		open_file(source);
}

/* False: there was none. */
static bool
next_operand(struct source *source)
{
	const struct replay_channel *channel = source->channel;

	end_operand(source);
	if (source->listed < source->listing.files)
		open_listed(source, channel->operand[source->operand - 1]);
	else if (source->operand < channel->operands) {
		listing_free(&source->listing);
		source->listed = 0;
		open_operand(source, channel->operand[source->operand++]);
	} else
		return false;
	return true;
}

/* As many messages as there were when it began. */
static bool
next_message(struct source *source)
{
	const char *why;

	switch (remote_next(source->remote, false, &source->reader, &why)) {
	case REMOTE_FILE:
		source->failed = !can_replay(source, source->reader);
		return true;
	case REMOTE_MORE:
	case REMOTE_NOTHING:
		return true;
	case REMOTE_DAMAGED:
		source_left_out(source, why);
		return true;
	case REMOTE_FAILED:
		source_unusable(source, why);
		return false;
	case REMOTE_END:
		break;
	}
	return false;
}

/* The next datagram of a capture, as a record. */
static bool
next_captured(struct source *source)
{
	struct capture_datagram datagram;
	const char *why;

	switch (capture_next(source->capture, &datagram, &why)) {
	case CAPTURE_OK:
		source->record = (struct record){
			.time_ns = (int64_t)datagram.time_ns,
			.sequence = (int64_t)source->sequence++,
		};
		source->data = datagram.payload;
		source->size = datagram.size;
		return true;
	case CAPTURE_DAMAGED:
		source_left_out(source, why);
		break;
	case CAPTURE_END:
		break;
	}
	return false;
}

static void
take_record(struct source *source)
{
	const struct record *record = &source->record;
	const bool datagrams = source->reader->records.datagrams;

	source->data = datagrams ? record->payload : record->data;
	source->size = datagrams ? record->payload_size : record->size;
	/* How far in the file the records up to this one reach. */
	source->position = source->done + source->block.offset +
	    (uint64_t)((double)source->at / (double)source->block.good_size *
	    (double)source->block.size);
}

/* One step further.  False: there is nothing more; *found: a record. */
static bool
step(struct source *source, bool *found)
{
	*found = false;
	if (source->capture != NULL && next_captured(source))
		return *found = true;
	if (source->left > 0) {
		*found = source_next_record(source);
		if (*found)
			take_record(source);
		else if (!source_recover(source)) {
			source_left_out(source, "the file has changed");
			source->left = 0;
		}
		return true;
	}
	if (source->reader != NULL && source_next_block(source))
		return true;
	if (source->failed)
		return false;
	if (source->remote != NULL) {
		source->reader = NULL;
		if (next_message(source))
			return true;
		if (source->failed)
			return false;
	}
	return next_operand(source);
}

bool
source_next(struct source *source)
{
	const struct span *span = &source->shared->options->span;
	bool found;

	while (!source->failed && !stop_requested() && step(source, &found)) {
		if (!found)
			continue;
		switch (span_place(span, &source->record)) {
		case SPAN_BEFORE:
			break;
		case SPAN_WITHIN:
			return true;
		case SPAN_BEHIND:
			return false;
		}
	}
	return false;
}
