/* SPDX-License-Identifier: ISC */
/*
 * Hands over to `mcrelayd --doctor', which knows configurations and looks at
 * the host: the daemon that runs must not be kept waiting for a disk.
 * mcrelayctl only.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/util.h"
#include "tools/ctl/doctor.h"

/* The mcrelayd that was installed with us: what the daemon says of its own
 * path might be what somebody else wants root to execute. */
static char *
find_program(void)
{
	char path[PATH_MAX], *slash;
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[length > 0 ? length : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL)
		return xstrdup("mcrelayd");
	*slash = '\0';
	return xasprintf("%s/mcrelayd", path);
}

/* A file of no name with the facts, to be read from its beginning. */
static int
facts_file(const json_t *facts)
{
	int fd = memory_open("facts");

	if (fd == -1 || fcntl(fd, F_SETFD, 0) == -1 ||
	    json_dumpfd(facts, fd, JSON_COMPACT) == -1 ||
	    lseek(fd, 0, SEEK_SET) == -1)
		fatal("the daemon's facts");
	return fd;
}

int
doctor_call(const json_t *answer, bool json, bool disk)
{
	const json_t *facts = json_object_get(answer, "facts");
	const char *file = json_string_value(json_object_get(answer, "file"));
	char *program = find_program(), *facts_fd;
	const char *arguments[12];
	size_t count = 0;

	if (file == NULL || file[0] != '/' || !json_is_object(facts)) {
		log_warnx("mcrelayd gave no proper answer");
		free(program);
		return 1;
	}
	facts_fd = xasprintf("%d", facts_file(facts));
	arguments[count++] = program;
	arguments[count++] = "-n";
	arguments[count++] = "--doctor";
	arguments[count++] = "--facts";
	arguments[count++] = facts_fd;
	if (json)
		arguments[count++] = "-j";
	if (disk)
		arguments[count++] = "--disk";
	arguments[count++] = file;
	arguments[count] = NULL;
	execv(program, (char *const *)(uintptr_t)arguments);
	log_warn("cannot execute %s", program);
	free(facts_fd);
	free(program);
	return 1;
}
