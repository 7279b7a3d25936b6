/* SPDX-License-Identifier: ISC */
/*
 * Retention that makes spare files: which become some, and that nobody who has
 * one open sees anything else in it.
 */
#include <sys/mman.h>
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
#include "worker/archive/recycle.h"
#include "worker/archive/retain.h"

#define FILES		6
#define FILE_BYTES	10000
#define NOW_NS		(UINT64_C(1795210200) * NS_PER_S)

static char	directory[] = "/tmp/mcrelay-recycle.XXXXXX";
static int	fd;

/* All may go that min_free asks for. */
static struct room *
room(void)
{
	static struct room room;

	atomic_store(&room.until_ns, UINT64_MAX);
	return &room;
}

/* Their order is that of their names. */
static void
name_of(char name[128], const char *kind, unsigned i)
{
	snprintf(name, 128, "test%s_20261120T%02u0000.000000Z_%u.avro", kind,
	    i, i);
}

static void
put(const char *kind, unsigned i)
{
	static const uint8_t zeros[FILE_BYTES];
	char name[128];
	int file;

	name_of(name, kind, i);
	file = openat(fd, name, O_CREAT | O_WRONLY | O_EXCL, 0600);
	assert_int_equal(write(file, zeros, FILE_BYTES), FILE_BYTES);
	close(file);
}

static int
set_up(void **state ATTR_UNUSED)
{
	unsigned i;

	for (i = 0; i < FILES; i++) {
		put("", i);
		put(".rejected", i);
	}
	return 0;
}

static int
tear_down(void **state ATTR_UNUSED)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s/*", directory);
	return system(command);
}

/* All but the `gone' oldest of each kind are there. */
static void
expect(unsigned gone)
{
	char name[128];
	unsigned i;

	for (i = 0; i < 2 * FILES; i++) {
		name_of(name, i < FILES ? "" : ".rejected", i % FILES);
		assert_int_equal(faccessat(fd, name, F_OK, 0) == 0,
		    i % FILES >= gone);
	}
}

static struct channel_config
config(uint64_t files, uint64_t recycle)
{
	return (struct channel_config){.name = "test",
	    .archive.directory = "directory", .archive.retain_files = files,
	    .archive.recycle = recycle};
}

static unsigned
spares(void)
{
	char name[32];
	unsigned n, count = 0;

	for (n = 0; n < RECYCLE_FILES_MAX; n++) {
		snprintf(name, sizeof(name), "test.spare-%u", n);
		count += faccessat(fd, name, F_OK, 0) == 0;
	}
	return count;
}

static const uint8_t *
map_and_close(const char *name)
{
	int file = openat(fd, name, O_RDONLY);
	const uint8_t *data = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED,
	    file, 0);

	assert_true(data != MAP_FAILED);
	close(file);
	return data;
}

/* What a file that is recycled holds is none any more, but of its size. */
static void
check_spare(const char *name)
{
	char found[sizeof(ARCHIVE_SPARE_MARK)] = "";
	int file = openat(fd, name, O_RDONLY);

	assert_int_equal(lseek(file, 0, SEEK_END), FILE_BYTES);
	assert_int_equal(pread(file, found, sizeof(found) - 1, 0),
	    sizeof(found) - 1);
	assert_string_equal(found, ARCHIVE_SPARE_MARK);
	close(file);
}

/* Two become spares; rejected ones, and what is more, are removed. */
static void
test_recycle(void **state ATTR_UNUSED)
{
	struct channel_config c = config(3, 2);
	int file;

	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 2 * (FILES - 3));
	expect(FILES - 3);
	assert_int_equal(spares(), 2);
	check_spare("test.spare-0");
	check_spare("test.spare-1");
	/* An archive that is begun has one of them; another one comes. */
	file = recycle_take(fd, "test", "test_x.avro", 2);
	assert_int_not_equal(file, -1);
	close(file);
	check_spare("test_x.avro.part");
	assert_int_equal(unlinkat(fd, "test_x.avro.part", 0), 0);
	c.archive.retain_files = 2;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 2);
	assert_int_equal(spares(), 2);
	recycle_bound(fd, "test", 1);
	assert_int_equal(spares(), 1);
	/* What has a beginning of its own is no spare. */
	file = openat(fd, "test.spare-0", O_WRONLY);
	assert_int_equal(write(file, "Obj", 3), 3);
	close(file);
	recycle_bound(fd, "test", 2);
	assert_int_equal(spares(), 0);
	assert_int_equal(recycle_take(fd, "test", "test_x.avro", 2), -1);
}

/* Whoever has it open, or another name for it, keeps it as it was. */
static void
test_recycle_shared(void **state ATTR_UNUSED)
{
	static uint8_t found[FILE_BYTES], zeros[FILE_BYTES];
	struct channel_config c = config(3, RECYCLE_FILES_MAX);
	const uint8_t *mapped;
	char name[128];
	int file;

	name_of(name, "", 0);
	file = openat(fd, name, O_RDONLY);
	name_of(name, "", 1);
	mapped = map_and_close(name);
	name_of(name, "", 2);
	assert_int_equal(linkat(fd, name, fd, "held", 0), 0);
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 2 * (FILES - 3));
	expect(FILES - 3);
	assert_int_equal(spares(), 0);
	assert_int_equal(pread(file, found, FILE_BYTES, 0), FILE_BYTES);
	assert_memory_equal(found, zeros, FILE_BYTES);
	assert_memory_equal(mapped, zeros, FILE_BYTES);
	close(file);
	file = openat(fd, "held", O_RDONLY);
	assert_int_equal(pread(file, found, FILE_BYTES, 0), FILE_BYTES);
	assert_memory_equal(found, zeros, FILE_BYTES);
	close(file);
	assert_int_equal(munmap((void *)(uintptr_t)mapped, FILE_BYTES), 0);
}

/* What spares occupy counts as free, until others need it. */
static void
test_recycle_min_free(void **state ATTR_UNUSED)
{
	struct channel_config c = config(4, 2);

	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 2 * (FILES - 4));
	assert_int_equal(spares(), 2);
	c.archive.min_free = 1;
	assert_int_equal(retain_run(&c, fd, NOW_NS, room()), 0);
	assert_int_equal(spares(), 2);
	c.archive.min_free = UINT64_MAX / 2;
	(void)retain_run(&c, fd, NOW_NS, room());
	expect(FILES - 1);
	assert_int_equal(spares(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_recycle, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_recycle_shared, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_recycle_min_free, set_up,
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
