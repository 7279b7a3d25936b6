/* SPDX-License-Identifier: ISC */
/*
 * What a file says itself of how much of it is on the disk.  Worker,
 * archive, closer and keeper threads.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/archive/file.h"
#include "worker/archive/synced.h"

#define DIGITS		(sizeof(SYNCED_NOTHING) - 1)
/* A UUID as text. */
#define BOOT_SIZE	36

static char	boot[BOOT_SIZE + 1] = "-";

void
synced_learn_boot(void)
{
	char text[BOOT_SIZE];
	int fd = open("/proc/sys/kernel/random/boot_id",
	    O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	if (read(fd, text, sizeof(text)) == BOOT_SIZE)
		memcpy(boot, text, sizeof(text));
	close(fd);
}

const char *
synced_boot(void)
{
	return boot;
}

uint64_t
synced_place(const struct avro_walk *walk)
{
	const uint8_t *value;
	size_t size;

	value = avro_walk_meta(walk, ARCHIVE_SYNCED_KEY, &size);
	return value != NULL && size == DIGITS ?
	    (uint64_t)(value - walk->header) : 0;
}

uint64_t
synced_place_of(int fd)
{
	struct avro_walk walk;
	uint64_t place;

	place = avro_walk_open(&walk, fd) == AVRO_WALK_OK ?
	    synced_place(&walk) : 0;
	avro_walk_close(&walk);
	return place;
}

int
synced_note(int directory, const char *name, uint64_t place, uint64_t size,
    bool *unsynced)
{
	/* Of its own: the writer may have set the other one to direct I/O. */
	int fd = file_open(directory, name, FILE_PART), result;
	char text[DIGITS + 1];
	struct iovec iov = {text, DIGITS};

	if (fd == -1)
		return -1;
	snprintf(text, sizeof(text), "%0*" PRIu64, (int)DIGITS, size);
	result = file_write(fd, &iov, 1, place);
	if (result == 0) {
		result = file_sync(fd);
		*unsynced = result == -1;
	}
	return file_close(fd, result);
}

static bool
same_kernel(const struct avro_walk *walk)
{
	const uint8_t *value;
	size_t size;

	value = avro_walk_meta(walk, SYNCED_BOOT_KEY, &size);
	return value != NULL && size == BOOT_SIZE &&
	    memcmp(value, boot, BOOT_SIZE) == 0;
}

uint64_t
synced_trusted(const struct avro_walk *walk, bool memory)
{
	uint64_t place = synced_place(walk), noted = 0;
	size_t i;

	if (place == 0 || (memory && same_kernel(walk)))
		return UINT64_MAX;
	for (i = 0; i < DIGITS; i++) {
		if (walk->header[place + i] < '0' ||
		    walk->header[place + i] > '9')
			return 0;
		noted = noted * 10 + walk->header[place + i] - '0';
	}
	return noted;
}
