/* SPDX-License-Identifier: ISC */
/*
 * A directory in memory, and silence, for fuzz targets.
 */
#include <sys/stat.h>
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "tests/fuzz/scratch.h"

#define PATHS	8

static char	directory[64];
static int	directory_fd = -1;
static int	spoken = -1;	/* standard output while there is silence */

static void
remove_directory(void)
{
	scratch_clear();
	rmdir(directory);
}

int
scratch(void)
{
	if (directory_fd != -1)
		return directory_fd;
	log_init("fuzz", NULL, LOG_TARGET_STDERR, -1);
	snprintf(directory, sizeof(directory), "%s/mcrelay-fuzz-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(directory) == NULL)
		abort();
	directory_fd = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert(directory_fd != -1);
	atexit(remove_directory);
	return directory_fd;
}

const char *
scratch_path(const char *name)
{
	static char path[PATHS][PATH_MAX];
	static unsigned next;
	char *text = path[next++ % PATHS];

	(void)scratch();
	snprintf(text, sizeof(path[0]), "%s/%s", directory, name);
	return text;
}

void
scratch_put(const char *name, const void *data, size_t size)
{
	const int fd = openat(scratch(), name, O_WRONLY | O_CREAT | O_TRUNC |
	    O_CLOEXEC, 0644);

	assert(fd != -1);
	if (write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

uint8_t *
scratch_get(const char *name, size_t *size)
{
	const int fd = openat(scratch(), name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *data;

	if (fd == -1)
		return NULL;
	assert(fstat(fd, &st) == 0);
	*size = (size_t)st.st_size;
	data = xmalloc(*size + 1);
	if (read(fd, data, *size) != st.st_size)
		abort();
	data[*size] = '\0';
	close(fd);
	return data;
}

void
scratch_clear(void)
{
	struct dirent *entry;
	DIR *dir = opendir(directory);

	assert(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

void
scratch_hush(void)
{
	const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	fflush(stdout);
	spoken = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	assert(fd != -1 && spoken != -1);
	dup2(fd, STDOUT_FILENO);
	close(fd);
}

void
scratch_speak(void)
{
	fflush(stdout);
	dup2(spoken, STDOUT_FILENO);
	close(spoken);
}
