/* SPDX-License-Identifier: ISC */
/*
 * Finished files as a worker tells of them: each line once, wherever it dies;
 * nobody waits for a reader.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/compiler.h"
#include "common/finished.h"
#include "worker/archive/catalog.h"

#define LINE_OF(name)	"{\"name\":\"" name "\",\"records\":1}\n"

struct place {
	char		 path[32];
	int		 directory;
	struct finished	 finished;
	struct catalog	 catalog;
};

static int
set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	snprintf(place->path, sizeof(place->path), "/tmp/finished.XXXXXX");
	assert_non_null(mkdtemp(place->path));
	place->directory = open(place->path, O_RDONLY | O_DIRECTORY);
	assert_int_not_equal(place->directory, -1);
	catalog_open(&place->catalog, place->directory, &place->finished);
	*state = place;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *place = *state;

	catalog_close(&place->catalog);
	unlinkat(place->directory, CATALOG_NAME, 0);
	close(place->directory);
	rmdir(place->path);
	free(place);
	return 0;
}

/* Another process has the segment now. */
static void
succeed(struct place *place)
{
	catalog_close(&place->catalog);
	catalog_open(&place->catalog, place->directory, &place->finished);
}

/* Adds a line that nobody is told of. */
static void
add_silently(const struct place *place, const char *line)
{
	struct catalog silent;

	catalog_open(&silent, place->directory, NULL);
	assert_int_equal(catalog_add(&silent, line), 0);
	catalog_close(&silent);
}

static void
assert_told(const struct place *place, uint64_t number, const char *expected)
{
	char line[FINISHED_LINE_SIZE];

	assert_true(finished_copy(&place->finished, number, line));
	assert_string_equal(line, expected);
}

static void
tells_each_line(void **state)
{
	struct place *place = *state;

	assert_int_equal(finished_count(&place->finished), 0);
	assert_int_equal(catalog_add(&place->catalog, LINE_OF("a")), 0);
	assert_int_equal(catalog_add_once(&place->catalog, "a",
	    LINE_OF("a")), 0);
	assert_int_equal(catalog_add_once(&place->catalog, "b",
	    LINE_OF("b")), 0);
	assert_int_equal(finished_count(&place->finished), 2);
	assert_told(place, 0, LINE_OF("a"));
	assert_told(place, 1, LINE_OF("b"));
}

/* What a power cut has left of a line goes: its beginning, its end, or both;
 * and all of the only one. */
static void
torn_lines_go(void **state)
{
	static const struct {
		const char	*bytes;
		size_t		 size;
	} torn[] = {
		{LINE_OF("b"), sizeof(LINE_OF("b")) - 3},
		{"\0\0\0\0\"b\"}\n", 9},
		{"{\"name\":\0\0\0\0}\n", 15},
	};
	struct place *place = *state;
	char found[256];
	unsigned i, first;
	ssize_t size;
	int fd;

	for (i = 0; i < 2 * sizeof(torn) / sizeof(torn[0]); i++) {
		first = i % 2;
		if (first)
			add_silently(place, LINE_OF("a"));
		fd = openat(place->directory, CATALOG_NAME,
		    O_RDWR | O_CREAT | O_APPEND, 0600);
		assert_int_equal(write(fd, torn[i / 2].bytes,
		    torn[i / 2].size), torn[i / 2].size);
		add_silently(place, LINE_OF("c"));
		size = pread(fd, found, sizeof(found) - 1, 0);
		assert_true(size > 0);
		found[size] = '\0';
		assert_string_equal(found, first ?
		    LINE_OF("a") LINE_OF("c") : LINE_OF("c"));
		close(fd);
		unlinkat(place->directory, CATALOG_NAME, 0);
	}
}

static void
killed_before_the_line(void **state)
{
	struct place *place = *state;

	assert_int_equal(catalog_add(&place->catalog, LINE_OF("a")), 0);
	finished_lay(&place->finished, LINE_OF("b"));
	succeed(place);
	catalog_settle(&place->catalog);
	assert_int_equal(finished_count(&place->finished), 1);
	assert_int_equal(catalog_add_once(&place->catalog, "b",
	    LINE_OF("b")), 0);
	assert_int_equal(finished_count(&place->finished), 2);
	assert_told(place, 1, LINE_OF("b"));
}

static void
killed_after_the_line(void **state)
{
	struct place *place = *state;

	assert_int_equal(catalog_add(&place->catalog, LINE_OF("a")), 0);
	finished_lay(&place->finished, LINE_OF("b"));
	add_silently(place, LINE_OF("b"));
	succeed(place);
	/* The first that is done settles it, too. */
	assert_int_equal(catalog_add_once(&place->catalog, "b",
	    LINE_OF("b")), 0);
	catalog_settle(&place->catalog);
	assert_int_equal(catalog_add(&place->catalog, LINE_OF("c")), 0);
	assert_int_equal(finished_count(&place->finished), 3);
	assert_told(place, 1, LINE_OF("b"));
	assert_told(place, 2, LINE_OF("c"));
}

static void
killed_after_it_was_told(void **state)
{
	struct place *place = *state;
	unsigned i;

	/* What is laid down next to it is an old line. */
	for (i = 0; i < 2 * FINISHED_LINES; i++) {
		assert_int_equal(catalog_add(&place->catalog, LINE_OF("a")),
		    0);
		succeed(place);
		catalog_settle(&place->catalog);
		assert_int_equal(finished_count(&place->finished), i + 1);
	}
}

static void
not_synced_is_told_later(void **state)
{
	struct place *place = *state;
	int directory = place->catalog.directory;

	place->catalog.directory = -1;
	assert_int_equal(catalog_add(&place->catalog, LINE_OF("a")), -1);
	assert_int_equal(finished_count(&place->finished), 0);
	place->catalog.directory = directory;
	/* It came to be there all the same. */
	add_silently(place, LINE_OF("a"));
	assert_int_equal(catalog_add(&place->catalog, LINE_OF("b")), 0);
	assert_int_equal(finished_count(&place->finished), 2);
	assert_told(place, 0, LINE_OF("a"));
	assert_told(place, 1, LINE_OF("b"));
}

static void
overwrites_what_nobody_reads(void **state)
{
	struct place *place = *state;
	char line[FINISHED_LINE_SIZE], text[32];
	unsigned i, count = FINISHED_LINES + 3;

	for (i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%u", i);
		finished_lay(&place->finished, text);
		finished_publish(&place->finished);
	}
	for (i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%u", i);
		if (count - i < FINISHED_LINES)
			assert_told(place, i, text);
		else
			assert_false(finished_copy(&place->finished, i,
			    line));
	}
}

static void
a_long_line_has_an_end(void **state)
{
	struct place *place = *state;
	char longer[FINISHED_LINE_SIZE + 100], line[FINISHED_LINE_SIZE];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	finished_lay(&place->finished, longer);
	finished_publish(&place->finished);
	assert_true(finished_copy(&place->finished, 0, line));
	assert_int_equal(strlen(line), FINISHED_LINE_SIZE - 1);
	/* Nothing beside its place was touched. */
	assert_true(finished_copy(&place->finished, 1, line));
	assert_string_equal(line, "");
}

int
main(void)
{
#define PLACED(test)							\
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		PLACED(tells_each_line),
		PLACED(torn_lines_go),
		PLACED(killed_before_the_line),
		PLACED(killed_after_the_line),
		PLACED(killed_after_it_was_told),
		PLACED(not_synced_is_told_later),
		PLACED(overwrites_what_nobody_reads),
		PLACED(a_long_line_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
