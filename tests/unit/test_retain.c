/* SPDX-License-Identifier: ISC */
/*
 * Retention: what each limit removes, the oldest first and no more, and what
 * is never removed.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/archive_names.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/archive/catalog.h"
#include "worker/archive/retain.h"

#define FILES		6
#define FILE_BYTES	10000
/* When the first file was written to last; each a minute after another. */
#define FIRST_S		1795210200
#define NOW_NS		((FIRST_S + FILES * 60) * NS_PER_S)

static char	directory[] = "/tmp/mcrelay-retain.XXXXXX";
static int	fd;

/* None is a finished file of the channel. */
static const char *const	others[] = {
	"test_20200101T000000.000000Z_0.avro.part",
	"test_20200101T000000.000000Z_0.avro.torn",
	"testing_20200101T000000.000000Z_0.avro",
	"test_notes.avro",
	"test_.avro",
	"test.rejected_.avro",
	"test_0.avro",
	"test_20200101_0.avro",
	"test_20200101T000000.000000Z_00.avro",
	"test_20200101T000000.000000Z_0_copy.avro",
	"test_old_20200101T000000.000000Z_0.avro",
	"test_20201301T000000.000000Z_0.avro",
	"catalog.jsonl",
};

/* All may go that min_free asks for. */
static struct room *
room(void)
{
	static struct room room;

	atomic_store(&room.until_ns, UINT64_MAX);
	return &room;
}

static void
put(const char *name, size_t size, time_t when)
{
	const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
	int file = openat(fd, name, O_CREAT | O_WRONLY | O_EXCL, 0600);
	uint8_t *data = calloc(1, size);

	assert_int_equal(write(file, data, size), size);
	assert_int_equal(futimens(file, times), 0);
	free(data);
	close(file);
}

/* Of the stream "" or ".rejected"; their order is that of their names. */
static void
name_of(char name[128], const char *stream, unsigned i)
{
	snprintf(name, 128, "test%s_20261120T%02u0000.000000Z_%u.avro",
	    stream, i, 1000 - i);
}

static bool
there(const char *stream, unsigned i)
{
	char name[128];

	name_of(name, stream, i);
	return faccessat(fd, name, F_OK, 0) == 0;
}

static int
set_up(void **state ATTR_UNUSED)
{
	char name[128];
	unsigned i;

	for (i = 0; i < FILES; i++) {
		name_of(name, "", i);
		put(name, FILE_BYTES, FIRST_S + 60 * (time_t)i);
		name_of(name, ".rejected", i);
		put(name, FILE_BYTES / 10, FIRST_S + 60 * (time_t)i);
	}
	for (i = 0; i < NITEMS(others); i++)
		put(others[i], 1, 1);
	return 0;
}

static int
tear_down(void **state ATTR_UNUSED)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s/*", directory);
	return system(command);
}

/* All but the `gone' oldest of each stream are there, and the others. */
static void
expect(unsigned gone, unsigned gone_rejected)
{
	unsigned i;

	for (i = 0; i < FILES; i++) {
		assert_int_equal(there("", i), i >= gone);
		assert_int_equal(there(".rejected", i), i >= gone_rejected);
	}
	for (i = 0; i < NITEMS(others); i++)
		assert_int_equal(faccessat(fd, others[i], F_OK, 0), 0);
}

static struct channel_config
config(void)
{
	return (struct channel_config){.name = "test",
	    .archive.directory = "directory"};
}

static void
test_none(void **state ATTR_UNUSED)
{
	struct channel_config c = config();

	assert_false(retain_wanted(&c));
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 0);
	expect(0, 0);
}

static void
test_age(void **state ATTR_UNUSED)
{
	struct channel_config c = config();

	/* The first is six minutes old, the second five. */
	c.archive.retain_age_ns = 6 * 60 * NS_PER_S;
	assert_true(retain_wanted(&c));
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 0);
	expect(0, 0);
	c.archive.retain_age_ns = 5 * 60 * NS_PER_S;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 2);
	expect(1, 1);
}

static void
test_files(void **state ATTR_UNUSED)
{
	struct channel_config c = config();

	c.archive.retain_files = FILES;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 0);
	c.archive.retain_files = 2;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 2 * (FILES - 2));
	expect(FILES - 2, FILES - 2);
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 0);
}

