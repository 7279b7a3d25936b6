/* SPDX-License-Identifier: ISC */
/*
 * Places for clients of mcrelay-web.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "web/connections.h"

static struct connection	*taken[CONNECTIONS_MAX];
static unsigned			 count;

static const struct sockaddr *
from(const char *text)
{
	static union {
		struct sockaddr		sa;
		struct sockaddr_in	in;
		struct sockaddr_in6	in6;
		struct sockaddr_un	un;
	} address;

	memset(&address, 0, sizeof(address));
	if (text[0] == '/')
		address.un.sun_family = AF_UNIX;
	else if (strchr(text, ':') != NULL) {
		address.in6.sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text,
		    &address.in6.sin6_addr), 1);
	} else {
		address.in.sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text,
		    &address.in.sin_addr), 1);
	}
	return &address.sa;
}

/* As many as there may be. */
static unsigned
take(const char *text)
{
	unsigned before = count;

	while (count < CONNECTIONS_MAX && connections_allow(from(text)))
		taken[count++] = connection_new(-1, from(text));
	return count - before;
}

static void
leave(void)
{
	while (count > 0)
		connection_free(taken[--count]);
	assert_true(connections_none());
}

static void
one_address_has_half(void **state ATTR_UNUSED)
{
	static const char *const pairs[][2] = {
		{"192.0.2.1", "192.0.2.2"},
		{"192.0.2.1", "2001:db8::1"},
		{"2001:db8::1", "2001:db8:0:1::1"},
	};
	size_t i;

	for (i = 0; i < NITEMS(pairs); i++) {
		assert_int_equal(take(pairs[i][0]), CONNECTIONS_EACH);
		assert_int_equal(take(pairs[i][1]), CONNECTIONS_EACH);
		/* Who leaves makes a place for another one from there. */
		connection_free(taken[0]);
		taken[0] = taken[--count];
		assert_int_equal(take(pairs[i][1]), 0);
		assert_int_equal(take(pairs[i][0]), 1);
		leave();
	}
}

/* Many names of one: v4 in v6, all addresses of a network. */
static void
names_do_not_help(void **state ATTR_UNUSED)
{
	assert_int_equal(take("192.0.2.1"), CONNECTIONS_EACH);
	assert_int_equal(take("::ffff:192.0.2.1"), 0);
	leave();
	assert_int_equal(take("2001:db8::1"), CONNECTIONS_EACH);
	assert_int_equal(take("2001:db8::2:3:4:5"), 0);
	leave();
}

/* A proxy brings all others. */
static void
this_host_has_all(void **state ATTR_UNUSED)
{
	static const char *const near[] = {"127.0.0.1", "127.0.0.53", "::1",
	    "::ffff:127.0.0.1", "/unix"};
	size_t i;

	for (i = 0; i < NITEMS(near); i++) {
		assert_int_equal(take(near[i]), CONNECTIONS_MAX);
		leave();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_address_has_half),
		cmocka_unit_test(names_do_not_help),
		cmocka_unit_test(this_host_has_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
