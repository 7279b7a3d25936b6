/* SPDX-License-Identifier: ISC */
/*
 * A catalogue made anew from the files of a channel's directory.
 * mcrelay-verify.  Must not lose a line that can be read, nor the old
 * catalogue: it stays under another name.
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

#include "common/log.h"
#include "common/rename.h"
#include "common/util.h"
#include "tools/common/lines.h"
#include "tools/common/regular.h"
#include "tools/verify/verify.h"

#define NEW_NAME	ARCHIVE_CATALOG ".new"
#define OLD_NAME	ARCHIVE_CATALOG ".old"
#define OLD_MAX		1000
#define OLD_SIZE	(sizeof(OLD_NAME) + 5)

struct entry {
	uint64_t	 started_ns;
	uint64_t	 sequence;
	uint64_t	 number;	/* its old line; UINT64_MAX: none */
	json_t		*line;
};

struct rebuild {
	const char		*path;
	int			 directory;
	struct stat		 before;	/* of the catalogue */
	bool			 was_there;
	json_t			*old;		/* its lines by name */
	json_t			*number;	/* and their numbers */
	struct entry		*entry;
	size_t			 count;
	size_t			 files;		/* of them, those there are */
	enum verify_status	 status;
};

static void
add_entry(struct rebuild *rebuild, const struct archive_name *name,
    json_t *line)
{
	const json_t *number = json_object_get(rebuild->number,
	    json_string_value(json_object_get(line, "name")));

	rebuild->entry = xgrow(rebuild->entry, rebuild->count,
	    sizeof(*rebuild->entry));
	rebuild->entry[rebuild->count++] = (struct entry){
		.started_ns = name->started_ns,
		.sequence = name->first_sequence,
		.number = number == NULL ? UINT64_MAX :
		    (uint64_t)json_integer_value(number),
		.line = line,
	};
}

static int
by_start(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->started_ns != y->started_ns)
		return x->started_ns < y->started_ns ? -1 : 1;
	if (x->sequence != y->sequence)
		return x->sequence < y->sequence ? -1 : 1;
	return strcmp(json_string_value(json_object_get(x->line, "name")),
	    json_string_value(json_object_get(y->line, "name")));
}

/* Those without a number last, by their start. */
static int
by_number(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return by_start(a, b);
}

/* False after a log line when there is a catalogue that cannot be read. */
static bool
read_old(struct rebuild *rebuild)
{
	struct archive_name name;
	struct lines lines;
	const char *text;
	json_t *line;
	bool good;

	lines_open(&lines, rebuild->directory, rebuild->path);
	good = lines.bad == 0;
	rebuild->was_there = lines.file != NULL;
	if (rebuild->was_there && fstat(fileno(lines.file),
	    &rebuild->before) == -1) {
		log_warn("fstat");
		good = false;
	}
	while ((line = lines_next(&lines, &name)) != NULL) {
		text = json_string_value(json_object_get(line, "name"));
		json_object_set_new(rebuild->number, text,
		    json_integer((json_int_t)lines.number));
		json_object_set_new(rebuild->old, text, line);
	}
	if (lines.file != NULL && ferror(lines.file) != 0)
		good = false;
	lines_close(&lines);
	return good;
}

static json_t *
time_of(int64_t ns)
{
	char text[UTC_TEXT_SIZE];

	if (ns == RECORDS_NO_TIME || ns < 0)
		return json_null();
	format_utc((uint64_t)ns, text);
	return json_string(text);
}

/* What the old line knows is better: the worker has counted what is not in
 * the file, too. */
static void
set(json_t *line, const json_t *old, const char *key, json_t *value)
{
	json_t *known = json_object_get(old, key);

	if (known == NULL || json_typeof(known) == JSON_NULL) {
		json_object_set_new(line, key, value);
		return;
	}
	json_decref(value);
	json_object_set(line, key, known);
}

static json_t *
integer_or_null(bool known, int64_t value)
{
	return known ? json_integer(value) : json_null();
}

