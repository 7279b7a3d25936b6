/* SPDX-License-Identifier: ISC */
/*
 * The run directory and its pid files.  Supervisor only.
 */
#include <sys/stat.h>
#include <bsd/libutil.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/dirs.h"
#include "supervisor/report.h"
#include "supervisor/rundir.h"

#define OWN_NAME	"mcrelayd"

/* A channel's name and ".pid", or that with ".new" behind. */
#define FILE_NAME_SIZE	(CHANNEL_NAME_MAX + 16)

static int
take_lock(struct rundir *rundir, struct conf_problems *problems)
{
	char *path = xasprintf("%s/" OWN_NAME ".pid", rundir->path);
	struct stat st;
	pid_t other = -1;

	/* A supervisor removes mcrelayd.pid at its end: this one was left by a
	 * crash. */
	rundir->unclean = stat(path, &st) == 0 && st.st_size > 0;
	rundir->pidfile = pidfile_open(path, 0644, &other);
	if (rundir->pidfile == NULL && errno == EEXIST)
		report_error(problems, "%s: mcrelayd runs already with this "
		    "run_dir, as process %d", path, (int)other);
	else if (rundir->pidfile == NULL)
		report_error(problems, "cannot write %s: %s", path,
		    strerror(errno));
	else if (pidfile_write(rundir->pidfile) == -1)
		log_warn("cannot write %s", path);
	free(path);
	return rundir->pidfile == NULL ? -1 : 0;
}

int
rundir_open(struct rundir *rundir, const char *path, int lock,
    struct conf_problems *problems)
{
	memset(rundir, 0, sizeof(*rundir));
	rundir->path = xstrdup(path);
	rundir->lock = lock;
	rundir->fd = dirs_open(path, 0755, NULL);
	if (rundir->fd == -1) {
		report_error(problems, "run_dir: cannot make or open %s: %s",
		    path, strerror(errno));
		return -1;
	}
	return lock != -1 ? 0 : take_lock(rundir, problems);
}

void
rundir_close(struct rundir *rundir)
{
	if (rundir->pidfile != NULL)
		pidfile_remove(rundir->pidfile);
	else if (rundir->path != NULL && rundir->lock != -1) {
		rundir_remove_pid(rundir, OWN_NAME);
		close(rundir->lock);
	}
	if (rundir->path != NULL && rundir->fd != -1)
		close(rundir->fd);
	free(rundir->path);
	memset(rundir, 0, sizeof(*rundir));
}

int
rundir_lock(const struct rundir *rundir)
{
	return rundir->pidfile != NULL ? pidfile_fileno(rundir->pidfile) :
	    rundir->lock;
}

bool
rundir_name_taken(const char *channel)
{
	return strcmp(channel, OWN_NAME) == 0;
}

static int
write_new(const struct rundir *rundir, const char *name, pid_t pid)
{
	char text[32];
	int fd, length;
	ssize_t written;

	fd = openat(rundir->fd, name, O_WRONLY | O_CREAT | O_TRUNC |
	    O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return -1;
	length = snprintf(text, sizeof(text), "%d\n", (int)pid);
	written = write(fd, text, (size_t)length);
	close(fd);
	return written == length ? 0 : -1;
}

void
rundir_write_pid(const struct rundir *rundir, const char *channel, pid_t pid)
{
	char name[FILE_NAME_SIZE], fresh[FILE_NAME_SIZE];

	snprintf(name, sizeof(name), "%s.pid", channel);
	snprintf(fresh, sizeof(fresh), "%s.pid.new", channel);
	if (write_new(rundir, fresh, pid) == -1 ||
	    renameat(rundir->fd, fresh, rundir->fd, name) == -1)
		log_warn("cannot write %s/%s", rundir->path, name);
}

void
rundir_remove_pid(const struct rundir *rundir, const char *channel)
{
	char name[FILE_NAME_SIZE];

	snprintf(name, sizeof(name), "%s.pid", channel);
	if (unlinkat(rundir->fd, name, 0) == -1 && errno != ENOENT)
		log_warn("cannot remove %s/%s", rundir->path, name);
}
