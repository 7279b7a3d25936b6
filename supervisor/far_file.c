/* SPDX-License-Identifier: ISC */
/*
 * Reads files that may lie on a server.  See far_file.h.  Supervisor only;
 * fetch() is what the other process runs.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/memory.h"
#include "common/util.h"
#include "supervisor/dirs.h"
#include "supervisor/errand.h"
#include "supervisor/far_file.h"

#define PATIENCE_MS	5000U
/* More is no file of ours; who reads it has bounds of its own. */
#define FETCH_MAX	((off_t)64 * 1024 * 1024)

struct answer {
	int		error;		/* errno; 0: it is in the memory file */
	struct stat	st;
};

static bool	hurry;
static bool	gave_up;
static uint64_t	spent_ns;

/* A FIFO or a device that somebody named as a file keeps nobody. */
static int
open_it(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd != -1 && fstat(fd, st) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/*** The process that reads. ***/

static int
copy(int from, int to)
{
	char buffer[4096];
	off_t size = 0;
	ssize_t got;

	while ((got = read(from, buffer, sizeof(buffer))) > 0) {
		size += got;
		if (size > FETCH_MAX)
			return EFBIG;
		if (write(to, buffer, (size_t)got) != got)
			return ENOSPC;
	}
	return got == 0 ? 0 : errno;
}

static void
fetch(int end, int kept, const void *path)
{
	struct answer answer;
	int fd;

	memset(&answer, 0, sizeof(answer));
	fd = open_it(path, &answer.st);
	if (fd == -1)
		answer.error = errno;
	else if (S_ISREG(answer.st.st_mode))
		answer.error = copy(fd, kept);
	(void)send(end, &answer, sizeof(answer), MSG_NOSIGNAL);
}

/*** The supervisor. ***/

void
far_file_hurry(void)
{
	hurry = true;
}

void
far_file_begin(void)
{
	gave_up = false;
	spent_ns = 0;
}

bool
far_file_may_look(const char *path)
{
	char *directory = xstrdup(path);
	struct stat st;
	bool near = !hurry || (dirs_is_near(dirname(directory)) &&
	    (lstat(path, &st) == -1 || !S_ISLNK(st.st_mode)));

	free(directory);
	return near;
}

static bool
await(int answer)
{
	uint64_t begin_ns = clock_monotonic_ns();
	uint64_t spent_ms = spent_ns / NS_PER_MS;
	bool there = !gave_up && fd_wait_readable(answer,
	    (unsigned)(PATIENCE_MS - MIN_OF(spent_ms, PATIENCE_MS)));

	spent_ns += clock_monotonic_ns() - begin_ns;
	gave_up = !there;
	return there;
}

/* Into `fd'; 0, or an errno. */
static int
ask(const char *path, int fd, struct stat *st)
{
	struct errand errand = {.process = -1};
	struct answer answer;
	bool answered = false;
	int none;

	if (gave_up)
		return ETIMEDOUT;
	if (errand_start(&errand, errand_kind("files"), fetch, fd, path) == -1)
		return errno;
	if (!await(errand.answer) || !errand_done(&errand, &answer,
	    sizeof(answer), &none, &answered))
		errand_forget(&errand);
	if (!answered)
		return ETIMEDOUT;
	*st = answer.st;
	return answer.error;
}

int
far_file_open(const char *path, struct stat *st)
{
	int fd, error;

	if (far_file_may_look(path))
		return open_it(path, st);
	fd = memory_open("mcrelay-file");
	if (fd == -1)
		return -1;
	error = ask(path, fd, st);
	if (error == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

const char *
far_file_error(int error)
{
	return error == ETIMEDOUT ? "its server does not answer" :
	    strerror(error);
}
