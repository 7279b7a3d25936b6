/* SPDX-License-Identifier: ISC */
/*
 * Power cuts: what a worker asked of the file system in a run is replayed up
 * to every call, in every way in which the disk may have come that far, and
 * recovered.
 *
 * What a disk may do: of a file's calls since its last sync, pages may have
 * been written or not, each by itself; names change in the order of the calls
 * and are sure to be there after a sync of the directory.  Recovery must end
 * with whole files that hold what was written, all of what was synced, and a
 * catalogue that has each of them once.
 *
 * MCRELAY_TEST_LONG=1: 58 random choices of pages at each point, not 6.
 * MCRELAY_CRASH_OUT=DIR: the distinct files that were recovered are kept
 * there, for readers of others.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/avro_walk.h"
#include "common/log.h"
#include "common/util.h"
#include "tests/unit/crash_log.h"
#include "tests/unit/load.h"
#include "worker/archive/catalog.h"
#include "worker/archive/recover.h"

#define PAGE		4096U
#define FILE_MAX	(256U * 1024)
#define FILES_MAX	64U
/* Of a header, without a block behind it. */
#define HEADER_MAX	1024U
#define DATAGRAMS	2000U

enum choice {
	CHOICE_ALL,	/* everything reached the disk */
	CHOICE_NONE,	/* nothing that was not synced */
	CHOICE_RANDOM,	/* from here on */
};

/* One file as it may be on the disk, and what it must hold. */
struct image {
	uint64_t	inode;
	char		name[CRASH_NAME];	/* "": none */
	uint8_t		data[FILE_MAX];		/* written */
	uint64_t	size;
	uint64_t	synced;
	bool		there[FILE_MAX / PAGE];	/* page is on the disk */
};

static struct image	images[FILES_MAX];
static unsigned		image_count;
static uint64_t		seed = 1;
static char		directory[] = "/dev/shm/mcrelay-crash.XXXXXX";
static int		directory_fd;
static struct {
	unsigned	states, recovered, torn, bad, removed;
} tally;

