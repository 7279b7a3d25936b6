/* SPDX-License-Identifier: ISC */
/*
 * A library to preload into mcrelayd: a name service that does not answer for
 * as long as the file is there that the environment names, or, if there are
 * milliseconds in it, answers after so long.
 */
#include <dlfcn.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static void
wait_for_service(void)
{
	const char *path = getenv("SLOW_NAMES");
	unsigned ms;
	FILE *file;

	if (path == NULL || (file = fopen(path, "r")) == NULL)
		return;
	if (fscanf(file, "%u", &ms) == 1)
		usleep(1000 * ms);
	else
		while (access(path, F_OK) == 0)
			usleep(10000);
	fclose(file);
}

struct passwd *
getpwnam(const char *name)
{
	struct passwd *(*real)(const char *) =
	    (__typeof__(real))dlsym(RTLD_NEXT, "getpwnam");

	wait_for_service();
	return real(name);
}

struct passwd *
getpwuid(uid_t id)
{
	struct passwd *(*real)(uid_t) =
	    (__typeof__(real))dlsym(RTLD_NEXT, "getpwuid");

	wait_for_service();
	return real(id);
}
