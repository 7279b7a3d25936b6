/* SPDX-License-Identifier: ISC */
/*
 * A channel's archive as its catalogue tells it.  mcrelayctl only.  May run
 * as root in a directory that belongs to the workers' user: follows no link
 * there, and takes no name from the catalogue that leads elsewhere.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/archive_names.h"
#include "common/log.h"
#include "common/printable.h"
#include "common/util.h"
#include "common/when.h"
#include "tools/common/lines.h"
#include "tools/common/regular.h"
#include "tools/ctl/files.h"

#define DIRECTORY_FLAGS	(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Calls `visit' for the lines that touch a time: those of existing files. */
struct query {
	int		 directory;
	const char	*path;			/* of it */
	char		 start[UTC_TEXT_SIZE];	/* "": no limit */
	char		 end[UTC_TEXT_SIZE];
	bool		 losses;		/* lines without a file, too */
	void		(*visit)(struct query *query, const json_t *line);
	json_t		*found;			/* -j */
	int		 hold;			/* directory of links */
	size_t		 count;
	size_t		 failed;		/* after a log line each */
};

/* To the form of the catalogue. */
static void
read_time(char time[static UTC_TEXT_SIZE], const char *text)
{
	int64_t ns;

	time[0] = '\0';
	if (text == NULL)
		return;
	if (!when_parse(text, &ns))
		fatalx("%s is not a time like 20261120T213000 or "
		    "2026-11-20T21:30:00Z", text);
	format_utc((uint64_t)ns, time);
}

static const char *
text_of(const json_t *line, const char *key)
{
	const char *text = json_string_value(json_object_get(line, key));

	return text != NULL ? text : "";
}

/* When the file began: as its name says when the line does not. */
static const char *
first_of(const json_t *line)
{
	const char *first = text_of(line, "first_received");

	if (first[0] != '\0')
		return first;
	/* lines_next() has seen to it that it is there. */
	return strrchr(text_of(line, "name"), '_') - (UTC_TEXT_SIZE - 1);
}

static bool
wanted(const struct query *query, const json_t *line)
{
	const char *last = text_of(line, "last_received");

	if (query->end[0] != '\0' && strcmp(first_of(line), query->end) >= 0)
		return false;
	return query->start[0] == '\0' || last[0] == '\0' ||
	    strcmp(last, query->start) >= 0;
}

/* One that is not there any more was removed. */
static bool
exists(struct query *query, const char *name)
{
	const char *why;

	if (regular_is(query->directory, name, O_NOFOLLOW, &why))
		return true;
	if (errno != ENOENT) {
		log_warnx("%s/%s: %s", query->path, name, why);
		query->failed++;
	}
	return false;
}

static void
open_archive(struct query *query, const json_t *answer)
{
	query->path = text_of(answer, "directory");
	query->directory = open(query->path, DIRECTORY_FLAGS);
	if (query->directory == -1)
		fatal("cannot open %s", query->path);
}

/* A line for what could not be stored at a channel's end; see
 * mcrelay-worker(8). */
static bool
never_written(const json_t *line)
{
	const json_t *bytes = json_object_get(line, "bytes");

	return json_is_integer(bytes) && json_integer_value(bytes) == 0;
}

static void
run_query(struct query *query)
{
	struct archive_name name;
	struct lines lines;
	json_t *line;

	lines_open(&lines, query->directory, query->path);
	while ((line = lines_next(&lines, &name)) != NULL) {
		if (wanted(query, line) && (never_written(line) ?
		    query->losses : exists(query, text_of(line, "name"))))
			query->visit(query, line);
		json_decref(line);
	}
	query->failed += lines.bad;
	lines_close(&lines);
}

static void
collect(struct query *query, const json_t *line)
{
	json_array_append(query->found, (json_t *)(uintptr_t)line);
	query->count++;
}

static void
print(struct query *query, const json_t *line)
{
	const char *last = text_of(line, "last_received");
	const json_t *value;
	const char *key;
	json_t *losses = json_object_get(line, "losses");

	if (query->count == 0)
		printf("%-23s  %-23s  %12s  %14s  %s\n", "FIRST", "LAST",
		    "RECORDS", "BYTES", "NAME AND LOSSES");
	printable_print(stdout, "%-23s  %-23s  %12" JSON_INTEGER_FORMAT "  %14"
	    JSON_INTEGER_FORMAT "  %s", first_of(line),
	    last[0] != '\0' ? last : "?",
	    json_integer_value(json_object_get(line, "records")),
	    json_integer_value(json_object_get(line, "bytes")),
	    never_written(line) ? "(never written)" : text_of(line, "name"));
	json_object_foreach(losses, key, value)
		if (json_integer_value(value) != 0)
			printable_print(stdout, " %s=%" JSON_INTEGER_FORMAT,
			    key,
			    json_integer_value(value));
	printf("\n");
	query->count++;
}

