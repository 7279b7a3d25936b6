/* SPDX-License-Identifier: ISC */
/*
 * The catalogue beside an archive: catalog.jsonl, a line of JSON for each
 * finished file.  mcrelay-verify.  It is read only, and may be missing; a line
 * that cannot be read is told, and makes it damaged.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tools/common/lines.h"
#include "tools/verify/verify.h"

static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static void
read_lines(struct catalog *catalog)
{
	const char *path = catalog->directory[0] != '\0' ?
	    catalog->directory : ".";
	const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct archive_name name;
	struct lines lines;
	json_t *line;

	/* Where there is no directory there is no file, either. */
	if (directory == -1)
		return;
	lines_open(&lines, directory, path);
	while ((line = lines_next(&lines, &name)) != NULL)
		json_object_set_new(catalog->files, json_string_value(
		    json_object_get(line, "name")), line);
	catalog->bad += lines.bad;
	lines_close(&lines);
	close(directory);
}

json_t *
catalog_find(struct catalog *catalog, const char *path)
{
	const char *name = name_of(path);
	const size_t length = (size_t)(name - path);

	if (catalog->directory == NULL ||
	    strlen(catalog->directory) != length ||
	    memcmp(catalog->directory, path, length) != 0) {
		catalog_close(catalog);
		catalog->directory = xasprintf("%.*s", (int)length, path);
		catalog->files = json_object();
		read_lines(catalog);
	}
	return json_object_get(catalog->files, name);
}

void
catalog_close(struct catalog *catalog)
{
	free(catalog->directory);
	catalog->directory = NULL;
	json_decref(catalog->files);
	catalog->files = NULL;
}

const char *
catalog_contradicts(json_t *line, const struct summary *summary)
{
	json_t *bytes = json_object_get(line, "bytes");

	if (!json_is_integer(bytes) ||
	    (uint64_t)json_integer_value(bytes) == summary->bytes)
		return NULL;
	return (uint64_t)json_integer_value(bytes) > summary->bytes ?
	    "shorter than the catalogue says" :
	    "longer than the catalogue says";
}
