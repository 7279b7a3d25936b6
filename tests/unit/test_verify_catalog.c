/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-verify on the files of one channel: gaps between them, and what
 * their catalogue says, or said.
 */
#include <sys/resource.h>
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

#include "common/util.h"
#include "tests/unit/archive_support.h"
#include "tests/unit/verify_support.h"
#include "tools/verify/verify.h"

/* Several files of one channel in a directory of their own. */
#define FILES	3

struct place {
	char	directory[32];
	char	*path[FILES];
	char	*catalog;
};

static const int64_t first_sequence[FILES] = {0, 20, 23};

static void
setup_place(struct place *place, const char *channel)
{
	struct sample sample;

	strcpy(place->directory, "/tmp/mcrelay-test-XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	place->catalog = xasprintf("%s/catalog.jsonl", place->directory);
	for (size_t i = 0; i < FILES; i++) {
		place->path[i] = xasprintf("%s/%s_20261118T00000%zu.000000Z"
		    "_%d.avro", place->directory, channel, i,
		    (int)first_sequence[i]);
		sample_begin(&sample, datagram_schema, "null");
		for (int64_t n = 0; n < 3; n++)
			sample_datagram(&sample, first_sequence[i] + n, 10);
		sample_block(&sample);
		snprintf(sample.path, sizeof(sample.path), "%s",
		    place->path[i]);
		sample_write(&sample, sample.file.data, sample.file.size);
		sample.path[0] = '\0';	/* to stay */
		sample_end(&sample);
	}
}

static void
teardown_place(struct place *place)
{
	for (size_t i = 0; i < FILES; i++) {
		unlink(place->path[i]);
		free(place->path[i]);
	}
	unlink(place->catalog);
	free(place->catalog);
	assert_int_equal(rmdir(place->directory), 0);
}

static int
verify_place(const struct place *place, char *said, size_t room)
{
	char *argv[FILES + 2] = {(char *)(uintptr_t)"mcrelay-verify"};

	memcpy(argv + 1, place->path, sizeof(place->path));
	return verify(said, room, argv);
}

static void
test_gaps(void **state ATTR_UNUSED)
{
	struct place place;
	char said[4096];
	char *at;

	setup_place(&place, "accel");
	assert_int_equal(verify_place(&place, said, sizeof(said)),
	    VERIFY_WHOLE);
	at = strstr(said, "_20.avro: sequence 3 to 19 is neither in it nor in "
	    "the file before\n");
	assert_non_null(at);
	at = strstr(at, "neither");
	assert_null(strstr(at + 1, "neither"));
	teardown_place(&place);
	setup_place(&place, "accel.rejected");
	assert_int_equal(verify_place(&place, said, sizeof(said)),
	    VERIFY_WHOLE);
	assert_null(strstr(said, "neither"));
	teardown_place(&place);
}

static void
write_catalog(const struct place *place, size_t file, long long bytes,
    long long last, const char *rest)
{
	FILE *f = fopen(place->catalog, "a");

	assert_non_null(f);
	fprintf(f, "{\"name\":\"%s\",\"stream\":\"main\","
	    "\"first_sequence\":%lld,\"last_sequence\":%lld,"
	    "\"bytes\":%lld,\"losses\":{\"kernel_dropped\":0,"
	    "\"rejected\":2,\"archive_shed\":7}}\n%s",
	    strrchr(place->path[file], '/') + 1,
	    (long long)first_sequence[file], last, bytes, rest);
	assert_int_equal(fclose(f), 0);
}

/* What the catalogue has to say of a gap; lines that cannot be read are told.
 */
static void
test_catalog(void **state ATTR_UNUSED)
{
	struct place place;
	struct stat st;
	char said[4096];

	setup_place(&place, "accel");
	assert_int_equal(stat(place.path[0], &st), 0);
	write_catalog(&place, 0, st.st_size, 4, "{\"name\":"
	    "\"accel_20261118T000000.500000Z_10.avro\",\"first_sequence\":10}\n"
	    "{\"name\":\"other_20261118T000000.500000Z_11.avro\","
	    "\"first_sequence\":11}\n");
	assert_int_equal(verify_place(&place, said, sizeof(said)),
	    VERIFY_WHOLE);
	write_catalog(&place, 2, st.st_size, 25, "not JSON\n[1]\n{\"name\":"
	    "\"../accel_20261118T000000.500000Z_12.avro\"}\n{\"name\":"
	    "\"accel_20261118T000000.500000Z_12.avro\",\"losses\":"
	    "{\"sequence_gaps\":18446744073709551606}}\n");
	write_catalog(&place, 1, st.st_size, 22, "{\"name\":\"acc");
	assert_int_equal(verify_place(&place, said, sizeof(said)),
	    VERIFY_DAMAGED);
	for (unsigned i = 5; i < 9; i++) {
		char line[64];

		snprintf(line, sizeof(line), "catalog.jsonl: line %u cannot "
		    "be read: ", i);
		assert_non_null(strstr(said, line));
	}
	assert_non_null(strstr(said, "line 10 cannot be read: it is torn"));
	assert_null(strstr(said, "line 9 "));
	assert_non_null(strstr(said, "_20.avro: sequence 5 to 19 is neither "
	    "in it nor in the file before; the catalogue has "
	    "accel_20261118T000000.500000Z_10.avro; while it was written: "
	    "rejected 2, "
	    "archive_shed 7\n"));
	teardown_place(&place);
}

/* Something else in the place of the catalogue is not waited for. */
static void
test_catalog_fifo(void **state ATTR_UNUSED)
{
	struct place place;
	char said[4096];

	setup_place(&place, "accel");
	assert_int_equal(mkfifo(place.catalog, 0600), 0);
	alarm(30);
	assert_int_equal(verify_place(&place, said, sizeof(said)),
	    VERIFY_DAMAGED);
	alarm(0);
	assert_non_null(strstr(said, "/catalog.jsonl: a FIFO, not a regular "
	    "file\n"));
	unlink(place.catalog);
	assert_int_equal(symlink(place.path[0], place.catalog), 0);
	assert_int_equal(verify_place(&place, said, sizeof(said)),
	    VERIFY_DAMAGED);
	assert_non_null(strstr(said, "/catalog.jsonl: a symbolic link"));
	teardown_place(&place);
}

/* A file that lost its last block looks whole, but the catalogue knows. */
static void
test_catalog_size(void **state ATTR_UNUSED)
{
	struct place place;
	struct stat st;
	char said[4096];

	setup_place(&place, "accel");
	assert_int_equal(stat(place.path[1], &st), 0);
	write_catalog(&place, 1, st.st_size + 1, 22, "");
	assert_int_equal(verify_place(&place, said, sizeof(said)),
	    VERIFY_DAMAGED);
	assert_non_null(strstr(said,
	    "_20.avro: damaged: shorter than the catalogue says\n"));
	teardown_place(&place);
}

static int
rebuild(const struct place *place, char *said, size_t room)
{
	char *argv[] = {(char *)(uintptr_t)"mcrelay-verify",
	    (char *)(uintptr_t)"--catalog",
	    (char *)(uintptr_t)place->directory, NULL};

	return verify(said, room, argv);
}

/* The catalogue, or what it is called with `ending', which is removed. */
static void
take_catalog(const struct place *place, const char *ending, char *text,
    size_t room)
{
	char *path = xasprintf("%s%s", place->catalog, ending);
	FILE *f = fopen(path, "r");
	size_t size;

	assert_non_null(f);
	size = fread(text, 1, room - 1, f);
	text[size] = '\0';
	fclose(f);
	unlink(path);
	free(path);
}

#define LINE(second, first, last, rest)				\
	"{\"name\":\"accel_20261118T00000" second ".000000Z_" first	\
	".avro\",\"stream\":\"main\",\"first_sequence\":" first		\
	",\"last_sequence\":" last rest
#define RECEIVED(from, to)						\
	",\"first_received\":\"20261118T110640." from "Z\","		\
	"\"last_received\":\"20261118T110640." to "Z\","		\
	"\"datagrams\":3,\"records\":3,\"bytes\":"

/*
 * A catalogue of one line that cannot be read, one of a file that is gone,
 * one that knows of losses: the last two stay, in their order, whatever their
 * times are, for that is when the files were finished; the files tell the rest.
 * The one before is kept, and so is the one before that.
 */
static void
test_rebuild(void **state ATTR_UNUSED)
{
	static const char gone[] = "{\"name\":"
	    "\"accel_20261118T000000.500000Z_10.avro\",\"first_sequence\":10,"
	    "\"losses\":null}\n";
	char said[4096], before[4096], text[4096], *expected;
	struct place place;
	struct stat st[FILES];

	setup_place(&place, "accel");
	for (size_t i = 0; i < FILES; i++)
		assert_int_equal(stat(place.path[i], &st[i]), 0);
	write_catalog(&place, 1, 1, 29, "{\"name\":\"accel_20261118T000002."
	    "000000Z_23.avro\",\"bytes\":18446744073709551606}\n");
	write_catalog(&place, 1, 1, 29, gone);
	assert_int_equal(rebuild(&place, said, sizeof(said)), VERIFY_WHOLE);
	assert_non_null(strstr(said, "line 2 cannot be read: "));
	assert_non_null(strstr(said, "written: 4 lines, 3 of them of files "
	    "that are there; the one before is catalog.jsonl.old\n"));
	take_catalog(&place, ".old", before, sizeof(before));
	assert_non_null(strstr(before, "18446744073709551606"));
	/* Nothing more to mend: no word of a bad line. */
	assert_int_equal(verify_place(&place, said, sizeof(said)),
	    VERIFY_WHOLE);
	assert_non_null(strstr(said, "rejected 2, archive_shed 7"));
	assert_null(strstr(said, "cannot be read"));
	expected = xasprintf(LINE("0", "0", "2", RECEIVED("123456",
	    "125456")) "%lld,\"codec\":\"null\",\"losses\":null}\n"
	    LINE("1", "20", "29", RECEIVED("143456", "145456"))
	    "%lld,\"codec\":\"null\",\"losses\":{\"kernel_dropped\":0,"
	    "\"rejected\":2,\"archive_shed\":7}}\n%s"
	    LINE("2", "23", "25", RECEIVED("146456", "148456"))
	    "%lld,\"codec\":\"null\",\"losses\":null}\n",
	    (long long)st[0].st_size, (long long)st[1].st_size, gone,
	    (long long)st[2].st_size);
	assert_int_equal(rebuild(&place, said, sizeof(said)), VERIFY_WHOLE);
	assert_int_equal(rebuild(&place, said, sizeof(said)), VERIFY_WHOLE);
	take_catalog(&place, ".old", text, sizeof(text));
	assert_string_equal(text, expected);
	take_catalog(&place, ".old.1", text, sizeof(text));
	assert_string_equal(text, expected);
	take_catalog(&place, "", text, sizeof(text));
	assert_string_equal(text, expected);
	/* Without one before. */
	assert_int_equal(rebuild(&place, said, sizeof(said)), VERIFY_WHOLE);
	take_catalog(&place, "", text, sizeof(text));
	assert_null(strstr(text, "_10.avro"));
	free(expected);
	teardown_place(&place);
}

/* What is no file of mcrelay's is not touched, and nothing is waited for. */
static void
test_rebuild_others(void **state ATTR_UNUSED)
{
	char said[4096], text[4096];
	struct place place;

	setup_place(&place, "accel");
	unlink(place.path[0]);
	assert_int_equal(mkfifo(place.path[0], 0600), 0);
	alarm(30);
	assert_int_equal(rebuild(&place, said, sizeof(said)),
	    VERIFY_UNUSABLE);
	assert_non_null(strstr(said, "_0.avro: unusable: a FIFO"));
	take_catalog(&place, "", text, sizeof(text));
	assert_null(strstr(text, "_0.avro"));
	assert_non_null(strstr(text, "_20.avro"));
	assert_int_equal(mkfifo(place.catalog, 0600), 0);
	assert_int_equal(rebuild(&place, said, sizeof(said)),
	    VERIFY_UNUSABLE);
	alarm(0);
	assert_non_null(strstr(said, "catalog.jsonl: a FIFO"));
	teardown_place(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_catalog),
		cmocka_unit_test(test_catalog_fifo),
		cmocka_unit_test(test_catalog_size),
		cmocka_unit_test(test_rebuild),
		cmocka_unit_test(test_rebuild_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
