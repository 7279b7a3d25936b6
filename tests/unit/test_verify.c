/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-verify as a program: exit status, and repaired files of archives
 * that were damaged at every byte.
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

/* -1: there is no repaired file. */
static int
repair(const struct sample *sample, const char *keep, struct found *found)
{
	char said[4096];
	char *out = xasprintf("%s.repaired", sample->path);
	char *argv[] = {(char *)(uintptr_t)"mcrelay-verify",
	    (char *)(uintptr_t)"-o", (char *)(uintptr_t)keep,
	    (char *)(uintptr_t)"-r", out,
	    (char *)(uintptr_t)sample->path, NULL};
	int status = verify(said, sizeof(said), argv);

	if (access(out, F_OK) == 0) {
		sample_read(out, found);
		assert_int_equal(found->opened, READER_OK);
		assert_int_equal(found->damaged, 0);
		unlink(out);
	} else {
		memset(found, 0, sizeof(*found));
		found->opened = READER_UNUSABLE;
	}
	free(out);
	return status;
}

static int
check(const struct sample *sample, char *said, size_t room)
{
	char *argv[] = {(char *)(uintptr_t)"mcrelay-verify",
	    (char *)(uintptr_t)sample->path, NULL};

	return verify(said, room, argv);
}

/*
 * One byte of a block is wrong.  All: everything but what is behind the damage
 * in that block.  Prior and after share no record, and nothing of the
 * blocks before and behind the damaged one is missing in theirs.
 */
static void
damaged_at(struct sample *sample, size_t offset)
{
	const unsigned bad = block_at(sample, offset);
	struct found all, prior, after;
	int status;

	sample->file.data[offset] ^= 0xff;
	sample_write(sample, sample->file.data, sample->file.size);
	sample->file.data[offset] ^= 0xff;
	status = repair(sample, "all", &all);
	assert_int_equal(repair(sample, "prior", &prior), status);
	assert_int_equal(repair(sample, "after", &after), status);
	assert_true(status == VERIFY_DAMAGED || status == VERIFY_WHOLE);
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (i == bad)
			continue;
		assert_int_equal(seen_count(&all, i), DATAGRAMS);
		assert_int_equal(seen_count(&prior, i),
		    i < bad || status == VERIFY_WHOLE ? DATAGRAMS : 0);
		assert_int_equal(seen_count(&after, i),
		    i > bad && status == VERIFY_DAMAGED ? DATAGRAMS : 0);
	}
	assert_int_equal(seen_count(&after, bad), 0);
	assert_int_equal(seen_count(&prior, bad), seen_count(&all, bad));
}

static void
every_byte(const char *codec)
{
	struct sample sample;

	sample_datagrams(&sample, codec, BLOCKS, DATAGRAMS);
	for (size_t i = sample.header_size; i < sample.file.size; i++)
		damaged_at(&sample, i);
	sample_end(&sample);
}

static void
test_every_byte(void **state ATTR_UNUSED)
{
	each_codec(every_byte);
}

/* A datum that is wrong in a block that can be uncompressed. */
static void
bad_datum(const char *codec)
{
	struct sample sample;
	struct found found;
	char said[4096];

	sample_begin(&sample, datagram_schema, codec);
	for (int i = 0; i < DATAGRAMS; i++)
		sample_datagram(&sample, i, 40);
	/* The length of the last payload: more than there is. */
	sample.block.data[sample.block.size - 41] = 0x7e;
	sample_block(&sample);
	sample_write(&sample, sample.file.data, sample.file.size);
	assert_int_equal(check(&sample, said, sizeof(said)), VERIFY_DAMAGED);
	assert_non_null(strstr(said, "3 of 4 records are good"));
	assert_int_equal(repair(&sample, "all", &found), VERIFY_DAMAGED);
	assert_int_equal(seen_count(&found, 0), DATAGRAMS - 1);
	assert_int_equal(repair(&sample, "after", &found), VERIFY_DAMAGED);
	assert_int_equal(found.opened, READER_UNUSABLE);
	sample_end(&sample);
}

