/* SPDX-License-Identifier: ISC */
/*
 * What a configuration needs, beside limits that are given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "common/segment.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/needs.h"

#define MIB		(1ULL << 20)

static const struct needs_limits no_limits = {UINT64_MAX, UINT64_MAX,
	UINT64_MAX, UINT64_MAX};

static struct channel_conf
channel_of(uint64_t ring_size)
{
	static struct listen_config listen;
	struct channel_conf channel = {.listen = &listen, .inputs = 1,
	    .name = "c", .ring_size = ring_size,
	    .archive.directory = "/nowhere"};

	return channel;
}

static struct needs
needs_of_these(struct channel_conf *channels, size_t count)
{
	struct conf conf = {.channel = channels, .channels = count};
	struct needs needs;

	needs_of(&needs, &conf);
	return needs;
}

/* A segment takes what a real one has. */
static void
memory_is_that_of_the_segments(void **state ATTR_UNUSED)
{
	struct channel_conf channels[] = {channel_of(MIB),
	    channel_of(4 * MIB), channel_of(MIB)};
	struct segment_spec spec = {.ring_size = MIB};
	struct needs one = needs_of_these(channels, 1);
	struct needs all = needs_of_these(channels, NITEMS(channels));
	struct segment segment;
	bool locked;

	assert_int_equal(segment_create(&segment, &spec, &locked), 0);
	assert_int_equal(one.memory, segment.mapped - segment.ring.size);
	assert_true(all.memory >= 2 * one.memory + 4 * MIB);
	segment_close(&segment);
}

/* What its socket has room for, in frames, and what it is had by. */
static void
an_af_xdp_input_is_counted(void **state ATTR_UNUSED)
{
	struct channel_conf channels[] = {channel_of(MIB), channel_of(MIB)};
	struct listen_config listen = {.receive_buffer = 3 * MIB, .xdp = 1};
	struct needs without, with;

	without = needs_of_these(channels, NITEMS(channels));
	channels[1].listen = &listen;
	with = needs_of_these(channels, NITEMS(channels));
	assert_int_equal(with.memory - without.memory, 8 * MIB);
	assert_int_equal(with.descriptors - without.descriptors, 3);
}

/* Of users of their own it is the one with the most. */
static void
threads_are_counted_for_each_user(void **state ATTR_UNUSED)
{
	struct channel_conf channels[] = {channel_of(MIB), channel_of(MIB)};
	size_t i;

	channels[0].archive.enabled = true;
	for (i = 0; i < NITEMS(channels); i++)
		channels[i].user.uid = 64001;
	assert_int_equal(needs_of_these(channels, NITEMS(channels)).threads,
	    6);
	for (i = 0; i < NITEMS(channels); i++)
		channels[i].own_user = true;
	assert_int_equal(needs_of_these(channels, NITEMS(channels)).threads,
	    5);
}

static void
descriptors_are_counted(void **state ATTR_UNUSED)
{
	struct channel_conf channels[] = {channel_of(MIB), channel_of(MIB),
	    channel_of(MIB)};
	struct needs none = needs_of_these(channels, 0), all;
	struct destination_conf relay[3];
	size_t i;

	memset(relay, 0, sizeof(relay));
	for (i = 0; i < NITEMS(relay); i++)
		relay[i].address.ss_family = AF_INET;
	channels[1].relay = relay;
	channels[1].relays = NITEMS(relay);
	channels[1].decimates = 2;
	channels[1].archive.enabled = true;
	channels[2].archives_stream = true;
	channels[2].archive.enabled = true;
	all = needs_of_these(channels, NITEMS(channels));
	/* Segment, eventfd, messages, voice and input of each; what else there
	 * is. */
	assert_int_equal(all.descriptors - none.descriptors,
	    3 * 5 + (3 + 2 + 1) + (1 + 1));
}

/* The supervisor knows each socket of a shared port by a descriptor more. */
static void
descriptors_of_a_shared_port_are_counted(void **state ATTR_UNUSED)
{
	struct channel_conf channels[] = {channel_of(MIB), channel_of(MIB),
	    channel_of(MIB)};
	struct conf before = {.channel = channels, .channels = 2};
	struct conf conf = {.channel = channels, .channels = 3};
	struct listen_config listen[3];
	struct needs apart, all;
	size_t i;

	memset(listen, 0, sizeof(listen));
	for (i = 0; i < NITEMS(listen); i++) {
		assert_null(address_parse(i == 0 ? "10.0.0.2" : "10.0.0.1",
		    &listen[i].address));
		address_set_port(&listen[i].address, 2368);
		channels[i].listen = &listen[i];
		channels[i].name[0] = (char)('a' + i);
	}
	/* Both inputs of the second are where the third comes to be. */
	channels[1].inputs = 2;
	apart = needs_of_these(channels, 2);
	all = needs_of_these(channels, 3);
	assert_int_equal(all.descriptors - apart.descriptors, 5 + 1 + 2);
	assert_int_equal(needs_beside(&before, &before), 0);
	assert_int_equal(needs_beside(&conf, &conf), 0);
	assert_int_equal(needs_beside(&conf, &before), 5 + 1 + 2);
}

