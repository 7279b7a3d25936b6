/* SPDX-License-Identifier: ISC */
/*
 * Where a forwarder goes on in an archive, whatever has become of the files;
 * and how far behind it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "forwarder/behind.h"
#include "forwarder/source.h"

/* By when they were begun. */
#define EARLY	"c_19700101T000000.000000Z_9.avro"
#define FIRST	"c_20260101T000000.000000Z_0.avro"
#define SECOND	"c_20260102T000000.000000Z_3.avro"
#define THIRD	"c_20260103T000000.000000Z_6.avro"

#define MANY		300U
#define MANY_NAMES	"c_20260101T01%02u%02u.000000Z_%u.avro"

static char	directory[64];
static int	fd;

static int
setup(void **state ATTR_UNUSED)
{
	snprintf(directory, sizeof(directory), "/tmp/mcrelay-unit-XXXXXX");
	assert_non_null(mkdtemp(directory));
	fd = open(directory, O_RDONLY | O_DIRECTORY);
	return fd == -1;
}

static int
teardown(void **state ATTR_UNUSED)
{
	static const char *const names[] = {EARLY, FIRST, SECOND, THIRD,
	    EARLY ARCHIVE_PART, FIRST ARCHIVE_PART, SECOND ARCHIVE_PART,
	    THIRD ARCHIVE_PART, ARCHIVE_CATALOG};
	size_t i;

	for (i = 0; i < NITEMS(names); i++)
		(void)unlinkat(fd, names[i], 0);
	close(fd);
	return rmdir(directory);
}

static void
append(const char *name, const void *data, size_t size)
{
	int file = openat(fd, name, O_WRONLY | O_CREAT | O_APPEND, 0600);

	assert_int_not_equal(file, -1);
	assert_int_equal(write(file, data, size), size);
	close(file);
}

/* A file of longs, each in a block of its own. */
static void
make(const char *name, unsigned records)
{
	static const char header[] = "Obj\001\002\026avro.schema\014\"long\""
	    "\000" "0123456789abcdef";
	static const char block[] = "\002\002\052" "0123456789abcdef";
	unsigned i;

	append(name, header, sizeof(header) - 1);
	for (i = 0; i < records; i++)
		append(name, block, sizeof(block) - 1);
}

static void
line(const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "{\"name\":\"%s\"}\n", name);
	append(ARCHIVE_CATALOG, text, strlen(text));
}

static void
done(struct source *source)
{
	assert_true(source_seek(source, "", 0));
	listing_free(&source->listing);
}

/* What comes next: names and numbers. */
static void
expect_next(struct source *source, const char *expected)
{
	struct reader_block block;
	char found[512] = "";
	uint64_t skip;

	while (source_next(source, &block, &skip) == SOURCE_BLOCK)
		if (skip < block.good)
			snprintf(found + strlen(found), sizeof(found) -
			    strlen(found), "%.4s:%d ", source->stem + 2,
			    (int)source->file.passed);
	assert_string_equal(found, expected);
}

/* What comes after so many records of a file. */
static void
expect(const char *stem, uint64_t records, const char *expected)
{
	struct source source;

	source_init(&source, fd, "c");
	assert_true(source_seek(&source, stem, records));
	expect_next(&source, expected);
	done(&source);
}

static void
from_the_beginning(void **state ATTR_UNUSED)
{
	make(FIRST, 2);
	line(FIRST);
	make(EARLY, 1);
	line(EARLY);
	make(THIRD ARCHIVE_PART, 1);
	expect("", 0, "2026:1 2026:2 1970:1 2026:1 ");
}

static void
in_the_middle(void **state ATTR_UNUSED)
{
	make(FIRST, 3);
	line(FIRST);
	make(SECOND, 2);
	line(SECOND);
	expect(FIRST, 2, "2026:3 2026:1 2026:2 ");
	expect(FIRST, 3, "2026:1 2026:2 ");
	/* A power cut has taken the rest. */
	expect(FIRST, 9, "2026:1 2026:2 ");
	expect(SECOND, 2, "");
}

/* The catalogue knows what was before it, by whatever clock. */
static void
behind_a_removed_one(void **state ATTR_UNUSED)
{
	make(FIRST, 1);
	line(FIRST);
	line(SECOND);
	make(EARLY, 1);
	line(EARLY);
	expect(SECOND, 5, "1970:1 ");
}

/* Of one of which nothing is left, only the name says when it was. */
static void
behind_an_unknown_one(void **state ATTR_UNUSED)
{
	make(FIRST, 1);
	line(FIRST);
	make(THIRD, 1);
	line(THIRD);
	expect(SECOND, 5, "2026:1 ");
}

static void
the_clock_was_set_back(void **state ATTR_UNUSED)
{
	make(FIRST, 1);
	line(FIRST);
	make(SECOND ARCHIVE_PART, 2);
	make(EARLY ARCHIVE_PART, 1);
	expect(SECOND, 1, "2026:2 ");
	/* It is being written: the next comes when it is finished. */
	assert_int_equal(renameat(fd, SECOND ARCHIVE_PART, fd, SECOND), 0);
	expect(SECOND, 1, "2026:2 1970:1 ");
}

