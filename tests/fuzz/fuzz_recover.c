/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing the recovery of a left-over file, and the catalogue that gets its
 * line.  The input is the catalogue's size (two bytes), the catalogue, and the
 * file.
 *
 * No byte is lost, whatever becomes of the file: it is finished, with its rest
 * beside it unless that is zeros, or it is set aside as it is, or there was
 * nothing in it.  A finished one is whole, and has one line in the catalogue;
 * the lines that were there stay.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/fuzz/scratch.h"
#include "worker/archive/catalog.h"
#include "worker/archive/recover.h"

#define NAME	"test_20261120T213000.000000Z_0.avro"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
all_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] != 0)
			return false;
	return true;
}

/* Whether the file has just these contents; false: there is none. */
static bool
holds(const char *name, const uint8_t *data, size_t size)
{
	size_t found;
	uint8_t *text = scratch_get(name, &found);
	bool same = text != NULL && found == size &&
	    memcmp(text, data, size) == 0;

	assert(text == NULL || same);
	free(text);
	return same;
}

static void
check_finished(const uint8_t *data, size_t size,
    const struct recovered *recovered)
{
	const size_t whole = (size_t)recovered->size;
	int fd;

	assert(whole <= size && recovered->torn == size - whole);
	assert(recovered->blocks > 0);
	assert(holds(NAME, data, whole));
	if (!all_zero(data + whole, size - whole))
		assert(holds(NAME ARCHIVE_TORN, data + whole, size - whole));
	fd = file_open(scratch(), NAME, "");
	assert(fd != -1 && recover_whole(fd, recovered->size));
	close(fd);
}

static bool
recover(const uint8_t *data, size_t size)
{
	struct recovered recovered;
	enum recovery what;

	scratch_put(NAME FILE_PART, data, size);
	what = recover_file(scratch(), NAME, true, &recovered);
	assert(faccessat(scratch(), NAME FILE_PART, F_OK, 0) == -1);
	if (what == RECOVERY_FINISHED)
		check_finished(data, size, &recovered);
	else if (what == RECOVERY_BAD)
		assert(holds(NAME ARCHIVE_BAD, data, size));
	else
		assert(what == RECOVERY_REMOVED);
	return what == RECOVERY_FINISHED;
}

static void
count_name(void *argument, const char *name, uint64_t number)
{
	unsigned *count = argument;

	assert(number > 0);
	*count += strcmp(name, NAME) == 0;
}

static bool
skip_none(void *argument ATTR_UNUSED, const char *name ATTR_UNUSED)
{
	return false;
}

static unsigned
lines_of_file(void)
{
	unsigned count = 0;

	catalog_names(scratch(), count_name, &count);
	return count;
}

/* What stays when a line is added: up to the last one that has its end, and no
 * zeros. */
static size_t
good_lines(const uint8_t *old, size_t size)
{
	size_t from;

	while (size > 0) {
		for (from = size - 1; from > 0 && old[from - 1] != '\n';)
			from--;
		if (old[size - 1] == '\n' &&
		    memchr(old + from, '\0', size - from) == NULL)
			break;
		size = from;
	}
	return size;
}

static void
complete(bool finished, const uint8_t *old, size_t size)
{
	const size_t lines = good_lines(old, size);
	const unsigned before = lines_of_file();
	struct catalog catalog;
	uint8_t *text;
	size_t now;

	catalog_open(&catalog, scratch(), NULL);
	for (unsigned i = 0; i < 2; i++) {
		assert(catalog_complete(&catalog, "test", skip_none,
		    &catalog) == 0);
		assert(lines_of_file() ==
		    (finished && before == 0 ? 1 : before));
	}
	catalog_close(&catalog);
	text = scratch_get(CATALOG_NAME, &now);
	assert(text != NULL && now >= lines);
	assert(memcmp(text, old, lines) == 0);
	/* The one that was added is whole. */
	if (finished && before == 0)
		assert(now > lines && text[now - 1] == '\n');
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t lines;
	bool finished;

	if (size < 2)
		return 0;
	lines = MIN_OF((size_t)data[0] | (size_t)data[1] << 8, size - 2);
	(void)scratch();
	scratch_clear();
	scratch_put(CATALOG_NAME, data + 2, lines);
	finished = recover(data + 2 + lines, size - 2 - lines);
	complete(finished, data + 2, lines);
	return 0;
}
