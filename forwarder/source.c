/* SPDX-License-Identifier: ISC */
/*
 * A channel's archive, followed.  mcrelay-forwarder.
 */
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "forwarder/source.h"
#include "tools/common/lines.h"

/* A file that was finished has its line in the catalogue long before. */
#define RESOLVE_NS	(10 * NS_PER_S)

/*** What has been seen. ***/

static int
compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool
was_seen(struct source *source, const char *stem)
{
	return tfind(stem, &source->seen, compare_text) != NULL;
}

static void
note_seen(struct source *source, const char *stem)
{
	char *copy;

	if (was_seen(source, stem))
		return;
	copy = xstrdup(stem);
	if (tsearch(copy, &source->seen, compare_text) == NULL)
		fatalx("out of memory");
}

/*** Where to go on. ***/

/* The line of a file that may have been removed since. */
static uint64_t
line_of(const struct source *source, const char *stem)
{
	uint64_t number = LISTING_NO_LINE;
	struct archive_name name;
	struct lines lines;
	json_t *line;

	lines_open(&lines, source->directory, source->path);
	while ((line = lines_next(&lines, &name)) != NULL) {
		if (strcmp(json_string_value(json_object_get(line, "name")),
		    stem) == 0)
			number = lines.number;
		json_decref(line);
	}
	lines_close(&lines);
	return number;
}

static bool
began_before(const char *a, const char *b)
{
	struct archive_name x, y;

	if (!archive_name_parse(a, NULL, &x) ||
	    !archive_name_parse(b, NULL, &y))
		return false;
	if (x.started_ns != y.started_ns)
		return x.started_ns < y.started_ns;
	return x.first_sequence < y.first_sequence;
}

enum order {
	IS_BEFORE,
	IS_BEHIND,
	IS_UNRESOLVED,
};

/*
 * Whether a file has been forwarded, since another one has been begun.  The
 * names are no help where a clock was set: one that is being written has not
 * been finished before any other, and was not forwarded before it was.
 */
static enum order
order_of(const struct listed *file, const char *stem, uint64_t line)
{
	if (file->line != LISTING_NO_LINE)
		return line == LISTING_NO_LINE || file->line < line ?
		    IS_BEFORE : IS_BEHIND;
	if (line != LISTING_NO_LINE || !file->finished)
		return IS_BEHIND;
	return strcmp(file->stem, stem) == 0 ? IS_BEHIND : IS_UNRESOLVED;
}

/* It goes on from what is known of the catalogue. */
static bool
read_listing(struct source *source, struct listing *listing)
{
	return listing_read_on(listing, source->directory, source->path,
	    &source->listing);
}

static void
take_listing(struct source *source, const struct listing *listing)
{
	listing_free(&source->listing);
	source->listing = *listing;
	source->at = 0;
}

/* It says nothing any more of what comes next. */
static void
drop_listing(struct source *source)
{
	source->at = source->listing.files;
}

static void
forget(struct source *source)
{
	if (source->open)
		followed_close(&source->file);
	source->open = false;
	source->changed_ns = LISTING_NEVER;
	drop_listing(source);
	tdestroy(source->seen, free);
	source->seen = NULL;
}

/* Whether the catalogue can still be waited for. */
static bool
may_wait(struct source *source)
{
	const uint64_t now = clock_monotonic_ns();

	if (source->unresolved_ns == 0)
		source->unresolved_ns = now;
	return now - source->unresolved_ns < RESOLVE_NS;
}

/* Whoever comes before `stem' is seen; false: that cannot be told yet. */
static bool
leave_out(struct source *source, const struct listing *listing,
    const char *stem)
{
	uint64_t line = LISTING_NO_LINE;
	const struct listed *file;
	bool known = false;
	enum order order;
	size_t i;

	for (i = 0; i < listing->files; i++)
		if (strcmp(listing->file[i].stem, stem) == 0) {
			known = true;
			line = listing->file[i].line;
		}
	if (!known)
		line = line_of(source, stem);
	known = known || line != LISTING_NO_LINE;
	for (i = 0; i < listing->files; i++) {
		file = &listing->file[i];
		order = known ? order_of(file, stem, line) : IS_UNRESOLVED;
		if (order == IS_UNRESOLVED && known && may_wait(source))
			return false;
		if (order == IS_UNRESOLVED)
			order = began_before(file->stem, stem) ? IS_BEFORE :
			    IS_BEHIND;
		if (order == IS_BEFORE)
			note_seen(source, file->stem);
	}
	return true;
}

void
source_init(struct source *source, int directory, const char *path)
{
	memset(source, 0, sizeof(*source));
	source->changed_ns = LISTING_NEVER;
	source->directory = directory;
	source->path = path;
}

