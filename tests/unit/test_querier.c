/* SPDX-License-Identifier: ISC */
/*
 * When a querier is missing, at times that are given.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "supervisor/querier.h"

#define START_S		1000U
#define INDEX		7

static struct sockaddr_storage
address_of(const char *text)
{
	struct sockaddr_storage address = {.ss_family = AF_INET};
	struct sockaddr_in6 *in6 = (void *)&address;
	struct sockaddr_in *in = (void *)&address;

	if (strchr(text, ':') == NULL) {
		assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
		return address;
	}
	address.ss_family = AF_INET6;
	assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	return address;
}

/* A group that is joined on an interface, and its querier. */
struct fixture {
	struct querier		querier;
	struct sockaddr_storage	group;
	struct sockaddr_storage	asks;
	unsigned		now_s;
};

static struct fixture
fixture_of(const char *group, const char *asks)
{
	struct fixture fixture = {.querier = {.hears = {true, true}},
	    .group = address_of(group), .asks = address_of(asks),
	    .now_s = START_S};

	return fixture;
}

/* So many seconds pass.  True: the querier is missing then. */
static bool
pass(struct fixture *fixture, unsigned seconds, bool up)
{
	struct querier *querier = &fixture->querier;

	while (seconds-- > 0) {
		fixture->now_s++;
		querier_begin(querier);
		querier_joined(querier, INDEX, &fixture->group, up,
		    fixture->now_s * NS_PER_S);
		querier_end(querier, fixture->now_s * NS_PER_S);
	}
	return querier_missing(querier, INDEX, &fixture->group);
}

static void
ask(struct fixture *fixture, int index)
{
	querier_heard(&fixture->querier, index, (const void *)&fixture->asks,
	    fixture->now_s * NS_PER_S);
}

static void
missing_after_260_s(const char *group, const char *asks)
{
	struct fixture fixture = fixture_of(group, asks);

	assert_false(pass(&fixture, 261, true));
	assert_true(pass(&fixture, 1, true));
	/* Another interface's is another network's. */
	ask(&fixture, INDEX + 1);
	assert_true(pass(&fixture, 1, true));
	ask(&fixture, INDEX);
	assert_false(pass(&fixture, 260, true));
	ask(&fixture, INDEX);
	assert_false(pass(&fixture, 260, true));
	assert_true(pass(&fixture, 1, true));
	querier_stop(&fixture.querier);
}

static void
after_260_s(void **state ATTR_UNUSED)
{
	missing_after_260_s("239.1.2.3", "10.0.0.1");
	missing_after_260_s("ff15::1", "fe80::1");
	missing_after_260_s("ff02::1234", "fe80::1");
}

static void
of_the_other_family_does_not_count(void **state ATTR_UNUSED)
{
	struct fixture fixture = fixture_of("239.1.2.3", "fe80::1");

	assert_false(pass(&fixture, 200, true));
	ask(&fixture, INDEX);
	assert_true(pass(&fixture, 62, true));
	querier_stop(&fixture.querier);
}

/* What cannot be heard is not missed. */
static void
not_while_the_interface_is_down(void **state ATTR_UNUSED)
{
	struct fixture fixture = fixture_of("239.1.2.3", "10.0.0.1");

	assert_false(pass(&fixture, 200, true));
	assert_false(pass(&fixture, 1000, false));
	assert_false(pass(&fixture, 260, true));
	assert_true(pass(&fixture, 1, true));
	querier_stop(&fixture.querier);
}

static void
not_where_nothing_can_be_heard(void **state ATTR_UNUSED)
{
	struct fixture fixture = fixture_of("239.1.2.3", "10.0.0.1");

	fixture.querier.hears[0] = false;
	assert_false(pass(&fixture, 1000, true));
	/* Its sockets are none that could be closed. */
	fixture.querier.hears[1] = false;
	querier_stop(&fixture.querier);
}

static void
not_for_groups_that_no_switch_filters(void **state ATTR_UNUSED)
{
	static const char *const group[] = {"224.0.0.251", "ff02::1",
	    "ff01::5"};
	size_t i;

	for (i = 0; i < NITEMS(group); i++) {
		struct fixture fixture = fixture_of(group[i],
		    strchr(group[i], ':') != NULL ? "fe80::1" : "10.0.0.1");

		assert_false(pass(&fixture, 1000, true));
		querier_stop(&fixture.querier);
	}
}

/* An interface that comes and goes leaves nothing behind. */
static void
forgets_what_is_not_joined(void **state ATTR_UNUSED)
{
	struct fixture fixture = fixture_of("239.1.2.3", "10.0.0.1");

	assert_true(pass(&fixture, 300, true));
	assert_int_equal(fixture.querier.links, 1);
	querier_begin(&fixture.querier);
	querier_end(&fixture.querier, fixture.now_s * NS_PER_S);
	assert_int_equal(fixture.querier.links, 0);
	assert_false(pass(&fixture, 260, true));
	querier_stop(&fixture.querier);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_260_s),
		cmocka_unit_test(of_the_other_family_does_not_count),
		cmocka_unit_test(not_while_the_interface_is_down),
		cmocka_unit_test(not_where_nothing_can_be_heard),
		cmocka_unit_test(not_for_groups_that_no_switch_filters),
		cmocka_unit_test(forgets_what_is_not_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
