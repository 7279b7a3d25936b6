/* SPDX-License-Identifier: ISC */
/*
 * The run directory and its pid files.  Supervisor only.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/dirs.h"
#include "supervisor/report.h"
#include "supervisor/rundir.h"

#define OWN_NAME	"mcrelayd"
#define OWN_FILE	OWN_NAME ".pid"

/* A channel's name and ".pid" or ".paused", or that with ".new" behind. */
#define FILE_NAME_SIZE	(CHANNEL_NAME_MAX + 16)

/*** mcrelayd.pid: locked for as long as we run. ***/

static int
other_pid(int fd)
{
	char text[16] = "";
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

	return got > 0 ? (int)strtol(text, NULL, 10) : 0;
}

/* Whether the file is still there under its name: an instance that ends
 * removes it before it gives up the lock. */
static bool
is_named(const struct rundir *rundir, int fd)
{
	struct stat here, there;

	return fstat(fd, &here) == 0 && fstatat(rundir->fd, OWN_FILE, &there,
	    AT_SYMLINK_NOFOLLOW) == 0 && here.st_dev == there.st_dev &&
	    here.st_ino == there.st_ino;
}

/* The locked file, or -1 with errno; EEXIST: process `*other' has the lock. */
static int
open_locked(const struct rundir *rundir, int *other)
{
	int fd, saved;

	for (;;) {
		fd = openat(rundir->fd, OWN_FILE, O_RDWR | O_CREAT |
		    O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
		if (fd == -1)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) == -1)
			break;
		if (is_named(rundir, fd))
			return fd;
		close(fd);
	}
	saved = errno == EWOULDBLOCK ? EEXIST : errno;
	*other = other_pid(fd);
	close(fd);
	errno = saved;
	return -1;
}

/* Over what a crash has left, which has its room on a full file system. */
static int
write_own(int fd)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d", (int)getpid());
	ssize_t written = pwrite(fd, text, (size_t)length, 0);

	if (written != -1 && written != length)
		errno = ENOSPC;
	return written == length ? ftruncate(fd, length) : -1;
}

/* A process that was killed has left the lock to children that had yet to
 * execute something: for a moment. */
static bool
has_left_it(int other)
{
	return other > 0 && kill(other, 0) == -1 && errno == ESRCH;
}

static int
wait_for_lock(const struct rundir *rundir, int *other)
{
	const struct timespec pause = {.tv_nsec = 10 * (long)NS_PER_MS};
	unsigned tries;
	int fd, saved;

	for (tries = 0; tries < 200; tries++) {
		fd = open_locked(rundir, other);
		saved = errno;
		if (fd != -1 || errno != EEXIST || !has_left_it(*other))
			break;
		(void)nanosleep(&pause, NULL);
	}
	errno = saved;
	return fd;
}

static int
take_lock(struct rundir *rundir, struct conf_problems *problems)
{
	struct stat st;
	int other = 0;

	rundir->lock = wait_for_lock(rundir, &other);
	if (rundir->lock == -1 && errno == EEXIST)
		report_error(problems, "%s/" OWN_FILE ": mcrelayd runs already "
		    "with this run_dir, as process %d", rundir->path, other);
	else if (rundir->lock == -1)
		report_error(problems, "cannot write %s/" OWN_FILE ": %s",
		    rundir->path, strerror(errno));
	if (rundir->lock == -1)
		return -1;
	/* A supervisor removes it at its end: this one was left by a crash. */
	rundir->unclean = fstat(rundir->lock, &st) == 0 && st.st_size > 0;
	if (write_own(rundir->lock) == 0)
		return 0;
	report_error(problems, "cannot write %s/" OWN_FILE ", without which "
	    "nobody could tell that mcrelayd runs: %s", rundir->path,
	    strerror(errno));
	return -1;
}

static int
open_directory(const char *path, struct conf_problems *problems)
{
	char *why;
	int fd = dirs_open_own(path, 0755, &why);

	if (why != NULL)
		report_error(problems, "run_dir %s: %s", path, why);
	else if (fd == -1)
		report_error(problems, "run_dir: cannot make or open %s: %s",
		    path, strerror(errno));
	free(why);
	return fd;
}

