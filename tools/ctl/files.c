/* SPDX-License-Identifier: ISC */
/*
 * A channel's archive as its catalogue tells it.  mcrelayctl only.  May run
 * as root in a directory that belongs to the workers' user: follows no link
 * there, and takes no name from the catalogue that leads elsewhere.
 */
#include <sys/stat.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/ctl/files.h"

#define CATALOG		"catalog.jsonl"
#define HOLD		"hold"
#define DIRECTORY_FLAGS	(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Calls `visit' for the lines of existing files that touch a time. */
struct query {
	int		 directory;
	const char	*path;			/* of it */
	char		 start[UTC_TEXT_SIZE];	/* "": no limit */
	char		 end[UTC_TEXT_SIZE];
	void		(*visit)(struct query *query, const json_t *line);
	json_t		*found;			/* -j */
	int		 hold;			/* directory of links */
	size_t		 count;
};

/* To the form of the catalogue, of which it may be the beginning only. */
static void
read_time(char time[static UTC_TEXT_SIZE], const char *text)
{
	static const char form[] = "dddddddd" "Tdddddd" ".dddddd";
	const char *p;
	size_t n = 0;

	time[0] = '\0';
	if (text == NULL)
		return;
	for (p = text; *p != '\0' && strcmp(p, "Z") != 0; p++) {
		if (*p == '-' || *p == ':')
			continue;
		if (form[n] == '\0' || (form[n] == 'd' ?
		    !isdigit((unsigned char)*p) : *p != form[n]))
			fatalx("%s is not a time like 20261120T213000 or "
			    "2026-11-20T21:30:00Z", text);
		time[n++] = *p;
	}
	time[n] = '\0';
	if (n < 8)
		fatalx("%s is not a time: it has no full date", text);
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
	const char *name = text_of(line, "name");
	const char *first = text_of(line, "first_received");
	const char *sequence = strrchr(name, '_');

	if (first[0] != '\0' || sequence == NULL ||
	    sequence - name < UTC_TEXT_SIZE - 1)
		return first;
	return sequence - (UTC_TEXT_SIZE - 1);
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

/* A plain name of a file that is there. */
static bool
exists(const struct query *query, const char *name)
{
	struct stat st;

	return name[0] != '\0' && strchr(name, '/') == NULL &&
	    fstatat(query->directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode);
}

static void
open_archive(struct query *query, const json_t *answer)
{
	query->path = text_of(answer, "directory");
	query->directory = open(query->path, DIRECTORY_FLAGS);
	if (query->directory == -1)
		fatal("cannot open %s", query->path);
}

static void
run_query(struct query *query)
{
	int fd = openat(query->directory, CATALOG, O_RDONLY | O_NOFOLLOW |
	    O_CLOEXEC);
	FILE *file = fd == -1 ? NULL : fdopen(fd, "r");
	char *text = NULL;
	size_t room = 0;
	json_t *line;

	if (file == NULL && errno == ENOENT)
		return;
	if (file == NULL)
		fatal("cannot read %s/" CATALOG, query->path);
	while (getline(&text, &room, file) != -1) {
		/* One that is being written just now is torn. */
		line = json_loads(text, 0, NULL);
		if (line != NULL && wanted(query, line) &&
		    exists(query, text_of(line, "name"))) {
			query->visit(query, line);
			query->count++;
		}
		json_decref(line);
	}
	free(text);
	fclose(file);
}

static void
collect(struct query *query, const json_t *line)
{
	json_array_append(query->found, (json_t *)(uintptr_t)line);
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
	printf("%-23s  %-23s  %12" JSON_INTEGER_FORMAT "  %14"
	    JSON_INTEGER_FORMAT "  %s", first_of(line),
	    last[0] != '\0' ? last : "?",
	    json_integer_value(json_object_get(line, "records")),
	    json_integer_value(json_object_get(line, "bytes")),
	    text_of(line, "name"));
	json_object_foreach(losses, key, value)
		if (json_integer_value(value) != 0)
			printf(" %s=%" JSON_INTEGER_FORMAT, key,
			    json_integer_value(value));
	printf("\n");
}

void
files_list(const json_t *answer, const char *start, const char *end,
    bool json)
{
	struct query query = {.visit = json ? collect : print};

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

static void
hold(struct query *query, const json_t *line)
{
	const char *name = text_of(line, "name");

	if (linkat(query->directory, name, query->hold, name, 0) == -1 &&
	    errno != EEXIST)
		fatal("cannot hold %s", name);
}

void
files_hold(const json_t *answer, const char *start, const char *end,
    const char *name)
{
	struct query query = {.visit = hold};
	int above;

	check_name(name);
	read_time(query.start, start);
	read_time(query.end, end);
	open_archive(&query, answer);
	above = open_below(query.directory, HOLD, true);
	query.hold = open_below(above, name, true);
	run_query(&query);
	if (fsync(query.hold) == -1 || fsync(above) == -1)
		fatal("cannot sync %s/" HOLD, query.path);
	if (query.count == 0 && unlinkat(above, name, AT_REMOVEDIR) == 0)
		fatalx("there are no finished files of that time");
	printf("held %zu files in %s/" HOLD "/%s\n", query.count, query.path,
	    name);
	close(query.hold);
	close(above);
	close(query.directory);
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

void
files_release(const json_t *answer, const char *name)
{
	struct query query = {.count = 0};
	int above, fd = -1;
	size_t count;

	check_name(name);
	open_archive(&query, answer);
	above = open_below(query.directory, HOLD, false);
	if (above != -1)
		fd = open_below(above, name, false);
	if (fd == -1)
		fatalx("nothing is held as %s", name);
	count = remove_links(fd);
	if (unlinkat(above, name, AT_REMOVEDIR) == -1)
		fatal("cannot remove %s/" HOLD "/%s", query.path, name);
	unlinkat(query.directory, HOLD, AT_REMOVEDIR);	/* when it is empty */
	printf("released %zu files\n", count);
	close(above);
	close(query.directory);
}
