/* SPDX-License-Identifier: ISC */
/*
 * What a process uses, from /proc.  Any process that prints metrics.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "metrics/process.h"

int
process_root(void)
{
	static int root = -1;

	if (root == -1)
		root = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root;
}

static int
open_in(const char *path, int flags)
{
	return openat(process_root(), path, O_RDONLY | O_CLOEXEC | flags);
}

/* Reads a file of /proc from its beginning as text. */
static bool
read_text(const char *path, char *text, size_t room)
{
	int fd = open_in(path, 0);
	ssize_t got;

	if (fd == -1)
		return false;
	got = read(fd, text, room - 1);
	close(fd);
	if (got <= 0)
		return false;
	text[got] = '\0';
	return true;
}

/* When the machine was started, in seconds since 1970, by the clock of now: as
 * btime in proc_stat(5). */
static uint64_t
boot_time(void)
{
	uint64_t now_ns = clock_realtime_ns() + NS_PER_S / 2;

	return (now_ns - MIN_OF(clock_boottime_ns(), now_ns)) / NS_PER_S;
}

/* Counts them.  False: that is not allowed. */
static bool
count_descriptors(pid_t pid, uint64_t *count)
{
	const struct dirent *entry;
	char path[40];
	struct stat st;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "%d/fd", (int)pid);
	/* Since Linux 6.2 it is the directory's size. */
	if (fstatat(process_root(), path, &st, 0) == 0 && st.st_size > 0) {
		*count = (uint64_t)st.st_size;
		return true;
	}
	if ((fd = open_in(path, O_DIRECTORY)) == -1)
		return false;
	if ((dir = fdopendir(fd)) == NULL) {
		close(fd);
		return false;
	}
	*count = 0;
	while ((entry = readdir(dir)) != NULL)
		*count += entry->d_name[0] != '.';
	closedir(dir);
	return true;
}

/* The fields after the command's name, which may hold anything: proc(5). */
static bool
parse(const char *text, pid_t parent, struct process_use *use)
{
	uint64_t user, system, started, pages;
	uint64_t second = (uint64_t)sysconf(_SC_CLK_TCK);
	const char *rest = strrchr(text, ')');
	int found_parent;

	if (rest == NULL || sscanf(rest, ") %*c %d %*d %*d %*d %*d %*u %*u "
	    "%*u %*u %*u %" SCNu64 " %" SCNu64 " %*d %*d %*d %*d %*d %*d %"
	    SCNu64 " %*u %" SCNu64, &found_parent, &user, &system, &started,
	    &pages) != 5)
		return false;
	if (parent != 0 && found_parent != (int)parent)
		return false;
	use->cpu_ms = (user + system) * 1000 / second;
	use->started_ms = boot_time() * 1000 + started * 1000 / second;
	use->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

bool
process_use(pid_t pid, pid_t parent, struct process_use *use)
{
	char path[40], text[1024];

	snprintf(path, sizeof(path), "%d/stat", (int)pid);
	if (pid <= 0 || !read_text(path, text, sizeof(text)) ||
	    !parse(text, parent, use))
		return false;
	use->descriptors_known = count_descriptors(pid, &use->descriptors);
	return true;
}
