/* SPDX-License-Identifier: ISC */
/*
 * The files of an archive, in their order.  Tools, and mcrelay-forwarder.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/archive_names.h"
#include "common/util.h"
#include "common/when.h"
#include "tools/common/lines.h"
#include "tools/common/listing.h"

/* What it takes to sort files. */
struct entry {
	struct listed		 listed;
	struct archive_name	 name;
};

static int
compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->listed.line != y->listed.line)
		return x->listed.line < y->listed.line ? -1 : 1;
	if (x->name.started_ns != y->name.started_ns)
		return x->name.started_ns < y->name.started_ns ? -1 : 1;
	if (x->name.first_sequence != y->name.first_sequence)
		return x->name.first_sequence < y->name.first_sequence ? -1 :
		    1;
	return strcmp(x->listed.stem, y->listed.stem);
}

/* Adds the file, if it is one of an archive's datagrams or datums. */
static void
add_entry(struct entry **entry, size_t *entries, const char *text)
{
	struct entry new = { .listed = { .line = LISTING_NO_LINE,
	    .last_ns = INT64_MAX, .last_sequence = INT64_MAX } };
	char *stem = xstrdup(text);
	const size_t size = strlen(text), part = strlen(ARCHIVE_PART);

	new.listed.finished = true;
	if (size > part && strcmp(text + size - part, ARCHIVE_PART) == 0) {
		stem[size - part] = '\0';
		new.listed.finished = false;
	}
	if (!archive_name_parse(stem, NULL, &new.name) ||
	    new.name.kind != ARCHIVE_MAIN ||
	    strcmp(new.name.ending, ARCHIVE_AVRO) != 0) {
		free(stem);
		return;
	}
	new.listed.stem = stem;
	*entry = xgrow(*entry, *entries, sizeof(**entry));
	(*entry)[(*entries)++] = new;
}

static int
by_stem(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->listed.stem,
	    ((const struct entry *)b)->listed.stem);
}

static struct entry *
find_entry(struct entry *entry, size_t entries, const char *stem)
{
	const struct entry key = {
		.listed.stem = (char *)(uintptr_t)stem,
	};

	return bsearch(&key, entry, entries, sizeof(*entry), by_stem);
}

static void
take_line(struct listed *listed, json_t *line, uint64_t number)
{
	json_t *last = json_object_get(line, "last_received");
	json_t *sequence = json_object_get(line, "last_sequence");

	listed->line = number;
	if (json_is_integer(sequence))
		listed->last_sequence = json_integer_value(sequence);
	if (json_object_get(line, "clock_step") != NULL ||
	    !json_is_string(last) ||
	    !when_parse(json_string_value(last), &listed->last_ns))
		listed->last_ns = INT64_MAX;
}

static void
read_lines(struct entry *entry, size_t entries, struct lines *lines)
{
	struct archive_name name;
	struct entry *found;
	json_t *line;

	while ((line = lines_next(lines, &name)) != NULL) {
		found = find_entry(entry, entries, json_string_value(
		    json_object_get(line, "name")));
		if (found != NULL)
			take_line(&found->listed, line, lines->number);
		json_decref(line);
	}
}

/* A line is never taken back, but for a whole catalogue's sake. */
static void
take_known(struct entry *entry, size_t entries, const struct listing *before)
{
	struct entry *found;
	size_t i;

	for (i = 0; i < before->files; i++) {
		found = find_entry(entry, entries, before->file[i].stem);
		if (found == NULL)
			continue;
		found->listed.line = before->file[i].line;
		found->listed.last_ns = before->file[i].last_ns;
		found->listed.last_sequence = before->file[i].last_sequence;
	}
}

/* One that was not in the directory before may have a line from before: it was
 * given another name just then. */
static bool
all_known(const struct entry *entry, size_t entries)
{
	size_t i;

	for (i = 0; i < entries; i++)
		if (entry[i].listed.finished &&
		    entry[i].listed.line == LISTING_NO_LINE)
			return false;
	return true;
}

/* The order in which they were finished is the catalogue's: a clock that was
 * set gives names that say otherwise. */
static void
ask_catalogue(struct entry *entry, size_t entries, int directory,
    const char *path, struct lines_place *place, const struct listing *before)
{
	struct lines lines;
	bool known = false;

	if (entries == 0)
		return;
	qsort(entry, entries, sizeof(*entry), by_stem);
	lines_open(&lines, directory, path);
	if (before->place.to != 0 && lines_go_on(&lines, &before->place)) {
		take_known(entry, entries, before);
		read_lines(entry, entries, &lines);
		known = all_known(entry, entries);
		if (!known) {
			lines_close(&lines);
			lines_open(&lines, directory, path);
		}
	}
	if (!known)
		read_lines(entry, entries, &lines);
	*place = lines.place;
	lines_close(&lines);
}

bool
listing_read_on(struct listing *listing, int directory, const char *path,
    const struct listing *before)
{
	/* With a position of its own. */
	const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	struct entry *entry = NULL;
	size_t entries = 0;
	struct dirent *found;

	*listing = (struct listing){0};
	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return false;
	}
	while ((found = readdir(dir)) != NULL)
		add_entry(&entry, &entries, found->d_name);
	closedir(dir);
	ask_catalogue(entry, entries, directory, path, &listing->place,
	    before);
	if (entries > 0)
		qsort(entry, entries, sizeof(*entry), compare);
	listing->file = xcalloc(entries + 1, sizeof(*listing->file));
	for (; listing->files < entries; listing->files++)
		listing->file[listing->files] = entry[listing->files].listed;
	free(entry);
	return true;
}

bool
listing_read(struct listing *listing, int directory, const char *path)
{
	static const struct listing none;

	return listing_read_on(listing, directory, path, &none);
}

void
listing_free(struct listing *listing)
{
	for (size_t i = 0; i < listing->files; i++)
		free(listing->file[i].stem);
	free(listing->file);
	*listing = (struct listing){0};
}

bool
listing_read_path(struct listing *listing, const char *path)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good;

	*listing = (struct listing){0};
	if (fd == -1)
		return false;
	good = listing_read(listing, fd, path);
	close(fd);
	return good;
}

/* Two changes may have the same time, unless one is so old at the other. */
#define TIME_STEP_NS	(2 * NS_PER_S)

bool
listing_is_due(int directory, uint64_t *changed_ns)
{
	uint64_t now_ns;
	struct stat st;

	if (fstat(directory, &st) == -1)
		return true;
	now_ns = (uint64_t)st.st_mtim.tv_sec * NS_PER_S +
	    (uint64_t)st.st_mtim.tv_nsec;
	if (now_ns == *changed_ns)
		return false;
	*changed_ns = now_ns + TIME_STEP_NS < clock_realtime_ns() ? now_ns :
	    LISTING_NEVER;
	return true;
}
