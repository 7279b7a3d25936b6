/* SPDX-License-Identifier: ISC */
/*
 * Power cuts: what a worker asked of the file system in a run is replayed up
 * to every call, in every way in which the disk may have come that far, and
 * recovered.
 *
 * What a disk may do: of a file's calls since its last sync, pages may have
 * been written or not, each by itself: then they are as they were at the last
 * sync, or before their last write, or holes.  Names change in the order of
 * the calls and are sure to be there after a sync of the directory.  Recovery
 * must end with whole files that hold what was written, all of what was synced,
 * and a catalogue that has each of them once.  Of a recycled file that is
 * promised which it says itself is synced.
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
#include "tests/unit/crash_disk.h"
#include "tests/unit/load.h"
#include "tests/unit/uring_here.h"
#include "worker/archive/catalog.h"
#include "worker/archive/recover.h"
#include "worker/archive/synced.h"

/* Of a header, without a block behind it. */
#define HEADER_MAX	1024U

enum choice {
	CHOICE_ALL,	/* everything reached the disk */
	CHOICE_NONE,	/* nothing that was not synced */
	CHOICE_RANDOM,	/* from here on */
};

static uint64_t		seed = 1;
static char		directory[] = "/dev/shm/mcrelay-crash.XXXXXX";
static int		directory_fd;
static const char	*way_name;
static struct {
	unsigned	states, recovered, torn, bad, removed, spares;
} tally;

static uint32_t
any(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* The digits in a recycled file's header, which are written over; NULL. */
static uint8_t *
synced_digits(uint8_t *data)
{
	uint8_t *entry = memmem(data, ARCHIVE_SECTOR, ARCHIVE_SYNCED_KEY,
	    sizeof(ARCHIVE_SYNCED_KEY) - 1);

	return entry == NULL ? NULL : entry + sizeof(ARCHIVE_SYNCED_KEY);
}

/* Without what fills the last sector up. */
static uint64_t
without_zeros(const uint8_t *data, uint64_t size)
{
	const uint64_t least = size - MIN_OF(size, (uint64_t)PAGE);

	while (size > least && data[size - 1] == 0)
		size--;
	return size;
}

/* How much of the file must be there after a power cut. */
static uint64_t
promised(struct image *image)
{
	const uint8_t *at = synced_digits(image->data);
	char digits[21];

	if (strncmp((const char *)image->data, ARCHIVE_SPARE_MARK,
	    ARCHIVE_SECTOR) == 0)
		return 0;
	if (at == NULL || image->finished)
		return without_zeros(image->disk, image->synced);
	snprintf(digits, sizeof(digits), "%s", (const char *)image->disk +
	    (at - image->data));
	return strtoull(digits, NULL, 10);
}

/* Which pages of the file are on the disk, and how long it is there. */
static uint64_t
choose(struct image *image, enum choice choice)
{
	uint64_t size = image->size, page;

	if (choice == CHOICE_NONE)
		size = image->synced;
	/* Of some pages the last is there, and one before it is not. */
	else if (choice >= CHOICE_RANDOM && size > image->synced &&
	    any(2) == 0)
		size = image->synced + any((uint32_t)(size - image->synced) +
		    1);
	for (page = 0; page * PAGE < size; page++) {
		image->there[page] = choice == CHOICE_ALL ? THERE_ALL :
		    choice == CHOICE_NONE ? THERE_NOT :
		    (enum there)MIN_OF(any(4), (uint32_t)THERE_ALL);
		if (image->with[page] != 0 && image->there[
		    image->with[page] - 1] != THERE_ALL)
			image->there[page] = THERE_NOT;
	}
	return size;
}

static const uint8_t *
of_page(const struct image *image, uint64_t page)
{
	switch (image->there[page]) {
	case THERE_NOT:
		return image->disk;
	case THERE_HALF:
		return image->half;
	default:
		return image->data;
	}
}

/* A page that is not there is as at the last sync, or a hole. */
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
		if (image->there[page] == THERE_NOT &&
		    from >= image->disk_size)
			continue;
		assert_int_equal(pwrite(fd, of_page(image, page) + from,
		    length, (off_t)from), length);
	}
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
	uint8_t *digits;
	ssize_t size;
	char part[CRASH_NAME + 8];

	snprintf(part, sizeof(part), "%.*s.part", CRASH_NAME - 1, name);
	image = crash_file(name);
	if (image == NULL)
		image = crash_file(part);
	assert_non_null(image);
	size = pread(fd, found, sizeof(found), 0);
	assert_true(size > 0 && (uint64_t)size <= image->size);
	digits = synced_digits(found);
	if (digits != NULL)
		memcpy(digits, image->data + (digits - found),
		    sizeof(SYNCED_NOTHING) - 1);
	assert_memory_equal(found, image->data, (size_t)size);
	assert_int_equal(avro_walk_open(&walk, fd), AVRO_WALK_OK);
	while ((status = avro_walk_next(&walk, &block)) == AVRO_WALK_OK)
		continue;
	assert_int_equal(status, AVRO_WALK_END);
	avro_walk_close(&walk);
	crash_keep(way_name, name, found, (size_t)size);
	/* Nothing that was synced is missing. */
	assert_true((uint64_t)size >= promised(image));
	close(fd);
}

