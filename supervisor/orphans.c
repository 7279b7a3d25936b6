/* SPDX-License-Identifier: ISC */
/*
 * Waits for the workers of a crashed supervisor.  Supervisor only.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "supervisor/child.h"
#include "supervisor/orphans.h"
#include "supervisor/report.h"

#define WORKER_NAME	"mcrelay-worker"

/* A file's beginning as text; "" when it cannot be read. */
static ssize_t
read_text(int at, const char *path, char *text, size_t size)
{
	int fd = openat(at, path,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t got = -1;

	if (fd != -1) {
		got = read(fd, text, size - 1);
		close(fd);
	}
	text[got > 0 ? got : 0] = '\0';
	return got;
}

static int
pid_in_file(const struct rundir *rundir, const char *channel)
{
	char *name = xasprintf("%s.pid", channel);
	char text[32];
	long pid;

	(void)read_text(rundir->fd, name, text, sizeof(text));
	free(name);
	pid = strtol(text, NULL, 10);
	return pid > 0 && pid <= INT32_MAX ? (int)pid : 0;
}

/*
 * The process that is still at work for the channel, or 0.  Its number may
 * be somebody else's by now: its arguments tell.
 */
static int
orphan_of(const struct rundir *rundir, const char *channel)
{
	char path[64], arguments[sizeof(WORKER_NAME) + CHANNEL_NAME_MAX + 1];
	int pid = pid_in_file(rundir, channel);
	ssize_t got;

	if (pid == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	got = read_text(AT_FDCWD, path, arguments, sizeof(arguments));
	if (got < (ssize_t)sizeof(WORKER_NAME) ||
	    strcmp(arguments, WORKER_NAME) != 0)
		return 0;
	/* One that channels share wrote none of its own there. */
	if (strcmp(arguments + sizeof(WORKER_NAME), channel) != 0 &&
	    arguments[sizeof(WORKER_NAME)] != MESSAGE_SHARED_MARK[0])
		return 0;
	return pid;
}

/* The channel of a pid file that is not the supervisor's. */
static bool
channel_of(const char *file, char name[static CHANNEL_NAME_MAX + 1])
{
	const char *end = strrchr(file, '.');
	size_t length = end != NULL ? (size_t)(end - file) : 0;

	if (length == 0 || length > CHANNEL_NAME_MAX ||
	    strcmp(end, ".pid") != 0)
		return false;
	memcpy(name, file, length);
	name[length] = '\0';
	return !rundir_name_taken(name);
}

static void
wait_for(const struct conf *conf, const struct rundir *rundir,
    const char *name, uint64_t deadline_ns, struct conf_problems *problems)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	int pid;

	while ((pid = orphan_of(rundir, name)) != 0 &&
	    clock_monotonic_ns() < deadline_ns)
		nanosleep(&pause, NULL);
	if (pid == 0)
		rundir_remove_pid(rundir, name);
	else if (conf_channel(conf, name) != NULL)
		report_error(problems, "channel %s: process %d, the worker of "
		    "an mcrelayd that has crashed, does not end: end it and "
		    "start again", name, pid);
}

void
orphans_wait(const struct conf *conf, const struct rundir *rundir,
    struct conf_problems *problems)
{
	uint64_t deadline_ns = clock_monotonic_ns() + CHILD_STOP_NS;
	char name[CHANNEL_NAME_MAX + 1];
	struct dirent *entry;
	DIR *directory;
	int fd;

	fd = openat(rundir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return;
	directory = fdopendir(fd);
	if (directory == NULL) {
		close(fd);
		return;
	}
	while ((entry = readdir(directory)) != NULL)
		if (channel_of(entry->d_name, name))
			wait_for(conf, rundir, name, deadline_ns, problems);
	closedir(directory);
}
