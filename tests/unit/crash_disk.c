/* SPDX-License-Identifier: ISC */
/*
 * The files of a disk as the calls of a crash_log have made them, up to a power
 * cut.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/crash_disk.h"
#include "worker/archive/file.h"

struct image	crash_image[FILES_MAX];
unsigned	crash_files;

static struct image *
image_of(uint64_t inode)
{
	unsigned i;

	for (i = 0; i < crash_files; i++)
		if (crash_image[i].inode == inode)
			return &crash_image[i];
	return NULL;
}

struct image *
crash_file(const char *name)
{
	unsigned i;

	for (i = 0; i < crash_files; i++)
		if (strcmp(crash_image[i].name, name) == 0)
			return &crash_image[i];
	return NULL;
}

/* Zero where another one was: that there are thousands of states of the disk is
 * what the time goes for. */
static void
clear(struct image *image)
{
	memset(image->data, 0, image->reach);
	memset(image->disk, 0, image->reach);
	memset(image->half, 0, image->reach);
	memset(image->with, 0, sizeof(image->with));
	image->size = image->disk_size = image->synced = image->reach = 0;
	image->dirty_from = image->dirty_to = 0;
	image->finished = false;
}

static void
apply_name(const struct crash_entry *e)
{
	struct image *image;

	if (e->call == CRASH_CREATE) {
		assert_true(crash_files < FILES_MAX);
		image = &crash_image[crash_files++];
		clear(image);
		image->inode = e->inode;
		snprintf(image->name, CRASH_NAME, "%s", e->name);
		return;
	}
	image = crash_file(e->name);
	if (image == NULL)
		return;
	snprintf(image->name, CRASH_NAME, "%s", e->call == CRASH_RENAME ?
	    e->other_name : "");
	if (e->call == CRASH_UNLINK)
		image->inode = 0;
}

/* A page that is mapped may reach the disk before it is full: with the first
 * part of what is stored there, or with the last. */
static void
store_half(struct image *image, const struct crash_entry *e)
{
	uint64_t page = e->offset / PAGE * PAGE, part = e->size / 2;
	uint64_t skip = e->data % 2 == 0 ? 0 : e->size - part;

	memcpy(image->half + page, image->data + page, PAGE);
	memcpy(image->half + e->offset + skip,
	    crash_log->data + e->data + skip, part);
}

/* One that is written again may have reached the disk as it was before, and
 * past the page cache some sectors of it by themselves.  One that is new is a
 * hole until all of it is there, and past the page cache until all that is
 * written with it is: that is when a file system knows of it. */
static void
write_half(struct image *image, const struct crash_entry *e)
{
	uint64_t page = e->offset / PAGE * PAGE, to = e->offset + e->size;
	const uint64_t first = page;
	uint64_t from, end, sectors;

	for (; page < to; page += PAGE) {
		from = MAX_OF(page, e->offset);
		end = MIN_OF(page + PAGE, to);
		if (page < image->size) {
			memcpy(image->half + page, image->data + page, PAGE);
			sectors = e->direct ? (e->data / PAGE + page / PAGE) %
			    (PAGE / CRASH_SECTOR) : 0;
			end = MIN_OF(end, page + sectors * CRASH_SECTOR);
		} else if (e->direct && first < image->size)
			image->with[page / PAGE] = (uint8_t)(first / PAGE + 1);
		if (from < end)
			memcpy(image->half + from, crash_log->data + e->data +
			    (from - e->offset), end - from);
	}
}

static void
make_dirty(struct image *image, uint64_t from, uint64_t to)
{
	image->reach = MAX_OF(image->reach, to);
	if (image->dirty_to == image->dirty_from) {
		image->dirty_from = from;
		image->dirty_to = to;
		return;
	}
	image->dirty_from = MIN_OF(image->dirty_from, from);
	image->dirty_to = MAX_OF(image->dirty_to, to);
}