static void
test_bad_datum(void **state ATTR_UNUSED)
{
	each_codec(bad_datum);
}

static void
test_whole(void **state ATTR_UNUSED)
{
	struct sample sample;
	struct found found;
	char said[4096];

	sample_datagrams(&sample, "null", BLOCKS, DATAGRAMS);
	sample_write(&sample, sample.file.data, sample.file.size);
	assert_int_equal(check(&sample, said, sizeof(said)), VERIFY_WHOLE);
	assert_non_null(strstr(said, ": whole: 12 records in 3 blocks"));
	assert_non_null(strstr(said, "sequence 0 to 11"));
	assert_non_null(strstr(said, "20261118T110640.123456Z to "
	    "20261118T110640.134456Z"));
	assert_int_equal(repair(&sample, "all", &found), VERIFY_WHOLE);
	assert_int_equal(found.blocks, BLOCKS);
	assert_int_equal(found.bytes, sample.file.size);
	/* Only the header: a good file without records. */
	sample_write(&sample, sample.file.data, sample.header_size);
	assert_int_equal(check(&sample, said, sizeof(said)), VERIFY_WHOLE);
	sample_end(&sample);
}

/* Whatever a file is called, a terminal is not told what to do. */
static void
test_strange_name(void **state ATTR_UNUSED)
{
	static char name[] = "/tmp/no\n\033[2J\xc2\x9bsuch\xe2\x80\xae.avro";
	char *argv[] = {(char *)(uintptr_t)"mcrelay-verify", name, NULL};
	char said[4096];

	assert_int_equal(verify(said, sizeof(said), argv), VERIFY_UNUSABLE);
	assert_string_equal(said, "/tmp/no\\u000a\\u001b[2J\\u009bsuch"
	    "\\u202e.avro: unusable: No such file or directory\n");
}

static void
test_unusable(void **state ATTR_UNUSED)
{
	struct sample sample;
	char said[4096];

	sample_datagrams(&sample, "null", BLOCKS, DATAGRAMS);
	sample_write(&sample, sample.file.data, sample.header_size - 1);
	assert_int_equal(check(&sample, said, sizeof(said)),
	    VERIFY_UNUSABLE);
	assert_non_null(strstr(said, "unusable: "));
	sample_write(&sample, "", 0);
	assert_int_equal(check(&sample, said, sizeof(said)),
	    VERIFY_UNUSABLE);
	sample_end(&sample);
}

/* A repaired file never replaces another one, not even the damaged one. */
static void
test_never_overwrites(void **state ATTR_UNUSED)
{
	struct sample sample;
	struct found found;
	char said[4096];
	char *argv[] = {(char *)(uintptr_t)"mcrelay-verify",
	    (char *)(uintptr_t)"-r", sample.path, sample.path, NULL};

	sample_datagrams(&sample, "null", BLOCKS, DATAGRAMS);
	sample_write(&sample, sample.file.data, sample.file.size);
	assert_int_equal(verify(said, sizeof(said), argv), VERIFY_UNUSABLE);
	assert_non_null(strstr(said, "cannot create"));
	sample_read(sample.path, &found);
	assert_int_equal(found.bytes, sample.file.size);
	sample_end(&sample);
}

/* What cannot be finished is not left lying about. */
static void
test_no_room(void **state ATTR_UNUSED)
{
	struct rlimit before, limit;
	struct sample sample;
	struct found found;
	char *part;

	sample_datagrams(&sample, "null", BLOCKS, DATAGRAMS);
	sample_write(&sample, sample.file.data, sample.file.size);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	/* Enough for what is said. */
	limit = before;
	limit.rlim_cur = sample.file.size - 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(repair(&sample, "all", &found), VERIFY_UNUSABLE);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(found.opened, READER_UNUSABLE);
	part = xasprintf("%s.repaired.part", sample.path);
	assert_int_equal(access(part, F_OK), -1);
	free(part);
	sample_end(&sample);
}