/* A file with synced blocks is there, under its final name. */
static void
check_there(struct image *image)
{
	char name[CRASH_NAME];
	enum archive_kind stream;

	snprintf(name, sizeof(name), "%s", image->name);
	if (file_is(name, "test", ".avro.part", &stream))
		name[strlen(name) - strlen(".part")] = '\0';
	else if (!file_is(name, "test", ".avro", &stream))
		return;
	if (promised(image) > HEADER_MAX)
		assert_int_equal(faccessat(directory_fd, name, F_OK, 0), 0);
}

static bool
never(void *argument ATTR_UNUSED, const char *name ATTR_UNUSED)
{
	return false;
}

/* The name once, every line whole. */
static void
check_catalog(const char *name)
{
	char path[256], line[4096], quoted[CRASH_NAME + 8];
	unsigned count = 0;
	FILE *file;

	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	snprintf(path, sizeof(path), "%s/" CATALOG_NAME, directory);
	file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		assert_int_equal(line[0], '{');
		assert_string_equal(line + strlen(line) - 2, "}\n");
		count += strstr(line, quoted) != NULL;
	}
	if (file != NULL)
		fclose(file);
	assert_int_equal(count, 1);
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
		switch (recover_file(directory_fd, leftovers.name[i], true,
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
	unsigned i;
	DIR *dir;

	for (i = 0; i < crash_files; i++)
		if (crash_image[i].name[0] != '\0')
			put_file(&crash_image[i], choice);
	recover_all();
	for (i = 0; i < crash_files; i++)
		check_there(&crash_image[i]);
	dir = file_list(directory_fd);
	while ((entry = readdir(dir)) != NULL) {
		assert_null(strstr(entry->d_name, ".part"));
		if (!file_is(entry->d_name, "test", ".avro", &stream))
			continue;
		check_file(entry->d_name);
		check_catalog(entry->d_name);
	}
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

	for (names = crash_sure_names(end); names <= end; names++) {
		if (names < end &&
		    !crash_changes_name(crash_log->entry[names].call))
			continue;
		crash_replay(end, names);
		for (choice = 0; choice < choices; choice++)
			check_state(choice);
	}
}

/* The keeper's thread has had its turn, however busy the machine is: there is
 * one for a file that is yet to be begun. */
static void
wait_for_spare(void)
{
	unsigned i = 0, tries = 0;

	while (!crash_is_spare(crash_log->entry[i].other_name)) {
		if (++i < crash_log->count)
			continue;
		assert_true(tries++ < 10000);
		load_pause(NS_PER_MS);
		i = 0;
	}
}

/* A way to write files, new ones or, with `recycle', over older ones. */
struct way {
	const char		*name;
	enum archive_write	write;
	bool			uring;
	uint64_t		recycle;
	uint32_t		block_size;
	uint64_t		rotate_size;
	uint64_t		flush_interval_ns;
	unsigned		count;		/* of datagrams */
};

/* Each page that is stored to is a call of its own. */
#define MAPPED		4096, 22000, 5 * NS_PER_MS, 500
#define BUFFERED	4096, 70000, 5 * NS_PER_MS, 2000
/* Blocks that are large enough. */
#define DIRECT		80000, 90000, 100 * NS_PER_MS, 2250

#define BOTH(name, write, uring, ...)					\
	{name, write, uring, 0, __VA_ARGS__},				\
	{name ", recycled", write, uring, 2, __VA_ARGS__},

static const struct way ways[] = {
	BOTH("buffered", WRITE_BUFFERED, false, BUFFERED)
	BOTH("mmap", WRITE_MMAP, false, MAPPED)
#ifdef STATX_DIOALIGN
	BOTH("direct", WRITE_DIRECT, false, DIRECT)
#endif
#ifdef HAVE_URING
	BOTH("buffered by a ring", WRITE_BUFFERED, true, BUFFERED)
#ifdef STATX_DIOALIGN
	BOTH("direct by a ring", WRITE_DIRECT, true, DIRECT)
#endif
#endif
};

#define WAYS	(sizeof(ways) / sizeof(ways[0]))

/* After so many datagrams.  What is written past the page cache has to be much
 * at a time: of 445 datagrams two blocks are, and what else there is is not. */
static void
pause_sending(const struct way *way, struct rig *rig, unsigned sent)
{
	if (way->write != WRITE_DIRECT) {
		if (sent % 8 == 0)
			load_pause(NS_PER_MS);
		return;
	}
	if (sent % 90 == 0)
		rig_wait_received(rig, sent);
	if (sent % 450 <= 5 && sent % 5 == 0)
		rig_wait_settled(rig);
}

static void
record(const struct way *way)
{
	struct segment_spec spec = {.config.uring = {.enabled = way->uring,
	    .queue_depth = 128, .sq_thread_cpu = -1},
	    .config.archive = {.block_size = way->block_size,
	    .rotate_size = way->rotate_size,
	    .flush_interval_ns = way->flush_interval_ns,
	    .sync = SYNC_INTERVAL, .write = way->write,
	    .recycle = way->recycle, .retain_files = way->recycle}};
	uint8_t payload[700];
	struct rig rig;
	unsigned i;

	rig_open(&rig, &spec);
	crash_log->on = 1;
	rig_start(&rig);
	for (i = 0; i < way->count; i++) {
		memset(payload, (int)(i % 255) + 1, sizeof(payload));
		rig_send(&rig, payload, 100 + i % 600);
		pause_sending(way, &rig, i + 1);
		if (way->recycle > 0 && i == way->count / 4 * 3)
			wait_for_spare();
	}
	rig_wait_received(&rig, way->count);
	assert_int_equal(rig_stop(&rig, 0), 0);
	crash_log->on = 0;
	rig_close(&rig);
}

/* What the way is for has happened. */
static void
check_used(const struct way *way)
{
	assert_true(tally.recovered > 200 && tally.torn > 50);
	assert_true((tally.spares > 0) == (way->recycle > 0));
	assert_true((crash_log->ring_writes > 8 &&
	    crash_log->ring_syncs > 0) == way->uring);
	assert_true((crash_log->direct_writes > 5) ==
	    (way->write == WRITE_DIRECT));
}

static void
test_power_cuts(void **state)
{
	const struct way *way = *state;
	unsigned end, choices = getenv("MCRELAY_TEST_LONG") != NULL ? 60 : 8;

	if (way->uring && !uring_here_writes())
		skip();
	way_name = way->name;
	memset(&tally, 0, sizeof(tally));
	crash_log->count = crash_log->direct_writes = 0;
	crash_log->used = crash_log->ring_writes = crash_log->ring_syncs = 0;
	record(way);
	snprintf(directory, sizeof(directory), "/dev/shm/mcrelay-crash.XXXXXX");
	assert_non_null(mkdtemp(directory));
	directory_fd = open(directory, O_DIRECTORY);
	for (end = 0; end <= crash_log->count; end++) {
		check_point(end, choices);
		tally.spares += end < crash_log->count &&
		    crash_log->entry[end].call == CRASH_RENAME &&
		    crash_is_spare(crash_log->entry[end].name);
	}
	print_message("%u calls, %u writes past the page cache, %u by a ring; "
	    "%u states of the disk: %u files recovered, %u of them torn; %u "
	    "without a block set aside, %u empty removed; %u files recycled\n",
	    crash_log->count, crash_log->direct_writes,
	    crash_log->ring_writes, tally.states, tally.recovered, tally.torn,
	    tally.bad, tally.removed, tally.spares);
	check_used(way);
	close(directory_fd);
	rmdir(directory);
}

int
main(void)
{
	struct CMUnitTest tests[WAYS];
	unsigned i;

	for (i = 0; i < WAYS; i++)
		tests[i] = (struct CMUnitTest){.name = ways[i].name,
		    .test_func = test_power_cuts,
		    .initial_state = (void *)(uintptr_t)&ways[i]};
	log_set_level(LOG_ERR);
	crash_log_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