int
rundir_open(struct rundir *rundir, const char *path, int lock,
    struct conf_problems *problems)
{
	memset(rundir, 0, sizeof(*rundir));
	rundir->path = xstrdup(path);
	rundir->lock = lock;
	rundir->fd = open_directory(path, problems);
	if (rundir->fd == -1)
		return -1;
	return lock != -1 ? 0 : take_lock(rundir, problems);
}

void
rundir_check(const char *path, struct conf_problems *problems)
{
	int fd = open_directory(path, problems);

	if (fd != -1)
		close(fd);
}

void
rundir_close(struct rundir *rundir)
{
	if (rundir->path == NULL)
		return;
	if (rundir->lock != -1) {
		if (rundir->fd != -1)
			rundir_remove(rundir, OWN_FILE);
		close(rundir->lock);
	}
	if (rundir->fd != -1)
		close(rundir->fd);
	free(rundir->path);
	memset(rundir, 0, sizeof(*rundir));
}

/*** What else is there. ***/

void
rundir_address(const struct rundir *rundir, const char *name,
    struct sockaddr_un *address)
{
	int length;

	/* There is no bindat(2). */
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	length = snprintf(address->sun_path, sizeof(address->sun_path),
	    "/proc/self/fd/%d/%s", rundir->fd, name);
	assert(length < (int)sizeof(address->sun_path));
}

void
rundir_remove(const struct rundir *rundir, const char *name)
{
	if (unlinkat(rundir->fd, name, 0) == -1 && errno != ENOENT)
		log_warn("cannot remove %s/%s", rundir->path, name);
}

bool
rundir_name_taken(const char *channel)
{
	return strcmp(channel, OWN_NAME) == 0;
}

static int
write_new(const struct rundir *rundir, const char *name, const char *text)
{
	size_t length = strlen(text);
	ssize_t written;
	int fd, error;

	fd = openat(rundir->fd, name, O_WRONLY | O_CREAT | O_TRUNC |
	    O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return -1;
	written = write(fd, text, length);
	error = written == -1 ? errno : ENOSPC;
	close(fd);
	errno = error;
	return written == (ssize_t)length ? 0 : -1;
}

/* As a whole. */
static int
replace(const struct rundir *rundir, const char *name, const char *text)
{
	char fresh[FILE_NAME_SIZE];
	int error;

	snprintf(fresh, sizeof(fresh), "%s.new", name);
	if (write_new(rundir, fresh, text) == 0 &&
	    renameat(rundir->fd, fresh, rundir->fd, name) == 0)
		return 0;
	error = errno;
	rundir_remove(rundir, fresh);
	errno = error;
	return -1;
}

void
rundir_write_pid(const struct rundir *rundir, const char *channel, pid_t pid)
{
	char name[FILE_NAME_SIZE - sizeof(".new")], text[32];

	snprintf(name, sizeof(name), "%s.pid", channel);
	snprintf(text, sizeof(text), "%d\n", (int)pid);
	if (replace(rundir, name, text) == 0)
		return;
	log_warn("cannot write %s/%s", rundir->path, name);
	/* Better none than one that names a process of before. */
	rundir_remove(rundir, name);
}

void
rundir_remove_pid(const struct rundir *rundir, const char *channel)
{
	char name[FILE_NAME_SIZE];

	snprintf(name, sizeof(name), "%s.pid", channel);
	rundir_remove(rundir, name);
}

int
rundir_write_pause(const struct rundir *rundir, const char *channel,
    const char *text)
{
	char name[FILE_NAME_SIZE - sizeof(".new")];

	snprintf(name, sizeof(name), "%s.paused", channel);
	if (text[0] != '\0')
		return replace(rundir, name, text);
	return unlinkat(rundir->fd, name, 0) == -1 && errno != ENOENT ? -1 : 0;
}

void
rundir_read_pause(const struct rundir *rundir, const char *channel,
    char *text, size_t size)
{
	char name[FILE_NAME_SIZE];
	ssize_t got;
	int fd;

	snprintf(name, sizeof(name), "%s.paused", channel);
	text[0] = '\0';
	fd = openat(rundir->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);
	if (fd == -1) {
		if (errno != ENOENT)
			log_warn("cannot read %s/%s", rundir->path, name);
		return;
	}
	got = read(fd, text, size - 1);
	text[got > 0 ? got : 0] = '\0';
	close(fd);
}
