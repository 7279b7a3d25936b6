/* SPDX-License-Identifier: ISC */
/*
 * What is missing between consecutive files of a channel.  mcrelay-verify.
 *
 * Files are consecutive when they are given one after the other, in one
 * directory, and their names differ only in time and sequence.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/archive_names.h"
#include "common/util.h"
#include "tools/verify/verify.h"

/*
 * `directory/channel' of `directory/channel_TIME_SEQUENCE.avro', or NULL.
 * Rejected datagrams never have consecutive numbers.
 */
static char *
channel_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *text = slash != NULL ? slash + 1 : path;
	struct archive_name name;

	if (!archive_name_parse(text, NULL, &name) ||
	    name.kind != ARCHIVE_MAIN)
		return NULL;
	return xasprintf("%.*s", (int)((size_t)(text - path) +
	    name.channel_size), path);
}

/* The file's first and last sequence number: its records', else the
 * catalogue's. */
static bool
find_span(json_t *line, const struct summary *summary, int64_t *first,
    int64_t *last)
{
	json_t *from = json_object_get(line, "first_sequence");
	json_t *to = json_object_get(line, "last_sequence");

	if (json_is_integer(from) && json_is_integer(to)) {
		/* These know of what is rejected at the ends, too. */
		*first = json_integer_value(from);
		*last = json_integer_value(to);
		return true;
	}
	*first = summary->first_sequence;
	*last = summary->last_sequence;
	return summary->sequence_known;
}

/* Files of the channel that the catalogue has in the gap. */
static void
name_files(const struct gaps *gaps, json_t *files, int64_t from, int64_t to)
{
	const char *name, *slash = strrchr(gaps->channel, '/');
	const char *channel = slash != NULL ? slash + 1 : gaps->channel;
	struct archive_name parsed;
	json_t *line, *first;

	json_object_foreach(files, name, line) {
		first = json_object_get(line, "first_sequence");
		if (archive_name_parse(name, channel, &parsed) &&
		    parsed.kind == ARCHIVE_MAIN && json_is_integer(first) &&
		    json_integer_value(first) >= from &&
		    json_integer_value(first) <= to)
			say(stdout, "; the catalogue has %s", name);
	}
}

/* What the ledger counted while the file was written. */
static void
name_losses(json_t *line)
{
	const char *name, *before = "; while it was written: ";
	json_t *count;

	json_object_foreach(json_object_get(line, "losses"), name, count) {
		if (json_integer_value(count) == 0)
			continue;
		say(stdout, "%s%s %" JSON_INTEGER_FORMAT, before, name,
		    json_integer_value(count));
		before = ", ";
	}
}

void
gaps_file(struct gaps *gaps, struct catalog *catalog, const char *path,
    const struct summary *summary)
{
	json_t *line = catalog_find(catalog, path);
	char *channel = channel_of(path);
	int64_t first, last, from;

	if (channel == NULL || !find_span(line, summary, &first, &last)) {
		free(channel);
		gaps_end(gaps);
		return;
	}
	/* A lower number is that of another run of mcrelayd. */
	if (gaps->channel != NULL && strcmp(channel, gaps->channel) == 0 &&
	    !__builtin_add_overflow(gaps->last, 1, &from) && first > from) {
		say(stdout, "%s: sequence %" PRId64 " to %" PRId64 " is "
		    "neither in it nor in the file before", path, from,
		    first - 1);
		name_files(gaps, catalog->files, from, first - 1);
		name_losses(line);
		printf("\n");
	}
	gaps_end(gaps);
	gaps->channel = channel;
	gaps->last = last;
}

void
gaps_end(struct gaps *gaps)
{
	free(gaps->channel);
	gaps->channel = NULL;
}
