/* SPDX-License-Identifier: ISC */
/*
 * Nobody tells of changes: has its owner look each second.  See netwatch.h.
 * Supervisor only.
 */
#include <fcntl.h>
#include <unistd.h>

#include "supervisor/netwatch.h"

#define LOOK_S	1.

/* Of no use but to be closed. */
int
netwatch_open(bool neighbours ATTR_UNUSED)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
on_second(struct ev_loop *loop ATTR_UNUSED, ev_timer *timer,
    int events ATTR_UNUSED)
{
	struct netwatch *watch = timer->data;

	watch->changed(watch->owner);
}

void
netwatch_start(struct netwatch *watch, struct ev_loop *loop, int fd)
{
	watch->loop = loop;
	watch->io.fd = fd;
	ev_timer_init(&watch->burst, on_second, 0., LOOK_S);
	watch->burst.data = watch;
	ev_timer_start(loop, &watch->burst);
}

void
netwatch_stop(struct netwatch *watch)
{
	if (!netwatch_active(watch))
		return;
	ev_timer_stop(watch->loop, &watch->burst);
	close(watch->io.fd);
}

bool
netwatch_active(const struct netwatch *watch)
{
	return ev_is_active(&watch->burst);
}
