/* SPDX-License-Identifier: ISC */
/*
 * A host that is drained says that no other one can have its channels when it
 * has looked, and found nobody, for a lease: not when that time is over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "common/util.h"
#include "forwarder/lease_priv.h"
#include "supervisor/fleet.h"
#include "supervisor/supervisor.h"

#define CHANNELS	2U
/* Longer than a test that is kept waiting. */
#define LEASE_NS	(3600 * NS_PER_S)
/* Beginnings that are long over. */
#define DRAINED_NS	1000U

static struct supervisor	supervisor;
static struct conf		conf;
static struct channel_conf	channel_conf[CHANNELS];
static struct channel		channel[CHANNELS];
static struct lease_slot	slot[CHANNELS];
static struct lease		lease;

static int
setup(void **state ATTR_UNUSED)
{
	unsigned i;

	memset(&supervisor, 0, sizeof(supervisor));
	memset(&conf, 0, sizeof(conf));
	memset(channel, 0, sizeof(channel));
	memset(slot, 0, sizeof(slot));
	memset(&lease, 0, sizeof(lease));
	conf.lease_ns = LEASE_NS;
	supervisor.conf = &conf;
	supervisor.fleet.supervisor = &supervisor;
	supervisor.fleet.drained = true;
	supervisor.fleet.drained_ns = DRAINED_NS;
	TAILQ_INIT(&supervisor.channels);
	for (i = 0; i < CHANNELS; i++) {
		channel_conf[i].leased = true;
		channel[i].supervisor = &supervisor;
		channel[i].conf = &channel_conf[i];
		channel[i].lease = &slot[i];
		channel[i].speak_until_ns = UINT64_MAX;
		channel[i].name[0] = (char)('a' + i);
		TAILQ_INSERT_TAIL(&supervisor.channels, &channel[i], link);
	}
	/* Each test is about the first. */
	slot[1].alone_ns = DRAINED_NS;
	slot[1].alone_to_ns = DRAINED_NS + LEASE_NS + 1;
	lease.slot = &slot[0];
	return 0;
}

static void
expect_waiting(void)
{
	assert_null(fleet_drain_check(&supervisor.fleet));
}

static void
expect_answer(const char *error)
{
	json_t *answer = fleet_drain_check(&supervisor.fleet);
	const char *text;

	assert_non_null(answer);
	text = json_string_value(json_object_get(answer, "error"));
	if (error == NULL) {
		assert_null(text);
		assert_true(json_is_true(json_object_get(answer, "ok")));
	} else {
		assert_non_null(text);
		assert_non_null(strstr(text, error));
	}
	json_decref(answer);
}

/* From the first look to the last, whatever the clock says. */
static void
test_over_a_lease(void **state ATTR_UNUSED)
{
	slot[0].alone_ns = 2 * DRAINED_NS;
	slot[0].alone_to_ns = 2 * DRAINED_NS + LEASE_NS;
	expect_waiting();
	slot[0].alone_to_ns++;
	expect_answer("can have a, b:");
}

/* Who was there when it was drained may not have said so in the lease
 * before: what was seen before does not count. */
static void
test_since_drained(void **state ATTR_UNUSED)
{
	slot[0].alone_ns = 1;
	slot[0].alone_to_ns = DRAINED_NS + LEASE_NS;
	expect_waiting();
	slot[0].alone_to_ns++;
	expect_answer("can have a, b:");
}

/* A look that finds somebody, or nobody can say what it finds, begins anew. */
static void
test_looks(void **state ATTR_UNUSED)
{
	uint64_t first;

	lease_note_alone(&lease, true);
	first = slot[0].alone_ns;
	assert_in_range(first, 1, clock_boottime_ns());
	lease_note_alone(&lease, true);
	assert_int_equal(slot[0].alone_ns, first);
	assert_true(slot[0].alone_to_ns >= first);
	expect_waiting();
	/* As if the first had been a lease ago. */
	conf.lease_ns = 0;
	supervisor.fleet.drained_ns = 0;
	slot[0].alone_ns = 1;
	expect_answer("can have a, b:");
	lease_note_alone(&lease, false);
	expect_waiting();
	lease_note_alone(&lease, true);
	assert_true(slot[0].alone_ns >= first);
}

/* Nobody asks, or knows. */
static void
test_not_known(void **state ATTR_UNUSED)
{
	slot[0].alone_to_ns = UINT64_MAX;
	expect_waiting();
	channel[0].lease = NULL;
	expect_waiting();
}

/* What is not here any more is nobody's concern. */
static void
test_handed_over(void **state ATTR_UNUSED)
{
	channel[0].speak_until_ns = 1;
	expect_answer("can have b:");
	channel[1].speak_until_ns = 1;
	expect_answer(NULL);
	supervisor.fleet.drained = false;
	expect_answer("undrained");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_over_a_lease, setup),
		cmocka_unit_test_setup(test_since_drained, setup),
		cmocka_unit_test_setup(test_looks, setup),
		cmocka_unit_test_setup(test_not_known, setup),
		cmocka_unit_test_setup(test_handed_over, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