static void
waits_for_the_catalogue(void **state ATTR_UNUSED)
{
	struct source source;

	make(FIRST, 1);
	make(SECOND ARCHIVE_PART, 1);
	source_init(&source, fd, "c");
	assert_false(source_seek(&source, SECOND, 1));
	line(FIRST);
	assert_true(source_seek(&source, SECOND, 1));
	done(&source);
	expect(SECOND, 1, "");
	expect(FIRST, 1, "2026:1 ");
}

static void
what_is_left(void **state ATTR_UNUSED)
{
	struct reader_block block;
	struct source source;
	uint64_t skip, all;

	make(FIRST, 2);
	line(FIRST);
	make(SECOND ARCHIVE_PART, 1);
	source_init(&source, fd, "c");
	assert_true(source_seek(&source, "", 0));
	all = source_left(&source, NULL, NULL);
	assert_int_equal(source_next(&source, &block, &skip), SOURCE_BLOCK);
	assert_int_equal(source_left(&source, NULL, NULL), all -
	    block.offset - block.size);
	while (source_next(&source, &block, &skip) == SOURCE_BLOCK)
		;
	assert_int_equal(source_left(&source, NULL, NULL), 0);
	done(&source);
}

/* What this process has read. */
static uint64_t
bytes_read(void)
{
	FILE *file = fopen("/proc/self/io", "re");
	uint64_t bytes = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "rchar: %" SCNu64, &bytes), 1);
	fclose(file);
	return bytes;
}

/* The catalogue is not read anew for each file of many. */
static void
catches_up_in_one_go(void **state ATTR_UNUSED)
{
	struct reader_block block;
	struct source source;
	uint64_t skip, before, blocks = 0;
	char name[64];
	unsigned i;

	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), MANY_NAMES, i / 60, i % 60, i);
		make(name, 1);
		line(name);
	}
	source_init(&source, fd, "c");
	assert_true(source_seek(&source, "", 0));
	before = bytes_read();
	while (source_next(&source, &block, &skip) == SOURCE_BLOCK)
		blocks++;
	assert_int_equal(blocks, MANY);
	/* Files and lines are of less than 100 bytes each; with the catalogue
	 * for each file it would be 300 times that. */
	assert_true(bytes_read() - before < UINT64_C(20) * MANY * 100);
	done(&source);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), MANY_NAMES, i / 60, i % 60, i);
		assert_int_equal(unlinkat(fd, name, 0), 0);
	}
}

/* Nor when one comes after the other, and all of them had one. */
static void
reads_new_lines_only(void **state ATTR_UNUSED)
{
	struct source source;
	uint64_t before;
	char name[64];
	unsigned i;

	for (i = 0; i < 20000; i++)
		line(EARLY);
	source_init(&source, fd, "c");
	make(FIRST, 1);
	line(FIRST);
	expect_next(&source, "2026:1 ");
	before = bytes_read();
	for (i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), MANY_NAMES, i / 60, i % 60, i);
		make(name, 1);
		line(name);
		expect_next(&source, "2026:1 ");
		assert_int_equal(unlinkat(fd, name, 0), 0);
	}
	/* Of a megabyte that it is. */
	assert_true(bytes_read() - before < UINT64_C(60) * 20000);
	done(&source);
}

static void
another_catalogue(bool cut)
{
	struct source source;

	source_init(&source, fd, "c");
	make(FIRST, 1);
	line(SECOND);
	line(FIRST);
	expect_next(&source, "2026:1 ");
	if (cut) {
		int file = openat(fd, ARCHIVE_CATALOG, O_WRONLY | O_TRUNC);

		assert_int_not_equal(file, -1);
		close(file);
	} else
		assert_int_equal(unlinkat(fd, ARCHIVE_CATALOG, 0), 0);
	make(SECOND, 1);
	make(EARLY, 2);
	line(FIRST);
	line(EARLY);
	line(SECOND);
	expect_next(&source, "1970:1 1970:2 2026:1 ");
	done(&source);
}

/* Then it is read anew. */
static void
the_catalogue_was_replaced(void **state ATTR_UNUSED)
{
	another_catalogue(false);
}

static void
the_catalogue_was_cut(void **state ATTR_UNUSED)
{
	another_catalogue(true);
}

/*** Behind. ***/

static void
age(void **state ATTR_UNUSED)
{
	struct behind behind = {.marks = 0};
	uint64_t i, since;

	assert_int_equal(behind_since(&behind, 0), 0);
	behind_note(&behind, 100, 10);
	behind_note(&behind, 100, 20);
	behind_note(&behind, 200, 30);
	assert_int_equal(behind_since(&behind, 0), 10);
	assert_int_equal(behind_since(&behind, 99), 10);
	assert_int_equal(behind_since(&behind, 100), 30);
	assert_int_equal(behind_since(&behind, 200), 0);
	/* However long it lasts, it is about right. */
	for (i = 1; i <= 100000; i++)
		behind_note(&behind, 200 + i, i);
	since = behind_since(&behind, 200 + 50000);
	assert_in_range(since, 50000, 100000);
	assert_int_equal(behind_since(&behind, 200 + 100000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(from_the_beginning, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(in_the_middle, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(behind_a_removed_one, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(behind_an_unknown_one, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(the_clock_was_set_back, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(waits_for_the_catalogue,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_left, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(catches_up_in_one_go, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(reads_new_lines_only, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(the_catalogue_was_replaced,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(the_catalogue_was_cut, setup,
		    teardown),
		cmocka_unit_test(age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
