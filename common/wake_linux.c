/* SPDX-License-Identifier: ISC */
/*
 * Waking another thread or process by an eventfd.  Any process.  Must not
 * wait.
 */
#include <sys/eventfd.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/wake.h"

int
wake_open(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void
wake_post(int fd)
{
	static const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) == -1 && errno != EAGAIN)
		log_debug("eventfd: %s", strerror(errno));
}

void
wake_take(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) == -1 && errno != EAGAIN)
		log_debug("eventfd: %s", strerror(errno));
}