static json_t *
make_line(const char *text, const struct archive_name *name,
    const struct reader *reader, const struct summary *summary,
    const json_t *old)
{
	const bool datagrams = reader->records.datagrams;
	const int64_t none = RECORDS_NO_TIME;
	json_t *line = json_object();

	/* The members of worker/archive/catalog.c, in their order. */
	json_object_set_new(line, "name", json_string(text));
	json_object_set_new(line, "stream",
	    json_string(archive_kind_name(name->kind)));
	set(line, old, "first_sequence",
	    json_integer((json_int_t)name->first_sequence));
	set(line, old, "last_sequence", integer_or_null(
	    summary->sequence_known, summary->last_sequence));
	set(line, old, "first_received",
	    time_of(datagrams ? summary->first_ns : none));
	set(line, old, "last_received",
	    time_of(datagrams ? summary->last_ns : none));
	set(line, old, "datagrams", integer_or_null(datagrams,
	    (int64_t)summary->records));
	json_object_set_new(line, "records",
	    json_integer((json_int_t)summary->records));
	json_object_set_new(line, "bytes",
	    json_integer((json_int_t)summary->bytes));
	json_object_set_new(line, "codec", json_string(reader->codec_name));
	if (json_object_get(old, "clock_step") != NULL)
		json_object_set(line, "clock_step",
		    json_object_get(old, "clock_step"));
	set(line, old, "losses", json_null());
	return line;
}

static void
add_file(struct rebuild *rebuild, const char *text,
    const struct archive_name *name)
{
	struct summary summary = {
		.first_ns = RECORDS_NO_TIME,
		.last_ns = RECORDS_NO_TIME,
	};
	enum reader_status status;
	struct reader_block block;
	struct reader reader;

	status = reader_open_at(&reader, rebuild->directory, text, O_NOFOLLOW,
	    &summary.why);
	if (status == READER_OK) {
		while ((status = reader_next(&reader, &block,
		    &summary.why)) == READER_OK)
			summary_add(&summary, &block);
		summary.bytes = reader.walk.size;
		if (status == READER_END) {
			add_entry(rebuild, name, make_line(text, name,
			    &reader, &summary, json_object_get(rebuild->old,
			    text)));
			json_object_del(rebuild->old, text);
			rebuild->files++;
		}
		reader_close(&reader);
	}
	if (status != READER_END) {
		say(stdout, "%s/%s: unusable: %s\n", rebuild->path, text,
		    summary.why);
		rebuild->status = VERIFY_UNUSABLE;
	} else if (summary.damaged != 0) {
		say(stdout, "%s/%s: damaged in %" PRIu64 " places\n",
		    rebuild->path, text, summary.damaged);
		rebuild->status = MAX_OF(rebuild->status,
		    (enum verify_status)VERIFY_DAMAGED);
	}
}

