/* SPDX-License-Identifier: ISC */
/*
 * Events of finished files.  Supervisor only.  The lines come from memory that
 * the worker writes to: what of one is passed on is a flat object of plain
 * values, of a file that can be the channel's.
 */
#include <inttypes.h>
#include <string.h>

#include "common/archive_names.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

/* Members of a line, and of its losses. */
#define MEMBERS_MAX	64U

static bool
is_plain(const json_t *value)
{
	return json_is_string(value) || json_is_number(value) ||
	    json_is_null(value);
}

static bool
is_flat(const json_t *object, bool nested)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object) || json_object_size(object) > MEMBERS_MAX)
		return false;
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
		if (!is_plain(value) && (!nested ||
		    strcmp(key, "losses") != 0 || !is_flat(value, false)))
			return false;
	return true;
}

/* Ours are plain ASCII, and need no escapes. */
static bool
is_ascii(const char *line)
{
	for (; *line != '\0'; line++)
		if ((*line < ' ' || *line > '~' || *line == '\\') &&
		    *line != '\n')
			return false;
	return true;
}

/* NULL: it is no line that the catalogue of this channel could have. */
static json_t *
read_line(const struct channel *channel, const char *line)
{
	json_t *object = !is_ascii(line) ? NULL : json_loadb(line,
	    strlen(line), JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(object, "name"));
	struct archive_name is;

	if (name != NULL && archive_name_parse(name, channel->name, &is) &&
	    strcmp(is.ending, ARCHIVE_AVRO) == 0 && is_flat(object, true))
		return object;
	json_decref(object);
	return NULL;
}

/* A file that never was, but for its losses: mcrelay-worker(8). */
static bool
is_loss(const json_t *file)
{
	const json_t *bytes = json_object_get(file, "bytes");

	return json_is_integer(bytes) && json_integer_value(bytes) == 0;
}

static void
tell_loss(struct channel *channel, json_t *file)
{
	events_add(channel->supervisor, channel, EVENT_FILE,
	    json_pack("{s:O, s:b}", "file", file, "lost", 1),
	    "datagrams %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
	    " could not be stored when it ended",
	    json_integer_value(json_object_get(file, "first_sequence")),
	    json_integer_value(json_object_get(file, "last_sequence")));
}

static void
tell_finished(struct channel *channel, json_t *file)
{
	events_add(channel->supervisor, channel, EVENT_FILE,
	    json_pack("{s:O}", "file", file),
	    "%s is finished: %" JSON_INTEGER_FORMAT " records, %"
	    JSON_INTEGER_FORMAT " bytes",
	    json_string_value(json_object_get(file, "name")),
	    json_integer_value(json_object_get(file, "records")),
	    json_integer_value(json_object_get(file, "bytes")));
}

static void
tell_file(struct channel *channel, const char *line)
{
	static struct log_limit limit;
	json_t *file = read_line(channel, line);

	if (file == NULL) {
		log_limited(&limit, "channel %s: its worker tells of a file "
		    "in what is no line of a catalogue: left out",
		    channel->name);
		return;
	}
	if (is_loss(file))
		tell_loss(channel, file);
	else
		tell_finished(channel, file);
	json_decref(file);
}

/* The first line that has not been told, and of how many nothing is known. */
static uint64_t
first_untold(const struct finished *finished, uint64_t *lost)
{
	uint64_t count = finished_count(finished);
	uint64_t read = atomic_load_explicit(&finished->read,
	    memory_order_relaxed);
	uint64_t here = MIN_OF(count, (uint64_t)FINISHED_LINES - 1);

	*lost = 0;
	/* More than there have been: somebody else has written it. */
	if (read > count)
		return count;
	if (count - read > here)
		*lost = count - read - here;
	return read + *lost;
}

void
tell_files_again(struct channel *channel)
{
	struct finished *finished = &channel->segment.state->finished;
	uint64_t count = finished_count(finished);

	atomic_store_explicit(&finished->read, count - MIN_OF(count,
	    (uint64_t)FINISHED_LINES - 1), memory_order_relaxed);
}

void
tell_files_end(struct channel *channel)
{
	struct event_budget *budget = &channel->told.files;
	struct finished *finished;
	uint64_t at, count, lost;

	if (channel->segment.base == NULL)
		return;
	tell_files(channel);
	finished = &channel->segment.state->finished;
	at = first_untold(finished, &lost);
	count = MAX_OF(finished_count(finished), at);
	budget->suppressed += MIN_OF(lost, UINT64_MAX / 4) +
	    MIN_OF(count - at, (uint64_t)FINISHED_LINES);
	atomic_store_explicit(&finished->read, count, memory_order_relaxed);
}

void
tell_files_of(struct channel *channel, const json_t *lines)
{
	const char *line;
	size_t i;

	for (i = 0; i < MIN_OF(json_array_size(lines), (size_t)FINISHED_LINES);
	    i++) {
		line = json_string_value(json_array_get(lines, i));
		if (line == NULL || strlen(line) >= FINISHED_LINE_SIZE)
			continue;
		if (events_welcome(channel, EVENT_FILE))
			tell_file(channel, line);
		else
			channel->told.files.suppressed++;
	}
}

void
tell_files(struct channel *channel)
{
	char line[FINISHED_LINE_SIZE];
	struct finished *finished;
	uint64_t at, count, lost;

	if (channel->segment.base == NULL ||
	    !events_welcome(channel, EVENT_FILE))
		return;
	finished = &channel->segment.state->finished;
	at = first_untold(finished, &lost);
	count = MIN_OF(finished_count(finished), at + FINISHED_LINES);
	for (; at < count && events_welcome(channel, EVENT_FILE); at++) {
		if (finished_copy(finished, at, line))
			tell_file(channel, line);
		else
			lost++;
	}
	atomic_store_explicit(&finished->read, at, memory_order_relaxed);
	if (lost == 0)
		return;
	lost = MIN_OF(lost, (uint64_t)INT64_MAX);
	events_add(channel->supervisor, channel, EVENT_SUPPRESSED,
	    json_pack("{s:I, s:s}", "count", (json_int_t)lost, "of", "file"),
	    "%" PRIu64 " files were finished too fast to be told: their lines "
	    "are in the catalogue", lost);
}
