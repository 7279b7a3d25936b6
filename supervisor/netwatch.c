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
netwatch_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
	    .nl_groups = GROUP(RTNLGRP_LINK) |
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

static void
hear(struct netwatch *watch, const struct nlmsghdr *header)
{
	const struct ifinfomsg *link = NLMSG_DATA(header);

	if (header->nlmsg_type == RTM_DELLINK &&
	    header->nlmsg_len >= NLMSG_LENGTH(sizeof(*link)) &&
	    link->ifi_family == AF_UNSPEC)
		watch->gone(watch->owner, link->ifi_index);
}

static void
hear_all(struct netwatch *watch, const void *buffer, size_t size)
{
	const struct nlmsghdr *header;
	unsigned left = (unsigned)size;

	for (header = buffer; NLMSG_OK(header, left);
	    header = NLMSG_NEXT(header, left))
		hear(watch, header);
}

static void
on_news(struct ev_loop *loop ATTR_UNUSED, ev_io *io, int events ATTR_UNUSED)
{
	struct netwatch *watch = io->data;
	union {
		char		bytes[32768];
		struct nlmsghdr	align;
	} buffer;
	ssize_t n;
	unsigned i;

	for (i = 0; i < MESSAGES_MAX; i++) {
		n = watch->receive(io->fd, &buffer, sizeof(buffer), 0);
		if (n > 0)
			hear_all(watch, &buffer, (size_t)n);
		else if (n == -1 && errno == ENOBUFS)
			/* Some were lost. */
			watch->gone(watch->owner, 0);
		else if (n != -1 || errno != EINTR)
			break;
	}
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
