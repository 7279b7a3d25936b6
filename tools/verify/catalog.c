/* SPDX-License-Identifier: ISC */
/*
 * The catalogue beside an archive: catalog.jsonl, a line of JSON for each
 * finished file.  mcrelay-verify.  It is read only, and may be missing; a line
 * that is torn or strange is as good as none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tools/verify/verify.h"

#define CATALOG_NAME	"catalog.jsonl"

static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static void
add_line(struct catalog *catalog, const char *text, size_t size)
{
	json_t *line = json_loadb(text, size, 0, NULL);
	const char *name = json_string_value(json_object_get(line, "name"));

	if (name != NULL)
		json_object_set(catalog->files, name, line);
	json_decref(line);
}

static void
read_lines(struct catalog *catalog)
{
	char *path = xasprintf("%s" CATALOG_NAME, catalog->directory);
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;
	ssize_t size;

	while (file != NULL && (size = getline(&text, &room, file)) > 0)
		add_line(catalog, text, (size_t)size);
	free(text);
	if (file != NULL)
		fclose(file);
	free(path);
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
