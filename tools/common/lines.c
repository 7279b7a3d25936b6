/* SPDX-License-Identifier: ISC */
/*
 * Lines of catalogues.  Tools.  Follows no link: the directory is a worker's.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/util.h"
#include "tools/common/lines.h"
#include "tools/common/regular.h"

/*
 * A line comes with one write, but a reader may see it grow page by page.
 * One that has no end after so long a time has been torn.
 */
#define GROW_TRIES	10
#define GROW_NS		(10 * NS_PER_MS)

void
lines_open(struct lines *lines, int directory, const char *path)
{
	const char *why;
	struct stat st;

	*lines = (struct lines){
		.path = xasprintf("%s%s" ARCHIVE_CATALOG, path,
		    *path != '\0' && path[strlen(path) - 1] == '/' ? "" : "/"),
	};
	lines->file = regular_fopen(directory, ARCHIVE_CATALOG, O_NOFOLLOW,
	    &why);
	if (lines->file != NULL && fstat(fileno(lines->file), &st) == 0)
		lines->place.inode = st.st_ino;
	if (lines->file != NULL || errno == ENOENT)
		return;
	log_warnx("cannot read %s: %s", lines->path, why);
	lines->bad++;
}

static void
bad_line(struct lines *lines, const char *why)
{
	log_warnx("%s: line %" PRIu64 " cannot be read: %s", lines->path,
	    lines->number, why);
	lines->bad++;
}

/* Its size; -1 at the end of the file. */
static ssize_t
read_line(struct lines *lines)
{
	const struct timespec pause = {.tv_nsec = GROW_NS};
	const off_t start = ftello(lines->file);
	ssize_t size = -1;

	for (unsigned i = 0; i < GROW_TRIES; i++) {
		size = getline(&lines->text, &lines->room, lines->file);
		if (size < 1 || lines->text[size - 1] == '\n' ||
		    fseeko(lines->file, start, SEEK_SET) == -1)
			break;
		nanosleep(&pause, NULL);
	}
	if (size == -1 && ferror(lines->file) != 0) {
		log_warn("cannot read %s", lines->path);
		lines->bad++;
	}
	return size;
}

/* NULL after telling why. */
static json_t *
parse(struct lines *lines, size_t size, struct archive_name *name)
{
	json_error_t error;
	json_t *line = NULL;
	const char *text;

	if (lines->text[size - 1] != '\n') {
		bad_line(lines, "it is torn");
		return NULL;
	}
	line = json_loadb(lines->text, size, JSON_REJECT_DUPLICATES, &error);
	if (line == NULL) {
		bad_line(lines, error.text);
		return NULL;
	}
	text = json_string_value(json_object_get(line, "name"));
	if (text != NULL && archive_name_parse(text, NULL, name) &&
	    strcmp(name->ending, ARCHIVE_AVRO) == 0)
		return line;
	bad_line(lines, "it has no name of a finished file");
	json_decref(line);
	return NULL;
}

static void
note_place(struct lines *lines, size_t size)
{
	struct lines_place *place = &lines->place;

	place->from = place->to;
	place->to += (off_t)size;
	place->hash = hash_bytes64(HASH_BEGIN64, lines->text, size);
	place->number = lines->number;
}

json_t *
lines_next(struct lines *lines, struct archive_name *name)
{
	json_t *line = NULL;
	ssize_t size;

	while (line == NULL && lines->file != NULL) {
		size = read_line(lines);
		if (size < 1)
			return NULL;
		lines->number++;
		line = parse(lines, (size_t)size, name);
		/* A torn line is the last, and has been left to be read. */
		if (lines->text[size - 1] != '\n')
			return NULL;
		note_place(lines, (size_t)size);
	}
	return line;
}

bool
lines_go_on(struct lines *lines, const struct lines_place *place)
{
	ssize_t size;

	if (lines->file == NULL || place->to == 0)
		return place->to == 0;
	if (place->inode != lines->place.inode ||
	    fseeko(lines->file, place->from, SEEK_SET) == -1)
		return false;
	size = getline(&lines->text, &lines->room, lines->file);
	if (size == place->to - place->from && place->hash ==
	    hash_bytes64(HASH_BEGIN64, lines->text, (size_t)size)) {
		lines->place = *place;
		lines->number = place->number;
		return true;
	}
	rewind(lines->file);
	return false;
}

void
lines_close(struct lines *lines)
{
	if (lines->file != NULL)
		fclose(lines->file);
	free(lines->text);
	free(lines->path);
	*lines = (struct lines){0};
}
