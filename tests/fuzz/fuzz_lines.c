/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing the catalogue as tools read it, and making it anew.  The input is
 * catalog.jsonl.
 *
 * Each line is one that can be used or one that was said to be bad.  A rebuilt
 * catalogue has only good ones: those of the old one, each name once, and the
 * old catalogue is kept beside it to the byte.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/util.h"
#include "tests/fuzz/scratch.h"
#include "tools/common/lines.h"
#include "tools/verify/verify.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nobody is going to complete a torn line: it is not waited for. */
int
nanosleep(const struct timespec *wanted ATTR_UNUSED,
    struct timespec *left ATTR_UNUSED)
{
	return 0;
}

/* All good lines, by name; the last of each. */
static json_t *
read_lines(size_t *bad, size_t *good)
{
	json_t *names = json_object(), *line;
	struct archive_name name;
	struct lines lines;
	const char *text;

	lines_open(&lines, scratch(), scratch_path(""));
	for (*good = 0; (line = lines_next(&lines, &name)) != NULL; ++*good) {
		text = json_string_value(json_object_get(line, "name"));
		assert(text != NULL && name.channel_size < strlen(text));
		assert(name.channel_size >= 1 &&
		    name.channel_size <= CHANNEL_NAME_MAX);
		assert(strcmp(name.ending, ARCHIVE_AVRO) == 0);
		json_object_set_new(names, text, line);
	}
	*bad = lines.bad;
	assert(lines.number == *good + *bad);
	lines_close(&lines);
	return names;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t bad, good, lines, kept;
	json_t *before, *after;
	uint8_t *old;

	(void)scratch();
	scratch_clear();
	scratch_put(ARCHIVE_CATALOG, data, size);
	before = read_lines(&bad, &lines);
	scratch_hush();
	assert(rebuild_catalog(scratch_path("")) == VERIFY_WHOLE);
	scratch_speak();
	after = read_lines(&bad, &good);
	assert(bad == 0 && good == json_object_size(before));
	assert(json_equal(before, after));
	old = scratch_get(ARCHIVE_CATALOG ".old", &kept);
	assert(old != NULL && kept == size && memcmp(old, data, size) == 0);
	free(old);
	json_decref(before);
	json_decref(after);
	return 0;
}