/* Copies only what has changed: every state of the disk is made from the first
 * call on. */
static void
synchronize(struct image *image)
{
	uint64_t from = image->dirty_from;
	uint64_t to = MIN_OF(image->dirty_to, image->size);

	if (from < to) {
		memcpy(image->disk + from, image->data + from, to - from);
		memcpy(image->half + from, image->data + from, to - from);
	}
	memset(image->with, 0, sizeof(image->with));
	image->dirty_from = image->dirty_to = 0;
	image->synced = image->disk_size = image->size;
}

static void
allocate(struct image *image, uint64_t size)
{
	assert_true(size <= FILE_MAX);
	if (size <= image->size)
		return;
	memset(image->data + image->size, 0, size - image->size);
	memset(image->half + image->size, 0, size - image->size);
	make_dirty(image, image->size, size);
	image->size = size;
}

/* As it is in memory, but for a name that did not reach the disk. */
static void
apply(const struct crash_entry *e, bool name_lost)
{
	struct image *image = image_of(e->inode);

	switch (e->call) {
	case CRASH_CREATE:
		/* Its number is free: that of one whose removal is lost, which
		 * nobody writes to any more. */
		if (image != NULL)
			image->inode = 0;
		/* fallthrough */
	case CRASH_RENAME:
	case CRASH_UNLINK:
		if (!name_lost)
			apply_name(e);
		else if (crash_file(e->name) != NULL)
			crash_file(e->name)->finished =
			    e->call == CRASH_RENAME &&
			    strstr(e->name, FILE_PART) != NULL;
		break;
	case CRASH_ALLOCATE:
		if (image != NULL)
			allocate(image, e->offset);
		break;
	case CRASH_STORE:
	case CRASH_WRITE:
		if (image == NULL)
			break;
		assert_true(e->offset + e->size <= FILE_MAX);
		/* The header's page is others', too. */
		assert_true(e->offset >= PAGE || !e->direct);
		if (e->call == CRASH_STORE)
			store_half(image, e);
		else
			write_half(image, e);
		memcpy(image->data + e->offset, crash_log->data + e->data,
		    e->size);
		make_dirty(image, MIN_OF(image->size, e->offset),
		    e->offset + e->size);
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
			synchronize(image);
		break;
	case CRASH_SYNC_DIRECTORY:
		break;
	}
}

void
crash_replay(unsigned end, unsigned names)
{
	unsigned i;

	crash_files = 0;
	for (i = 0; i < end; i++)
		apply(&crash_log->entry[i], i >= names);
}

unsigned
crash_sure_names(unsigned end)
{
	while (end > 0 && crash_log->entry[end - 1].call !=
	    CRASH_SYNC_DIRECTORY)
		end--;
	return end;
}

bool
crash_changes_name(enum crash_call call)
{
	return call == CRASH_CREATE || call == CRASH_RENAME ||
	    call == CRASH_UNLINK;
}

bool
crash_is_spare(const char *name)
{
	return strstr(name, ".spare-") != NULL;
}

/* Whether the file got the blocks of another. */
static bool
was_spare(const char *name)
{
	char part[CRASH_NAME + 8];
	unsigned i;

	snprintf(part, sizeof(part), "%s" FILE_PART, name);
	for (i = 0; i < crash_log->count; i++)
		if (crash_log->entry[i].call == CRASH_RENAME &&
		    crash_is_spare(crash_log->entry[i].name) &&
		    strcmp(crash_log->entry[i].other_name, part) == 0)
			return true;
	return false;
}

void
crash_keep(const char *way, const char *name, const uint8_t *data,
    size_t size)
{
	const char *out = getenv("MCRELAY_CRASH_OUT");
	char path[512];
	int fd;

	if (out == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s_%s_%zu_%s", out, way,
	    was_spare(name) ? "spare" : "new", size, name);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (fd == -1)
		return;
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}