/* Rejected datagrams have the same limit to themselves. */
static void
test_size(void **state ATTR_UNUSED)
{
	struct channel_config c = config();

	c.archive.retain_size = FILES * FILE_BYTES;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 0);
	c.archive.retain_size = 3 * FILE_BYTES - 1;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), FILES - 2);
	expect(FILES - 2, 0);
}

/* One of the oldest is held; the newest stays whatever is free. */
static void
test_min_free(void **state ATTR_UNUSED)
{
	struct channel_config c = config();
	char name[128];
	unsigned i;

	c.archive.min_free = 1;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 0);
	expect(0, 0);
	name_of(name, "", 1);
	assert_int_equal(linkat(fd, name, fd, "held", 0), 0);
	c.archive.min_free = UINT64_MAX / 2;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 2 * FILES - 3);
	for (i = 0; i < 2 * FILES; i++)
		if (i % FILES != 1 && i % FILES != FILES - 1)
			assert_false(there(i < FILES ? "" : ".rejected",
			    i % FILES));
	assert_true(there("", 1));
	assert_true(there("", FILES - 1));
	assert_true(there(".rejected", FILES - 1));
}

/* Not beyond what the supervisor says, who knows the other channels. */
static void
test_room(void **state ATTR_UNUSED)
{
	const uint64_t until_ns = (FIRST_S + 60 * 2) * NS_PER_S;
	struct channel_config c = config();
	struct room room = {.until_ns = until_ns};
	struct stat st;

	c.archive.min_free = UINT64_MAX / 2;
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), 2 * 3);
	expect(3, 3);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(room.device == st.st_dev && room.wanted == 1);
	assert_true(room.oldest_ns == until_ns + 60 * NS_PER_S);
	assert_true(room.free > 0 && room.free < c.archive.min_free);
	/* What was said holds once. */
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), 0);
	room.until_ns = UINT64_MAX;
	room.wanted = 0;
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), 2 * 2);
	/* Nothing is left that could go: nobody is asked. */
	assert_true(room.oldest_ns == UINT64_MAX && room.wanted == 0);
	c.archive.min_free = 0;
	c.archive.retain_files = 100;
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), 0);
	/* How much is free is told all the same, and asked of nobody. */
	assert_true(room.device == st.st_dev && room.wanted == 0);
	room = (struct room){.until_ns = 0};
	retain_look(fd, &room);
	assert_true(room.device == st.st_dev && room.wanted == 0);
	assert_true(room.free > 0 && room.oldest_ns == UINT64_MAX);
}

/* Lines in the catalogue for these files, in this order. */
static void
finish_in_order(const unsigned *order, size_t count)
{
	int file = openat(fd, "catalog.jsonl", O_WRONLY | O_TRUNC);
	char name[128];
	size_t i;

	for (i = 0; i < count; i++) {
		name_of(name, "", order[i]);
		assert_true(dprintf(file, "{\"name\":\"%s\"}\n", name) > 0);
	}
	close(file);
}

/* All is forwarded up to this one, or as far as the room says. */
static void
forwarded_up_to(struct room *to, unsigned i)
{
	struct archive_name name;
	char text[128];

	name_of(text, "", i);
	assert_true(archive_name_parse(text, "test", &name));
	*to = (struct room){.until_ns = 0};
	to->forwarded_started_ns = name.started_ns;
	to->forwarded_sequence = name.first_sequence;
}

/* Limits spare what is not forwarded, and nothing else; min_free spares
 * nothing. */
static void
test_unforwarded(void **state ATTR_UNUSED)
{
	static const unsigned order[FILES] = {0, 1, 2, 3, 4, 5};
	struct channel_config c = config();
	struct room room = {.until_ns = 0};
	char name[128];

	log_set_level(LOG_CRIT);
	finish_in_order(order, FILES);
	c.archive.retain_files = 1;
	c.archive.keep_unforwarded = 1;
	/* Not known: rejected ones are not forwarded, and go. */
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), FILES - 1);
	expect(0, FILES - 1);
	forwarded_up_to(&room, 2);
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), 2);
	expect(2, FILES - 1);
	/* Two numbers that do not belong together. */
	forwarded_up_to(&room, 4);
	room.forwarded_sequence++;
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), 0);
	/* Of one that is gone the line is known. */
	forwarded_up_to(&room, 3);
	name_of(name, "", 3);
	assert_int_equal(unlinkat(fd, name, 0), 0);
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), 1);
	assert_true(there("", 4) && there("", 5) && !there("", 2));
	/* The one that is being written has none, nor has one just finished. */
	finish_in_order(order, 5);
	forwarded_up_to(&room, 9);
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), 0);
	put("test_20261120T090000.000000Z_991.avro.part", 1, FIRST_S);
	put("test_20261120T080000.000000Z_992.avro", 1, FIRST_S);
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), 1);
	assert_true(there("", 5) && there("", 8) && !there("", 4));
	c.archive.min_free = UINT64_MAX / 2;
	room = (struct room){.until_ns = UINT64_MAX};
	assert_int_equal(retain_run(&c, fd, NOW_NS, &room), 1);
	assert_true(there("", 8) && !there("", 5));
	log_set_level(LOG_WARNING);
}

