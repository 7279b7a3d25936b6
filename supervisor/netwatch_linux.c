/* SPDX-License-Identifier: ISC */
/*
 * Hears of changes by rtnetlink.  See netwatch.h.  Supervisor only.
 */
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/netwatch.h"

/* Where full routing tables come and go, its owner works a tenth of the time
 * at most. */
#define PAUSE_FACTOR	10.

/* What one turn of the loop may take in. */
#define MESSAGES_MAX	256

#define GROUP(group)	(1U << ((group) - 1))

int
netwatch_open(bool neighbours)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
	    .nl_groups = neighbours ? GROUP(RTNLGRP_NEIGH) :
	    GROUP(RTNLGRP_LINK) |
	    GROUP(RTNLGRP_IPV4_IFADDR) | GROUP(RTNLGRP_IPV6_IFADDR) |
	    GROUP(RTNLGRP_IPV4_ROUTE) | GROUP(RTNLGRP_IPV6_ROUTE) |
	    GROUP(RTNLGRP_IPV4_RULE) | GROUP(RTNLGRP_IPV6_RULE)};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    NETLINK_ROUTE);
	int saved;

	if (fd == -1)
		return -1;
	if (bind(fd, (const void *)&address, sizeof(address)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* A burst is not prolonged by what comes in it. */
static void
begin_burst(struct netwatch *watch)
{
	if (ev_is_active(&watch->burst))
		return;
	ev_timer_set(&watch->burst, MAX_OF(NETWATCH_BURST, watch->pause), 0.);
	ev_timer_start(watch->loop, &watch->burst);
}

static void
on_burst(struct ev_loop *loop ATTR_UNUSED, ev_timer *timer,
    int events ATTR_UNUSED)
{
	struct netwatch *watch = timer->data;
	ev_tstamp before = ev_time();

	watch->changed(watch->owner);
	watch->pause = PAUSE_FACTOR * (ev_time() - before);
	/* The wall clock may have been set meanwhile. */
	if (watch->pause < 0. || watch->pause > 1.)
		watch->pause = 1.;
}

/* Whether there was one.  ENOBUFS: some were lost, which is news as well. */
static bool
take_news(const struct netwatch *watch, int fd)
{
	char some;
	ssize_t n = watch->receive(fd, &some, sizeof(some), 0);

	return n > 0 || (n == -1 && (errno == ENOBUFS || errno == EINTR));
}

static void
on_news(struct ev_loop *loop ATTR_UNUSED, ev_io *io, int events ATTR_UNUSED)
{
	struct netwatch *watch = io->data;
	unsigned i = 0;

	while (i < MESSAGES_MAX && take_news(watch, io->fd))
		i++;
	if (i > 0)
		begin_burst(watch);
}

void
netwatch_start(struct netwatch *watch, struct ev_loop *loop, int fd)
{
	watch->loop = loop;
	watch->pause = 0.;
	ev_io_init(&watch->io, on_news, fd, EV_READ);
	watch->io.data = watch;
	ev_io_start(loop, &watch->io);
	ev_timer_init(&watch->burst, on_burst, 0., 0.);
	watch->burst.data = watch;
	ev_timer_start(loop, &watch->burst);
}

void
netwatch_stop(struct netwatch *watch)
{
	if (!netwatch_active(watch))
		return;
	ev_timer_stop(watch->loop, &watch->burst);
	ev_io_stop(watch->loop, &watch->io);
	close(watch->io.fd);
}

bool
netwatch_active(const struct netwatch *watch)
{
	return ev_is_active(&watch->io);
}