/* False after a log line. */
static bool
read_files(struct rebuild *rebuild)
{
	const int fd = openat(rebuild->directory, ".", O_RDONLY |
	    O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	struct archive_name name;
	struct dirent *entry;

	if (dir == NULL) {
		log_warn("cannot read the directory %s", rebuild->path);
		return false;
	}
	while ((entry = readdir(dir)) != NULL)
		if (archive_name_parse(entry->d_name, NULL, &name) &&
		    strcmp(name.ending, ARCHIVE_AVRO) == 0)
			add_file(rebuild, entry->d_name, &name);
	closedir(dir);
	return true;
}

/* Lines of files that are gone stay, as they do in the worker's catalogue. */
static void
add_rest(struct rebuild *rebuild)
{
	struct archive_name name;
	const char *text;
	json_t *line;

	json_object_foreach(rebuild->old, text, line)
		if (archive_name_parse(text, NULL, &name))
			add_entry(rebuild, &name, json_incref(line));
	if (rebuild->count > 0)
		qsort(rebuild->entry, rebuild->count, sizeof(*rebuild->entry),
		    by_number);
}

/*
 * Lines are in the order in which files were finished, which the old ones keep,
 * whatever a clock said.  New ones stand where their times put them.
 */
static void
order(struct rebuild *rebuild)
{
	const struct entry *entry = rebuild->entry;
	size_t known, next, new, n = 0, count = rebuild->count;
	struct entry *ordered = xcalloc(count, sizeof(*ordered));

	for (known = 0; known < count && entry[known].number != UINT64_MAX;
	    known++)
		continue;
	for (next = 0, new = known; next < known || new < count;)
		ordered[n++] = new == count || (next < known &&
		    by_start(&entry[next], &entry[new]) < 0) ?
		    entry[next++] : entry[new++];
	free(rebuild->entry);
	rebuild->entry = ordered;
}

/* The worker is to go on with it: it belongs to whom the old one did, or the
 * directory.  False with errno. */
static bool
write_new(const struct rebuild *rebuild)
{
	const int fd = openat(rebuild->directory, NEW_NAME, O_WRONLY |
	    O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	FILE *file = fd == -1 ? NULL : fdopen(fd, "w");
	struct stat st = rebuild->before;
	bool good;

	if (file == NULL)
		return false;
	for (size_t i = 0; i < rebuild->count; i++) {
		json_dumpf(rebuild->entry[i].line, file, JSON_COMPACT);
		putc('\n', file);
	}
	good = fflush(file) == 0 && fsync(fd) == 0 &&
	    (rebuild->was_there || fstat(rebuild->directory, &st) == 0) &&
	    fchown(fd, st.st_uid, st.st_gid) == 0 && fchmod(fd, 0644) == 0;
	return fclose(file) == 0 && good;
}

/* Another name for the old catalogue; false with errno. */
static bool
keep_old(const struct rebuild *rebuild, char name[static OLD_SIZE])
{
	for (unsigned i = 0; i < OLD_MAX; i++) {
		if (i == 0)
			snprintf(name, OLD_SIZE, OLD_NAME);
		else
			snprintf(name, OLD_SIZE, OLD_NAME ".%u", i);
		if (linkat(rebuild->directory, ARCHIVE_CATALOG,
		    rebuild->directory, name, 0) == 0)
			return true;
		/* Where there are no links it moves: for a moment, there is
		 * none. */
		if (errno != EEXIST && rename_new(rebuild->directory,
		    ARCHIVE_CATALOG, rebuild->directory, name) == 0)
			return true;
		if (errno != EEXIST)
			return false;
	}
	return false;
}

/* Whether nobody has added to it or replaced it meanwhile. */
static bool
unchanged(const struct rebuild *rebuild)
{
	struct stat now;

	if (fstatat(rebuild->directory, ARCHIVE_CATALOG, &now,
	    AT_SYMLINK_NOFOLLOW) == -1)
		return !rebuild->was_there;
	return rebuild->was_there && now.st_ino == rebuild->before.st_ino &&
	    now.st_size == rebuild->before.st_size;
}

static bool
replace(struct rebuild *rebuild)
{
	char old[OLD_SIZE] = "";

	add_rest(rebuild);
	order(rebuild);
	if (!write_new(rebuild)) {
		log_warn("cannot write %s/" NEW_NAME, rebuild->path);
		if (errno == EEXIST)
			return false;	/* somebody else's */
	} else if (!unchanged(rebuild))
		log_warnx("%s/" ARCHIVE_CATALOG " has changed meanwhile: stop "
		    "the channel first", rebuild->path);
	else if (rebuild->was_there && !keep_old(rebuild, old))
		log_warn("cannot keep %s/" ARCHIVE_CATALOG, rebuild->path);
	else if ((rebuild->was_there ?
	    renameat(rebuild->directory, NEW_NAME, rebuild->directory,
	    ARCHIVE_CATALOG) : rename_new(rebuild->directory, NEW_NAME,
	    rebuild->directory, ARCHIVE_CATALOG)) == -1)
		log_warn("cannot replace %s/" ARCHIVE_CATALOG, rebuild->path);
	else {
		if (fsync(rebuild->directory) == -1)
			log_warn("cannot sync %s", rebuild->path);
		say(stdout, "%s/" ARCHIVE_CATALOG ": written: %zu lines, %zu "
		    "of them of files that are there%s%s\n", rebuild->path,
		    rebuild->count, rebuild->files,
		    old[0] != '\0' ? "; the one before is " : "", old);
		return true;
	}
	unlinkat(rebuild->directory, NEW_NAME, 0);
	return false;
}

enum verify_status
rebuild_catalog(const char *path)
{
	struct rebuild rebuild = {
		.path = path,
		.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.old = json_object(),
		.number = json_object(),
	};

	if (rebuild.directory == -1) {
		log_warn("cannot open the directory %s", path);
		rebuild.status = VERIFY_UNUSABLE;
	} else if (!read_old(&rebuild) || !read_files(&rebuild) ||
	    !replace(&rebuild))
		rebuild.status = VERIFY_UNUSABLE;
	for (size_t i = 0; i < rebuild.count; i++)
		json_decref(rebuild.entry[i].line);
	free(rebuild.entry);
	json_decref(rebuild.old);
	json_decref(rebuild.number);
	if (rebuild.directory != -1)
		close(rebuild.directory);
	return rebuild.status;
}