/* A codec that we do not have: lengths and markers are all there is. */
static void
test_unknown_codec(void **state ATTR_UNUSED)
{
	struct sample sample;
	char said[4096];

	sample_datagrams(&sample, "xz", BLOCKS, DATAGRAMS);
	sample.file.data[sample.end[0] + 10] ^= 0xff;
	sample_write(&sample, sample.file.data, sample.file.size);
	assert_int_equal(check(&sample, said, sizeof(said)), VERIFY_WHOLE);
	assert_non_null(strstr(said, "codec xz, which cannot be looked into"));
	sample_write(&sample, sample.file.data, sample.file.size - 1);
	assert_int_equal(check(&sample, said, sizeof(said)), VERIFY_DAMAGED);
	sample_end(&sample);
}

/* Whole, damaged and missing files, more than are read ahead: whoever reads
 * them, the same is said of each, in the order in which they were given. */
static void
test_many_at_once(void **state ATTR_UNUSED)
{
	static char missing[] = "/tmp/mcrelay-there-is-none.avro";
	char *argv[64] = {(char *)(uintptr_t)"mcrelay-verify"};
	static char lone[32768], several[32768];
	struct sample whole, damaged;
	const int first = 3, files = 45;
	unsigned i;

	sample_datagrams(&whole, "null", BLOCKS, DATAGRAMS);
	sample_write(&whole, whole.file.data, whole.file.size);
	sample_datagrams(&damaged, "null", BLOCKS, DATAGRAMS);
	damaged.file.data[damaged.end[1] + 10] ^= 0xff;
	sample_write(&damaged, damaged.file.data, damaged.file.size);
	for (i = 0; i < (unsigned)files; i++)
		argv[first + (int)i] = i % 7 == 3 ? damaged.path :
		    i % 11 == 5 ? missing : whole.path;
	argv[1] = (char *)(uintptr_t)"-j";
	argv[2] = (char *)(uintptr_t)"1";
	assert_int_equal(verify(lone, sizeof(lone), argv), VERIFY_UNUSABLE);
	assert_non_null(strstr(lone, "damage at offset"));
	argv[2] = (char *)(uintptr_t)"5";
	assert_int_equal(verify(several, sizeof(several), argv),
	    VERIFY_UNUSABLE);
	assert_string_equal(several, lone);
	argv[2] = (char *)(uintptr_t)"64";
	assert_int_equal(verify(several, sizeof(several), argv),
	    VERIFY_UNUSABLE);
	assert_string_equal(several, lone);
	sample_end(&damaged);
	sample_end(&whole);
}

static void
test_options(void **state ATTR_UNUSED)
{
	static const char *const bad[][5] = {
		{"verify", NULL},
		{"verify", "-o", "everything", "f", NULL},
		{"verify", "-o", "all", "f", NULL},
		{"verify", "-o", NULL},
		{"verify", "-x", "f", NULL},
		{"verify", "-rf", "-oreport", "f", NULL},
		{"verify", "-r", "out", "f", "g"},
		{"verify", "--catalog", NULL},
		{"verify", "--catalog", "d", "f", NULL},
		{"verify", "-rf", "--catalog", "d", NULL},
		{"verify", "--catalogue", "d", NULL},
		{"verify", "-j", "0", "f", NULL},
		{"verify", "-j", "65", "f", NULL},
		{"verify", "-j2", "--catalog", "d", NULL},
	};
	struct verify_options options;
	char error[OPTIONS_ERROR_SIZE];
	char *argv[6] = {NULL};
	int argc;

	for (size_t i = 0; i < NITEMS(bad); i++) {
		for (argc = 0; argc < 5 && bad[i][argc] != NULL; argc++)
			argv[argc] = (char *)(uintptr_t)bad[i][argc];
		argv[argc] = NULL;
		assert_false(verify_parse(argc, argv, &options, error));
	}
	argv[1] = (char *)(uintptr_t)"f";
	argv[2] = (char *)(uintptr_t)"g";
	argv[3] = NULL;
	assert_true(verify_parse(3, argv, &options, error));
	assert_int_equal(options.files, 2);
	assert_false(options.blocks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_bad_datum),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_strange_name),
		cmocka_unit_test(test_unusable),
		cmocka_unit_test(test_never_overwrites),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_unknown_codec),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