/* Only what a reload opens before it closes anything. */
static void
descriptors_of_a_reload_are_counted(void **state ATTR_UNUSED)
{
	struct destination_conf relay[2];
	struct listen_config listen[2];
	struct channel_conf old[] = {channel_of(MIB), channel_of(MIB)};
	struct channel_conf new[] = {channel_of(MIB), channel_of(MIB)};
	struct conf before = {.channel = old, .channels = NITEMS(old)};
	struct conf conf = {.channel = new, .channels = NITEMS(new)};

	memset(relay, 0, sizeof(relay));
	memset(listen, 0, sizeof(listen));
	old[0].name[0] = new[0].name[0] = 'a';
	old[0].listen = listen;
	new[0].listen = listen + 1;
	old[0].inputs = new[0].inputs = old[1].inputs = new[1].inputs = 1;
	old[0].relay = new[0].relay = relay;
	old[0].relays = new[0].relays = NITEMS(relay);
	old[0].archive.enabled = new[0].archive.enabled = true;
	assert_int_equal(needs_beside(&conf, &before), 0);
	/* Another ring: outputs and archive directory, not the input. */
	new[0].ring_size = 2 * MIB;
	assert_int_equal(needs_beside(&conf, &before), 2 + 1);
	/* Another address. */
	new[0].listen[0].address.ss_family = AF_INET;
	assert_int_equal(needs_beside(&conf, &before), 2 + 1 + 1);
	/* A channel that is new, in place of one that goes. */
	new[1].name[0] = 'b';
	assert_int_equal(needs_beside(&conf, &before), 2 + 1 + 1 + 5);
}

/* The text of the one warning that there is, or NULL. */
static const char *
warning(const struct needs *needs, const struct needs_limits *limits,
    struct conf_problems *problems)
{
	memset(problems, 0, sizeof(*problems));
	needs_check(needs, limits, problems);
	assert_int_equal(problems->errors, 0);
	assert_true(problems->count <= 1);
	return problems->count == 0 ? NULL : problems->list[0].text;
}

static void
each_limit_has_its_warning(void **state ATTR_UNUSED)
{
	const struct needs needs = {.memory = 750 * MIB - 1,
	    .descriptors = 333, .threads = 20};
	struct needs_limits limits = no_limits;
	struct conf_problems problems;

	assert_null(warning(&needs, &limits, &problems));
	limits.locked = 8 * MIB;
	assert_string_equal(warning(&needs, &limits, &problems),
	    "750 MiB of memory are to be locked, but no more than 8 MiB may "
	    "be, and the rest may be swapped out: raise the limit (ulimit -l "
	    "768000, or LimitMEMLOCK=750M in systemd)");
	conf_problems_free(&problems);
	limits = no_limits;
	limits.descriptors = 332;
	assert_string_equal(warning(&needs, &limits, &problems),
	    "333 descriptors are needed, but no more than 332 may be open: "
	    "raise the limit (ulimit -n 333, or LimitNOFILE=333 in systemd)");
	conf_problems_free(&problems);
	limits = no_limits;
	limits.threads = 19;
	assert_string_equal(warning(&needs, &limits, &problems),
	    "all workers together need 20 threads, and a user may have no more "
	    "than 19: raise the limit (ulimit -u 20, or LimitNPROC=20 in "
	    "systemd), or give each channel a user of its own");
	conf_problems_free(&problems);
	limits = no_limits;
	limits.memory = 512 * MIB;
	assert_string_equal(warning(&needs, &limits, &problems),
	    "all channels together need 750 MiB of memory, but there are 512 "
	    "MiB: give them a smaller ring_size");
	conf_problems_free(&problems);
	limits = (struct needs_limits){needs.memory, needs.memory, 333, 20};
	assert_null(warning(&needs, &limits, &problems));
}

static void
the_text_names_limits(void **state ATTR_UNUSED)
{
	struct needs needs = {.memory = 750 * MIB, .descriptors = 333,
	    .threads = 20};
	struct needs_limits limits = {0, 8 * MIB, 1024, 0};
	char text[NEEDS_TEXT_SIZE];

	needs_text(&needs, &limits, text);
	assert_string_equal(text, "needs 750 MiB of memory, which is locked "
	    "(limit: 8 MiB), and 333 descriptors (limit: 1024)");
	needs_text(&needs, &no_limits, text);
	assert_string_equal(text, "needs 750 MiB of memory, which is locked "
	    "(limit: none), and 333 descriptors (limit: none)");
	needs.ring = 512 << 10;
	needs_text(&needs, &no_limits, text);
	assert_non_null(strstr(text, "750 MiB of memory with rings of 512 KiB, "
	    "which"));
}

/* Both are something that the kernel says. */
static void
memory_is_the_machines(void **state ATTR_UNUSED)
{
	struct needs_limits total, available;

	needs_limits(&total, NEEDS_MEMORY_TOTAL);
	needs_limits(&available, NEEDS_MEMORY_AVAILABLE);
	assert_true(total.memory != UINT64_MAX && total.memory > 0);
	assert_true(available.memory < total.memory);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_that_of_the_segments),
		cmocka_unit_test(an_af_xdp_input_is_counted),
		cmocka_unit_test(threads_are_counted_for_each_user),
		cmocka_unit_test(descriptors_are_counted),
		cmocka_unit_test(descriptors_of_a_shared_port_are_counted),
		cmocka_unit_test(descriptors_of_a_reload_are_counted),
		cmocka_unit_test(each_limit_has_its_warning),
		cmocka_unit_test(the_text_names_limits),
		cmocka_unit_test(memory_is_the_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
