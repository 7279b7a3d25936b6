/* SPDX-License-Identifier: ISC */
/*
 * The news of the network, told by a kernel of our own: a socket pair, and a
 * receive function that also fails as the kernel's does.  Where no kernel tells
 * of anything, a look each second.
 */
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "supervisor/netwatch.h"

struct fixture {
	struct netwatch	watch;
	int		kernel;
	unsigned	changes;
};

/* How often receive calls fail next, and with what. */
static unsigned	failures;
static int	failure;

static ssize_t
receive(int fd, void *buffer, size_t size, int flags)
{
	if (failures == 0)
		return recv(fd, buffer, size, flags);
	failures--;
	errno = failure;
	return -1;
}

static void
on_changed(void *owner)
{
	struct fixture *fixture = owner;

	fixture->changes++;
	ev_break(fixture->watch.loop, EVBREAK_ALL);
}

/* Runs until the next change is told. */
static void
run(struct fixture *fixture)
{
	unsigned before = fixture->changes;

	ev_run(fixture->watch.loop, 0);
	assert_int_equal(fixture->changes, before + 1);
}

static int
setup(void **state)
{
	static struct fixture fixture;
	int fds[2];

	memset(&fixture, 0, sizeof(fixture));
	failures = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	fixture.kernel = fds[1];
	fixture.watch.owner = &fixture;
	fixture.watch.changed = on_changed;
	fixture.watch.receive = receive;
	netwatch_start(&fixture.watch, ev_default_loop(0), fds[0]);
	/* What there was before. */
	run(&fixture);
	*state = &fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	netwatch_stop(&fixture->watch);
	assert_false(netwatch_active(&fixture->watch));
	netwatch_stop(&fixture->watch);
	close(fixture->kernel);
	return 0;
}

#ifdef HAVE_LINUX
/* Whether a change is being waited for, once all news have been read. */
static bool
is_due(struct fixture *fixture)
{
	ev_run(fixture->watch.loop, EVRUN_NOWAIT);
	return ev_is_active(&fixture->watch.burst);
}

static void
say(const struct fixture *fixture, uint16_t type, unsigned char family,
    int index, size_t size)
{
	struct {
		struct nlmsghdr		header;
		struct ifinfomsg	link;
	} news;

	memset(&news, 0, sizeof(news));
	news.header.nlmsg_type = type;
	news.header.nlmsg_len = (uint32_t)size;
	news.link.ifi_family = family;
	news.link.ifi_index = index;
	assert_int_equal(send(fixture->kernel, &news, size, 0), size);
}

#define WHOLE	NLMSG_LENGTH(sizeof(struct ifinfomsg))

static void
test_burst(void **state)
{
	struct fixture *fixture = *state;
	unsigned i;

	for (i = 0; i < 5; i++)
		say(fixture, RTM_NEWADDR, AF_INET, 7, WHOLE);
	assert_true(is_due(fixture));
	say(fixture, RTM_NEWROUTE, AF_INET6, 7, WHOLE);
	run(fixture);
	assert_false(is_due(fixture));
}

/* News were lost, and what is left is read. */
static void
test_lost(void **state)
{
	struct fixture *fixture = *state;

	failures = 1;
	failure = ENOBUFS;
	say(fixture, RTM_DELLINK, AF_UNSPEC, 9, WHOLE);
	run(fixture);
	assert_false(is_due(fixture));
}

static void
test_interrupted(void **state)
{
	struct fixture *fixture = *state;

	failures = 3;
	failure = EINTR;
	say(fixture, RTM_DELLINK, AF_UNSPEC, 9, WHOLE);
	run(fixture);
}

/* The kernel itself takes our subscription. */
static void
test_open(void **state ATTR_UNUSED)
{
	struct sockaddr_nl address;
	socklen_t size = sizeof(address);
	int fd = netwatch_open(false);

	assert_int_not_equal(fd, -1);
	assert_int_equal(getsockname(fd, (void *)&address, &size), 0);
	assert_int_equal(address.nl_family, AF_NETLINK);
	assert_true((address.nl_groups & RTMGRP_LINK) != 0);
	assert_true((address.nl_groups & RTMGRP_IPV6_ROUTE) != 0);
	close(fd);
}

#else

static void
test_looks(void **state)
{
	run(*state);
	run(*state);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef HAVE_LINUX
		cmocka_unit_test_setup_teardown(test_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupted, setup,
		    teardown),
		cmocka_unit_test(test_open),
#else
		cmocka_unit_test_setup_teardown(test_looks, setup, teardown),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