static bool
open_file(struct source *source, const char *stem)
{
	const char *why = NULL;
	enum followed_status status = followed_open(&source->file,
	    source->directory, stem, &why);

	if (status == FOLLOWED_NOTHING)
		return false;
	if (status == FOLLOWED_UNUSABLE)
		log_warnx("channel %s: %s cannot be forwarded: %s",
		    source->path, stem, why);
	note_seen(source, stem);
	source->open = status == FOLLOWED_BLOCK;
	if (source->open)
		snprintf(source->stem, sizeof(source->stem), "%s", stem);
	return source->open;
}

bool
source_seek(struct source *source, const char *stem, uint64_t records)
{
	struct listing listing;
	bool good = true;

	forget(source);
	if (*stem == '\0')
		return true;
	if (!read_listing(source, &listing)) {
		log_warn("channel %s: its archive", source->path);
		return false;
	}
	good = leave_out(source, &listing, stem);
	take_listing(source, &listing);
	drop_listing(source);
	if (!good)
		return false;
	source->unresolved_ns = 0;
	if (open_file(source, stem))
		source->file.taken = records;
	/* Or it is gone, and what was not forwarded of it. */
	note_seen(source, stem);
	return true;
}

/*** Going on. ***/

/*
 * The next file of the listing that was not seen yet; NULL: it has to be made
 * anew.  What the catalogue has stays in its place; the rest is only known for
 * now.
 */
static const char *
next_listed(struct source *source, bool fresh)
{
	const struct listed *file;

	for (; source->at < source->listing.files; source->at++) {
		file = &source->listing.file[source->at];
		if (!was_seen(source, file->stem))
			return fresh || file->line != LISTING_NO_LINE ?
			    file->stem : NULL;
	}
	return NULL;
}

/* Opens the first file that was not seen yet. */
static bool
open_next(struct source *source)
{
	const char *stem = next_listed(source, false);
	bool fresh = stem == NULL;
	struct listing listing;

	if (fresh) {
		drop_listing(source);
		if (!listing_is_due(source->directory,
		    &source->changed_ns) || !read_listing(source, &listing))
			return false;
		take_listing(source, &listing);
		stem = next_listed(source, true);
	}
	while (stem != NULL && !open_file(source, stem)) {
		/* It has no header yet, which is no change of the
		 * directory. */
		if (!was_seen(source, stem)) {
			source->changed_ns = LISTING_NEVER;
			drop_listing(source);
			return false;
		}
		stem = next_listed(source, fresh);
	}
	return source->open;
}

enum source_status
source_next(struct source *source, struct reader_block *block, uint64_t *skip)
{
	const char *why = NULL;

	for (;;) {
		if (!source->open && !open_next(source))
			return SOURCE_NOTHING;
		switch (followed_next(&source->file, block, skip, &why)) {
		case FOLLOWED_BLOCK:
			return SOURCE_BLOCK;
		case FOLLOWED_NOTHING:
			return SOURCE_NOTHING;
		case FOLLOWED_UNUSABLE:
			log_warnx("channel %s: %s cannot be read any further: "
			    "%s", source->path, source->stem, why);
			break;
		case FOLLOWED_END:
			break;
		}
		followed_close(&source->file);
		source->open = false;
		source->changed_ns = LISTING_NEVER;
	}
}

static uint64_t
age_of(const struct stat *st)
{
	const uint64_t now = clock_realtime_ns();
	const uint64_t then = (uint64_t)st->st_mtim.tv_sec * NS_PER_S +
	    (uint64_t)st->st_mtim.tv_nsec;

	return now > then ? now - then : 0;
}

uint64_t
source_left(struct source *source, source_each *each, void *argument)
{
	char part[ARCHIVE_NAME_SIZE + sizeof(ARCHIVE_PART)];
	struct listing listing;
	uint64_t left = 0;
	struct stat st = {0};
	size_t i;

	if (source->open && fstat(source->file.reader.fd, &st) == 0 &&
	    (uint64_t)st.st_size > source->file.reader.walk.offset)
		left = (uint64_t)st.st_size - source->file.reader.walk.offset;
	if (!read_listing(source, &listing))
		return left;
	for (i = 0; i < listing.files; i++) {
		if (was_seen(source, listing.file[i].stem))
			continue;
		if (each != NULL)
			each(argument, left, age_of(&st));
		snprintf(part, sizeof(part), "%s%s", listing.file[i].stem,
		    listing.file[i].finished ? "" : ARCHIVE_PART);
		if (fstatat(source->directory, part, &st,
		    AT_SYMLINK_NOFOLLOW) == 0)
			left += (uint64_t)st.st_size;
	}
	listing_free(&listing);
	return left;
}