static uint32_t
any(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static struct image *
image_of(uint64_t inode)
{
	unsigned i;

	for (i = 0; i < image_count; i++)
		if (images[i].inode == inode)
			return &images[i];
	return NULL;
}

static struct image *
image_named(const char *name)
{
	unsigned i;

	for (i = 0; i < image_count; i++)
		if (strcmp(images[i].name, name) == 0)
			return &images[i];
	return NULL;
}

static void
apply_name(const struct crash_entry *e)
{
	struct image *image;

	if (e->call == CRASH_CREATE) {
		assert_true(image_count < FILES_MAX);
		image = &images[image_count++];
		memset(image, 0, sizeof(*image));
		image->inode = e->inode;
		snprintf(image->name, CRASH_NAME, "%s", e->name);
		return;
	}
	image = image_named(e->name);
	if (image == NULL)
		return;
	snprintf(image->name, CRASH_NAME, "%s", e->call == CRASH_RENAME ?
	    e->other_name : "");
	if (e->call == CRASH_UNLINK)
		image->inode = 0;
}

/* As it is in memory, but for a name that did not reach the disk. */
static void
apply(const struct crash_entry *e, bool name_lost)
{
	struct image *image = image_of(e->inode);

	switch (e->call) {
	case CRASH_CREATE:
	case CRASH_RENAME:
	case CRASH_UNLINK:
		if (!name_lost)
			apply_name(e);
		break;
	case CRASH_WRITE:
		if (image == NULL)
			break;
		assert_true(e->offset + e->size <= FILE_MAX);
		memcpy(image->data + e->offset, crash_log->data + e->data,
		    e->size);
		image->size = MAX_OF(image->size, e->offset + e->size);
		break;
	case CRASH_TRUNCATE:
		if (image != NULL && e->offset < image->size) {
			image->size = e->offset;
			image->synced = MIN_OF(image->synced, e->offset);
		}
		break;
	case CRASH_SYNC:
		if (image != NULL)
			image->synced = image->size;
		break;
	case CRASH_SYNC_DIRECTORY:
		break;
	}
}

/* The calls before `end'; names as they were before `names'. */
static void
replay(unsigned end, unsigned names)
{
	unsigned i;

	image_count = 0;
	for (i = 0; i < end; i++)
		apply(&crash_log->entry[i], i >= names);
}

/* The last call before `end' that makes the names before it sure. */
static unsigned
sure_names(unsigned end)
{
	while (end > 0 && crash_log->entry[end - 1].call !=
	    CRASH_SYNC_DIRECTORY)
		end--;
	return end;
}

static bool
changes_name(enum crash_call call)
{
	return call == CRASH_CREATE || call == CRASH_RENAME ||
	    call == CRASH_UNLINK;
}

/* Which pages of the file are on the disk, and how long it is there. */
static uint64_t
choose(struct image *image, enum choice choice)
{
	uint64_t size = image->size, page;

	if (choice == CHOICE_NONE)
		size = image->synced;
	else if (choice >= CHOICE_RANDOM && size > image->synced)
		size = image->synced + any((uint32_t)(size - image->synced) +
		    1);
	for (page = 0; page * PAGE < size; page++)
		image->there[page] = choice < CHOICE_RANDOM ||
		    (page + 1) * PAGE <= image->synced || any(4) != 0;
	return size;
}

/* A page that holds synced bytes is there; others are holes. */
static void
put_file(struct image *image, enum choice choice)
{
	uint64_t size = choose(image, choice), page, from, length;
	int fd = openat(directory_fd, image->name, O_CREAT | O_WRONLY, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	for (page = 0; page * PAGE < size; page++) {
		from = page * PAGE;
		length = MIN_OF((uint64_t)PAGE, size - from);
		if (!image->there[page] && from >= image->synced)
			continue;
		assert_int_equal(pwrite(fd, image->data + from, length,
		    (off_t)from), length);
	}
	close(fd);
}

static void
keep(const char *name, const uint8_t *data, size_t size)
{
	const char *out = getenv("MCRELAY_CRASH_OUT");
	char path[512];
	int fd;

	if (out == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%zu_%s", out, size, name);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (fd == -1)
		return;
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

/* The file must be whole, and the beginning of what was written. */
static void
check_file(const char *name)
{
	static uint8_t found[FILE_MAX];
	int fd = openat(directory_fd, name, O_RDONLY);
	struct avro_walk_block block;
	enum avro_walk_status status;
	struct avro_walk walk;
	struct image *image;
	ssize_t size;
	char part[CRASH_NAME + 8];

	snprintf(part, sizeof(part), "%.*s.part", CRASH_NAME - 1, name);
	image = image_named(name);
	if (image == NULL)
		image = image_named(part);
	assert_non_null(image);
	size = pread(fd, found, sizeof(found), 0);
	assert_true(size > 0 && (uint64_t)size <= image->size);
	assert_memory_equal(found, image->data, (size_t)size);
	assert_int_equal(avro_walk_open(&walk, fd), AVRO_WALK_OK);
	while ((status = avro_walk_next(&walk, &block)) == AVRO_WALK_OK)
		continue;
	assert_int_equal(status, AVRO_WALK_END);
	avro_walk_close(&walk);
	keep(name, found, (size_t)size);
	/* Nothing that was synced is missing. */
	assert_true((uint64_t)size >= image->synced);
	close(fd);
}

/* A file with synced blocks is there, under its final name. */
static void
check_there(const struct image *image)
{
	char name[CRASH_NAME];
	enum archive_kind stream;

	snprintf(name, sizeof(name), "%s", image->name);
	if (file_is(name, "test", ".avro.part", &stream))
		name[strlen(name) - strlen(".part")] = '\0';
	else if (!file_is(name, "test", ".avro", &stream))
		return;
	if (image->synced > HEADER_MAX)
		assert_int_equal(faccessat(directory_fd, name, F_OK, 0), 0);
}

static bool
never(void *argument ATTR_UNUSED, const char *name ATTR_UNUSED)
{
	return false;
}

/* Each name once, every line whole. */
static void
check_catalog(unsigned files)
{
	char path[256], line[4096];
	unsigned count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/" CATALOG_NAME, directory);
	file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		assert_int_equal(line[0], '{');
		assert_string_equal(line + strlen(line) - 2, "}\n");
		count++;
	}
	if (file != NULL)
		fclose(file);
	assert_int_equal(count, files);
}

static void
recover_all(void)
{
	static const struct archive_state none;
	struct leftovers leftovers;
	struct recovered recovered;
	struct catalog catalog;
	unsigned i;

	assert_int_equal(leftovers_list(&leftovers, directory_fd, "test",
	    &none), 0);
	for (i = 0; i < leftovers.count; i++) {
		switch (recover_file(directory_fd, leftovers.name[i],
		    &recovered)) {
		case RECOVERY_FINISHED:
			tally.recovered++;
			tally.torn += recovered.torn > 0;
			break;
		case RECOVERY_REMOVED:
			tally.removed++;
			break;
		case RECOVERY_BAD:
			tally.bad++;
			break;
		case RECOVERY_FAILED:
			fail_msg("cannot recover %s", leftovers.name[i]);
		}
	}
	leftovers_free(&leftovers);
	catalog_open(&catalog, directory_fd, NULL);
	assert_int_equal(catalog_complete(&catalog, "test", never,
	    directory), 0);
	catalog_close(&catalog);
}

static void
check_state(enum choice choice)
{
	enum archive_kind stream;
	struct dirent *entry;
	unsigned files = 0, i;
	DIR *dir;

	for (i = 0; i < image_count; i++)
		if (images[i].name[0] != '\0')
			put_file(&images[i], choice);
	recover_all();
	for (i = 0; i < image_count; i++)
		check_there(&images[i]);
	dir = file_list(directory_fd);
	while ((entry = readdir(dir)) != NULL) {
		assert_null(strstr(entry->d_name, ".part"));
		if (!file_is(entry->d_name, "test", ".avro", &stream))
			continue;
		check_file(entry->d_name);
		files++;
	}
	check_catalog(files);
	rewinddir(dir);
	while ((entry = readdir(dir)) != NULL)
		unlinkat(directory_fd, entry->d_name, 0);
	closedir(dir);
	tally.states++;
}

/* What happened before the `end'-th call, in every way. */
static void
check_point(unsigned end, unsigned choices)
{
	unsigned names, choice;

	for (names = sure_names(end); names <= end; names++) {
		if (names < end &&
		    !changes_name(crash_log->entry[names].call))
			continue;
		for (choice = 0; choice < choices; choice++) {
			replay(end, names);
			check_state(choice);
		}
	}
}

static void
record(void)
{
	struct segment_spec spec = {.config.archive = {.block_size = 4096,
	    .rotate_size = 70000, .flush_interval_ns = 5 * NS_PER_MS,
	    .sync = SYNC_INTERVAL}};
	uint8_t payload[700];
	struct rig rig;
	unsigned i;

	rig_open(&rig, &spec);
	crash_log->on = 1;
	rig_start(&rig);
	for (i = 0; i < DATAGRAMS; i++) {
		memset(payload, (int)(i % 255) + 1, sizeof(payload));
		rig_send(&rig, payload, 100 + i % 600);
		if (i % 8 == 7)
			load_pause(NS_PER_MS);
	}
	rig_wait_received(&rig, DATAGRAMS);
	assert_int_equal(rig_stop(&rig, 0), 0);
	crash_log->on = 0;
	rig_close(&rig);
}

static void
test_power_cuts(void **state ATTR_UNUSED)
{
	unsigned end, choices = getenv("MCRELAY_TEST_LONG") != NULL ? 60 : 8;

	crash_log_open();
	record();
	assert_non_null(mkdtemp(directory));
	directory_fd = open(directory, O_DIRECTORY);
	for (end = 0; end <= crash_log->count; end++)
		check_point(end, choices);
	print_message("%u calls, %u states of the disk: %u files recovered, "
	    "%u of them torn; %u without a block set aside, %u empty removed\n",
	    crash_log->count, tally.states, tally.recovered, tally.torn,
	    tally.bad, tally.removed);
	assert_true(tally.recovered > 500 && tally.torn > 200);
	close(directory_fd);
	rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_cuts),
	};

	log_set_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