int
files_list(const json_t *answer, const char *start, const char *end,
    bool json)
{
	struct query query = {.visit = json ? collect : print,
	    .losses = true};

	read_time(query.start, start);
	read_time(query.end, end);
	open_archive(&query, answer);
	query.found = json_array();
	run_query(&query);
	if (json) {
		json_dumpf(query.found, stdout, JSON_INDENT(2));
		printf("\n");
	}
	json_decref(query.found);
	close(query.directory);
	return query.failed == 0 ? 0 : 1;
}

static void
check_name(const char *name)
{
	if (name[0] == '\0' || name[0] == '.' || strlen(name) > 64 ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789._-") != strlen(name))
		fatalx("%s is not a name of letters, digits, `.', `_' and "
		    "`-'", name);
}

static int
open_below(int directory, const char *name, bool make)
{
	int fd;

	if (make && mkdirat(directory, name, 0755) == -1 && errno != EEXIST)
		fatal("cannot make the directory %s", name);
	fd = openat(directory, name, DIRECTORY_FLAGS);
	if (fd == -1 && (make || errno != ENOENT))
		fatal("cannot open the directory %s", name);
	return fd;
}

/* Whether what is held by that name is this file. */
static bool
is_held(const struct query *query, const char *name)
{
	struct stat file, link;

	return fstatat(query->directory, name, &file,
	    AT_SYMLINK_NOFOLLOW) == 0 && fstatat(query->hold, name, &link,
	    AT_SYMLINK_NOFOLLOW) == 0 && file.st_ino == link.st_ino &&
	    file.st_dev == link.st_dev;
}

static void
hold(struct query *query, const json_t *line)
{
	const char *name = text_of(line, "name");

	if (linkat(query->directory, name, query->hold, name, 0) == 0 ||
	    (errno == EEXIST && is_held(query, name))) {
		query->count++;
		return;
	}
	log_warn("cannot hold %s", name);
	query->failed++;
}

int
files_hold(const json_t *answer, const char *start, const char *end,
    const char *name)
{
	struct query query = {.visit = hold};
	int above;

	check_name(name);
	read_time(query.start, start);
	read_time(query.end, end);
	open_archive(&query, answer);
	above = open_below(query.directory, ARCHIVE_HOLD, true);
	query.hold = open_below(above, name, true);
	run_query(&query);
	if (fsync(query.hold) == -1 || fsync(above) == -1)
		fatal("cannot sync %s/" ARCHIVE_HOLD, query.path);
	if (query.count == 0 && unlinkat(above, name, AT_REMOVEDIR) == 0 &&
	    query.failed == 0)
		fatalx("there are no finished files of that time");
	printable_print(stdout, "held %zu files in %s/" ARCHIVE_HOLD "/%s\n",
	    query.count, query.path, name);
	if (query.failed != 0)
		log_warnx("there may be files of that time that are not held: "
		    "see above");
	close(query.hold);
	close(above);
	close(query.directory);
	return query.failed == 0 ? 0 : 1;
}

static size_t
remove_links(int directory)
{
	DIR *dir = fdopendir(directory);
	struct dirent *entry;
	size_t count = 0;

	if (dir == NULL)
		fatal("cannot read the directory");
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) == -1)
			fatal("cannot remove %s", entry->d_name);
		count++;
	}
	closedir(dir);
	return count;
}

int
files_release(const json_t *answer, const char *name)
{
	struct query query = {.count = 0};
	int above, fd = -1;
	size_t count;

	check_name(name);
	open_archive(&query, answer);
	above = open_below(query.directory, ARCHIVE_HOLD, false);
	if (above != -1)
		fd = open_below(above, name, false);
	if (fd == -1)
		fatalx("nothing is held as %s", name);
	count = remove_links(fd);
	if (unlinkat(above, name, AT_REMOVEDIR) == -1)
		fatal("cannot remove %s/" ARCHIVE_HOLD "/%s", query.path, name);
	/* When it is empty. */
	unlinkat(query.directory, ARCHIVE_HOLD, AT_REMOVEDIR);
	printf("released %zu files\n", count);
	close(above);
	close(query.directory);
	return 0;
}