/* The last by its name is from when the clock was ahead: it was finished
 * first, and those that came after it are not older than it. */
static void
test_clock_was_ahead(void **state ATTR_UNUSED)
{
	static const unsigned order[FILES] = {FILES - 1, 0, 1, 2, 3, 4};
	struct channel_config c = config();
	unsigned i;

	finish_in_order(order, FILES);
	c.archive.retain_files = 2;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 2 * (FILES - 2));
	for (i = 0; i < FILES; i++)
		assert_int_equal(there("", i), i == 3 || i == 4);
}

static void
set_end(unsigned i, time_t when)
{
	const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
	char name[128];

	name_of(name, "", i);
	assert_int_equal(utimensat(fd, name, times, 0), 0);
}

/* Files of a clock that had not been set yet, or was years ahead, are as old
 * as what was finished after them says. */
static void
test_age_by_a_wrong_clock(void **state ATTR_UNUSED)
{
	static const unsigned order[FILES] = {0, 1, 2, 3, 4, 5};
	struct channel_config c = config();

	finish_in_order(order, FILES);
	set_end(3, 1000);
	set_end(0, FIRST_S + 100000000);
	c.archive.retain_age_ns = 6 * 60 * NS_PER_S;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 0);
	/* The first ended no later than the second, five minutes ago, and the
	 * fourth no later than the fifth, two minutes ago. */
	c.archive.retain_age_ns = 5 * 60 * NS_PER_S - 1;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 4);
	assert_false(there("", 0));
	assert_false(there("", 1));
	c.archive.retain_age_ns = 2 * 60 * NS_PER_S + 1;
	(void)retain_run(&c, fd, NOW_NS, room());
	assert_true(there("", 3));
}

static bool
skip_none(void *argument ATTR_UNUSED, const char *name ATTR_UNUSED)
{
	return false;
}

static void
expect_order(void *argument, const char *name, uint64_t number)
{
	unsigned *seen = argument;
	char expected[128];

	name_of(expected, "", *seen);
	if (number > 0 && strcmp(name, expected) == 0)
		(*seen)++;
}

/* A catalogue that was lost is made anew in the order of the files' times, not
 * in that of the directory: otherwise newer files went before older ones. */
static void
test_catalog_lost(void **state ATTR_UNUSED)
{
	struct channel_config c = config();
	struct catalog catalog;
	unsigned seen = 0;

	assert_int_equal(unlinkat(fd, "catalog.jsonl", 0), 0);
	catalog_open(&catalog, fd, NULL);
	assert_int_equal(catalog_complete(&catalog, "test", skip_none, &seen),
	    0);
	catalog_close(&catalog);
	catalog_names(fd, expect_order, &seen);
	assert_int_equal(seen, FILES);
	c.archive.retain_files = 2;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 2 * (FILES - 2));
	expect(FILES - 2, FILES - 2);
}

/* Whatever the limits say, what was just finished stays. */
static void
test_newest_stays(void **state ATTR_UNUSED)
{
	struct channel_config c = config();

	c.archive.retain_age_ns = 1;
	c.archive.retain_size = 1;
	c.archive.retain_files = 1;
	assert_int_equal(retain_run(&c, fd, NOW_NS + 3600 * NS_PER_S,
	    room()),
	    2 * FILES - 2);
	expect(FILES - 1, FILES - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_age, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clock_was_ahead, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_age_by_a_wrong_clock,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_catalog_lost, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_newest_stays, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_min_free, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_room, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_unforwarded, set_up,
		    tear_down),
	};
	int result;

	log_set_level(LOG_WARNING);
	if (mkdtemp(directory) == NULL)
		return 1;
	fd = open(directory, O_DIRECTORY);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	close(fd);
	rmdir(directory);
	return result;
}
