/* SPDX-License-Identifier: ISC */
/*
 * Waking another thread or process by a pipe.  Any process.  Must not wait.
 *
 * One descriptor has both ends, as whoever has one may be given it: a FIFO,
 * whose name is gone at once.  POSIX leaves open what comes of opening one for
 * both; Linux does what is meant here, which is all that was tried.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/wake.h"

int
wake_open(void)
{
	char directory[] = "/tmp/mcrelay-XXXXXX", name[sizeof(directory) + 2];
	int fd = -1, saved;

	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(name, sizeof(name), "%s/w", directory);
	if (mkfifo(name, 0600) == 0)
		fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	saved = errno;
	(void)unlink(name);
	(void)rmdir(directory);
	errno = saved;
	return fd;
}

void
wake_post(int fd)
{
	static const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) == -1 && errno != EAGAIN)
		log_debug("pipe: %s", strerror(errno));
}

void
wake_take(int fd)
{
	char some[512];
	ssize_t got;

	do
		got = read(fd, some, sizeof(some));
	while (got == (ssize_t)sizeof(some));
	if (got == -1 && errno != EAGAIN)
		log_debug("pipe: %s", strerror(errno));
}
