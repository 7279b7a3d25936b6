/* SPDX-License-Identifier: ISC */
/*
 * catalog.jsonl.  Worker, closer and keeper threads.  Must not hold the
 * catalogue in memory: it has a line for each file there ever was.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/archive_names.h"
#include "common/avro_walk.h"
#include "common/codec.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/archive/catalog.h"

/* On the disk ahead of what is written: a disk that is full gets its lines all
 * the same. */
#define ROOM		(UINT64_C(16) << 10)

/* Each line begins with it: the name can be compared without a parser. */
#define NAME_PREFIX	"{\"name\":\""

static int
open_to_append(int directory)
{
	return openat(directory, CATALOG_NAME, O_RDWR | O_CREAT | O_APPEND |
	    O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
}

/* The size stays.  Where it is not possible, an append may fail. */
static void
keep_room(int fd)
{
	off_t end = file_size(fd);

	if (end != -1)
		(void)fallocate(fd, FALLOC_FL_KEEP_SIZE, end, ROOM);
}

void
catalog_open(struct catalog *catalog, int directory, struct finished *finished)
{
	pthread_mutex_init(&catalog->mutex, NULL);
	catalog->directory = directory;
	catalog->finished = finished;
	catalog->settled = finished == NULL;
}

void
catalog_reserve(const struct catalog *catalog)
{
	int fd = open_to_append(catalog->directory);

	if (fd == -1)
		return;
	keep_room(fd);
	close(fd);
}

void
catalog_close(struct catalog *catalog)
{
	pthread_mutex_destroy(&catalog->mutex);
}

/* What the ledger counts of losses, on the way to this file and within. */
static void
add_losses(char line[static CATALOG_LINE_SIZE],
    const struct ledger_change *lost)
{
	const struct ledger_entry *entry;
	size_t at = strlen(line);
	char before = '{';

	for (entry = ledger_table; entry->name != NULL; entry++) {
		if (!entry->catalogued)
			continue;
		at += (size_t)snprintf(line + at, CATALOG_LINE_SIZE - at,
		    "%c\"%s\":%" PRId64, before, entry->name,
		    ledger_change_value(lost, entry));
		before = ',';
	}
	snprintf(line + at, CATALOG_LINE_SIZE - at, "}}\n");
}

void
catalog_line(char line[static CATALOG_LINE_SIZE], const char *name,
    enum archive_kind kind, enum archive_codec codec,
    const struct archive_file *file, const struct ledger_change *lost)
{
	char first[UTC_TEXT_SIZE], last[UTC_TEXT_SIZE], step[48] = "";

	if (file->clock_step_ns != 0)
		snprintf(step, sizeof(step), ",\"clock_step\":%.3f",
		    (double)file->clock_step_ns / (double)NS_PER_S);
	format_utc(file->first_received_ns, first);
	format_utc(file->last_received_ns, last);
	snprintf(line, CATALOG_LINE_SIZE, NAME_PREFIX "%s\","
	    "\"stream\":\"%s\",\"first_sequence\":%" PRIu64
	    ",\"last_sequence\":%" PRIu64 ",\"first_received\":\"%s\","
	    "\"last_received\":\"%s\",\"datagrams\":%" PRIu64
	    ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64
	    ",\"codec\":\"%s\"%s,\"losses\":%s", name,
	    archive_kind_name(kind), file->begins, file->ends, first, last,
	    file->datagrams, file->records, file->size, codec_name(codec), step,
	    lost == NULL ? "null}\n" : "");
	if (lost != NULL)
		add_losses(line, lost);
}

/* Of a file of which no more is known than what it says itself. */
static void
found_line(char line[static CATALOG_LINE_SIZE], const char *name,
    enum archive_kind kind, const char *codec, uint64_t records,
    uint64_t bytes)
{
	const char *first = strrchr(name, '_');

	snprintf(line, CATALOG_LINE_SIZE, NAME_PREFIX "%s\",\"stream\":\"%s\","
	    "\"first_sequence\":%" PRIu64 ",\"last_sequence\":null,"
	    "\"first_received\":null,\"last_received\":null,"
	    "\"datagrams\":null,\"records\":%" PRIu64 ",\"bytes\":%" PRIu64
	    ",\"codec\":\"%s\",\"losses\":null}\n", name,
	    archive_kind_name(kind),
	    (uint64_t)strtoull(first != NULL ? first + 1 : "", NULL, 10),
	    records, bytes, codec);
}

/* Where the last whole line ends; -1 with errno.  Of a line on two pages a
 * power cut may have left the second alone, after zeros. */
static off_t
end_of_lines(int fd)
{
	char tail[CATALOG_LINE_SIZE * 2];
	off_t end = file_size(fd), from;
	const char *newline, *begin;
	ssize_t got;

	while (end > 0) {
		from = MAX_OF((off_t)0, end - (off_t)sizeof(tail));
		got = pread(fd, tail, (size_t)(end - from), from);
		if (got != end - from)
			return -1;
		end = from;
		newline = memrchr(tail, '\n', (size_t)got);
		if (newline == NULL)
			continue;
		begin = memrchr(tail, '\n', (size_t)(newline - tail));
		begin = begin != NULL ? begin + 1 : tail;
		if (memchr(begin, '\0', (size_t)(newline - begin)) == NULL)
			return from + (newline - tail) + 1;
		end += begin - tail;
	}
	return end;
}

static int
append(int directory, const char *line)
{
	int fd = open_to_append(directory);
	size_t size = strlen(line);
	off_t end;
	int result = -1;

	if (fd == -1)
		return -1;
	end = end_of_lines(fd);
	if (end != -1 && (end == file_size(fd) || ftruncate(fd, end) == 0)) {
		errno = ENOSPC;		/* of a short write */
		if (write(fd, line, size) == (ssize_t)size)
			result = fdatasync(fd);
		keep_room(fd);
	}
	result = file_close(fd, result);
	/* The file itself may be new. */
	return result == 0 && end == 0 ? fsync(directory) : result;
}

static FILE *
open_lines(int directory)
{
	int fd = openat(directory, CATALOG_NAME, O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC);
	FILE *file = fd == -1 ? NULL : fdopen(fd, "r");

	if (file == NULL && fd != -1)
		file_close(fd, -1);
	return file;
}

/* The name in a line; "": it is none of ours. */
static void
name_in(const char *line, char name[static FILE_NAME_SIZE])
{
	size_t length;

	name[0] = '\0';
	if (strncmp(line, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
		return;
	line += strlen(NAME_PREFIX);
	length = strcspn(line, "\"");
	snprintf(name, FILE_NAME_SIZE, "%.*s", (int)length, line);
}

/* The name in the next line; false at the end.  A line that is none of ours,
 * or torn, has the name "": of a torn one may be missing what is in its midst,
 * where a power cut leaves zeros. */
static bool
next_name(FILE *file, char name[static FILE_NAME_SIZE])
{
	char line[CATALOG_LINE_SIZE];
	size_t size = 0;
	int c;

	name[0] = '\0';
	while ((c = getc_unlocked(file)) != EOF && c != '\n')
		if (size < sizeof(line) - 1)
			line[size++] = (char)c;
	if (c == EOF)
		return size > 0;
	line[size] = '\0';
	if (strlen(line) == size)
		name_in(line, name);
	return true;
}

void
catalog_names(int directory, void (*each)(void *argument, const char *name,
    uint64_t number), void *argument)
{
	FILE *file = open_lines(directory);
	char name[FILE_NAME_SIZE];
	uint64_t number;

	if (file == NULL)
		return;
	for (number = 1; next_name(file, name); number++)
		each(argument, name, number);
	fclose(file);
}

static bool
has_line(int directory, const char *name)
{
	FILE *file = open_lines(directory);
	char found[FILE_NAME_SIZE];
	bool has = false;

	if (file == NULL)
		return false;
	while (!has && next_name(file, found))
		has = strcmp(found, name) == 0;
	fclose(file);
	return has;
}

/* With the mutex held. */
static void
settle(struct catalog *catalog)
{
	char line[FINISHED_LINE_SIZE], name[FILE_NAME_SIZE];

	if (catalog->settled)
		return;
	catalog->settled = true;
	if (!finished_laid(catalog->finished, line))
		return;
	name_in(line, name);
	if (name[0] != '\0' && has_line(catalog->directory, name))
		finished_publish(catalog->finished);
}

/* With the mutex held. */
static int
add(struct catalog *catalog, const char *line)
{
	int result;

	if (catalog->finished == NULL)
		return append(catalog->directory, line);
	settle(catalog);
	finished_lay(catalog->finished, line);
	result = append(catalog->directory, line);
	if (result == 0)
		finished_publish(catalog->finished);
	else
		/* It may be there, and not have been synced. */
		catalog->settled = false;
	return result;
}

void
catalog_settle(struct catalog *catalog)
{
	pthread_mutex_lock(&catalog->mutex);
	settle(catalog);
	pthread_mutex_unlock(&catalog->mutex);
}

int
catalog_add(struct catalog *catalog, const char *line)
{
	int result;

	pthread_mutex_lock(&catalog->mutex);
	result = add(catalog, line);
	pthread_mutex_unlock(&catalog->mutex);
	return result;
}

int
catalog_add_once(struct catalog *catalog, const char *name, const char *line)
{
	int result = 0;

	pthread_mutex_lock(&catalog->mutex);
	if (!has_line(catalog->directory, name))
		result = add(catalog, line);
	pthread_mutex_unlock(&catalog->mutex);
	return result;
}

/* The names that have a line, as hashes: eight bytes for each. */
struct names {
	uint64_t	*hash;
	size_t		 count;
};

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
read_names(int directory, struct names *names)
{
	FILE *file = open_lines(directory);
	char name[FILE_NAME_SIZE];

	memset(names, 0, sizeof(*names));
	if (file == NULL)
		return;
	while (next_name(file, name)) {
		names->hash = xgrow(names->hash, names->count,
		    sizeof(*names->hash));
		names->hash[names->count++] = hash_text64(name);
	}
	fclose(file);
	if (names->count > 0)
		qsort(names->hash, names->count, sizeof(*names->hash),
		    compare);
}

static bool
known(const struct names *names, const char *name)
{
	uint64_t hash = hash_text64(name);

	return names->count > 0 && bsearch(&hash, names->hash, names->count,
	    sizeof(hash), compare) != NULL;
}

int
catalog_add_found(struct catalog *catalog, const char *name,
    enum archive_kind kind)
{
	char line[CATALOG_LINE_SIZE], codec[16] = "";
	int fd = file_open(catalog->directory, name, "");
	struct avro_walk_block block;
	struct avro_walk walk;
	const uint8_t *value;
	uint64_t records = 0;
	size_t size;

	if (fd == -1)
		return -1;
	if (avro_walk_open(&walk, fd) == AVRO_WALK_OK)
		while (avro_walk_next(&walk, &block) == AVRO_WALK_OK)
			records += block.records;
	value = avro_walk_meta(&walk, "avro.codec", &size);
	if (value != NULL && size < sizeof(codec) &&
	    strspn((const char *)value, "abcdefghijklmnopqrstuvwxyz") >= size)
		memcpy(codec, value, size);
	found_line(line, name, kind, codec, records, walk.size);
	avro_walk_close(&walk);
	close(fd);
	return catalog_add_once(catalog, name, line);
}

/* Files that have no line. */
struct unlisted {
	struct unlisted_file {
		char			name[FILE_NAME_SIZE];
		struct archive_name	is;
	}	*file;
	size_t	 count;
};

/* When it was begun is all that is known of when it was finished. */
static int
by_start(const void *a, const void *b)
{
	const struct archive_name *x = &((const struct unlisted_file *)a)->is;
	const struct archive_name *y = &((const struct unlisted_file *)b)->is;

	if (x->started_ns != y->started_ns)
		return x->started_ns < y->started_ns ? -1 : 1;
	return x->first_sequence < y->first_sequence ? -1 :
	    x->first_sequence > y->first_sequence;
}

static void
add_unlisted(struct unlisted *unlisted, const char *channel, const char *name)
{
	struct unlisted_file *file;

	unlisted->file = xgrow(unlisted->file, unlisted->count,
	    sizeof(*unlisted->file));
	file = &unlisted->file[unlisted->count];
	if (!archive_name_parse(name, channel, &file->is))
		return;
	/* The same, to the byte. */
	archive_name_write(file->name, channel, file->is.kind,
	    file->is.started_ns, file->is.first_sequence);
	unlisted->count++;
}

/* 0, or -1 with errno. */
static int
find_unlisted(struct unlisted *unlisted, int directory, const char *channel,
    bool (*skip)(void *, const char *), void *argument)
{
	enum archive_kind kind;
	struct dirent *entry;
	struct names names;
	DIR *dir;

	memset(unlisted, 0, sizeof(*unlisted));
	dir = file_list(directory);
	if (dir == NULL)
		return -1;
	read_names(directory, &names);
	while ((entry = readdir(dir)) != NULL)
		if (file_is(entry->d_name, channel, FILE_SUFFIX, &kind) &&
		    !known(&names, entry->d_name) &&
		    !skip(argument, entry->d_name))
			add_unlisted(unlisted, channel, entry->d_name);
	closedir(dir);
	free(names.hash);
	if (unlisted->count > 0)
		qsort(unlisted->file, unlisted->count,
		    sizeof(*unlisted->file), by_start);
	return 0;
}

int
catalog_complete(struct catalog *catalog, const char *channel,
    bool (*skip)(void *, const char *), void *argument)
{
	struct unlisted unlisted;
	int result = 0;
	size_t i;

	if (find_unlisted(&unlisted, catalog->directory, channel, skip,
	    argument) == -1)
		return -1;
	for (i = 0; i < unlisted.count && result == 0; i++)
		result = catalog_add_found(catalog, unlisted.file[i].name,
		    unlisted.file[i].is.kind);
	free(unlisted.file);
	return result;
}
