/* SPDX-License-Identifier: ISC */
/*
 * Who gets which channel, by rates that the test makes up.  Processes are not
 * started: what spread.c calls for that is replaced below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/supervisor.h"

#define CHANNELS	8
#define RATE_FAST	100000000U
#define RATE_SLOW	1000U

struct fixture {
	struct supervisor	supervisor;
	struct conf		conf;
	struct channel		channel[CHANNELS];
	unsigned		channels;
	unsigned		moves;	/* given while another one had it */
};

static struct fixture	*f;

/*** In place of decimator.c and child.c. ***/

void
decimator_init(struct decimator *decimator, struct supervisor *supervisor,
    unsigned number)
{
	decimator->supervisor = supervisor;
	decimator->number = number;
}

void
decimator_done(struct decimator *decimator ATTR_UNUSED)
{
}

void
decimator_update(struct decimator *decimator ATTR_UNUSED)
{
}

void
decimator_give(struct channel *channel, struct decimator *to)
{
	f->moves += channel->decimator != NULL && channel->decimator != to;
	channel->decimator = to;
}

void
child_start(struct child *child)
{
	child->wanted = true;
}

void
child_abandon(struct child *child ATTR_UNUSED)
{
	fail();
}

void
child_stop(struct child *child)
{
	child->wanted = false;
}

/*** Helpers. ***/

static int
setup(void **state)
{
	f = *state = xcalloc(1, sizeof(*f));
	f->supervisor.conf = &f->conf;
	TAILQ_INIT(&f->supervisor.channels);
	decimators_init(&f->supervisor);
	return 0;
}

static int
teardown(void **state)
{
	decimators_done(&f->supervisor);
	free(*state);
	return 0;
}

/* Another channel. */
static void
add(unsigned streams, uint64_t rate)
{
	struct channel *channel = &f->channel[f->channels];

	snprintf(channel->name, sizeof(channel->name), "%c",
	    'a' + (int)f->channels++);
	channel->supervisor = &f->supervisor;
	channel->parts.streams = streams;
	channel->decimator_rate = rate;
	TAILQ_INSERT_TAIL(&f->supervisor.channels, channel, link);
}

static void
update(unsigned decimators)
{
	f->conf.decimators = decimators;
	f->moves = 0;
	decimators_update(&f->supervisor);
}

/* "ac b": a and c belong to the first process, b to the second. */
static void
expect(const char *text)
{
	char found[64] = "";
	unsigned i, c;

	for (i = 0; i < f->conf.decimators; i++) {
		if (i > 0)
			strcat(found, " ");
		for (c = 0; c < f->channels; c++)
			if (f->channel[c].decimator ==
			    &f->supervisor.decimator[i])
				strcat(found, f->channel[c].name);
		assert_int_equal(f->supervisor.decimator[i].child.wanted,
		    found[0] != '\0' && found[strlen(found) - 1] != ' ');
	}
	assert_string_equal(found, text);
}

/*** The tests. ***/

/* Nothing is known of them but that. */
static void
first_by_streams(void **state ATTR_UNUSED)
{
	add(3, 0);
	add(1, 0);
	add(1, 0);
	add(0, 0);
	add(1, 0);
	add(1, 0);
	update(2);
	expect("af bce");
}

static void
later_by_bytes(void **state ATTR_UNUSED)
{
	add(1, 0);
	add(1, 0);
	add(1, 0);
	add(1, 0);
	update(2);
	expect("ac bd");
	f->channel[0].decimator_rate = RATE_FAST;
	f->channel[1].decimator_rate = f->channel[2].decimator_rate =
	    f->channel[3].decimator_rate = RATE_SLOW;
	/* Who is there stays. */
	update(2);
	expect("ac bd");
	/* Whatever else comes, the other one is less busy than the fast one
	 * makes its own. */
	add(1, RATE_SLOW);
	add(4, RATE_SLOW);
	update(2);
	expect("ac bdef");
	/* One that has got streams, and was known before. */
	f->channel[0].parts.streams = 0;
	update(2);
	expect("c bdef");
	f->channel[0].parts.streams = 1;
	update(2);
	expect("ac bdef");
	assert_int_equal(f->moves, 0);
	f->channel[0].decimator_rate = 0;
	add(1, 0);
	update(2);
	expect("acg bdef");
}

/* As many streams of a slow channel as make it the heavier one. */
static void
streams_times_bytes(void **state ATTR_UNUSED)
{
	add(1, 3000);
	add(4, 1000);
	add(1, 500);
	add(1, 600);
	update(2);
	expect("acd b");
}

/* The fast one has the new process for itself. */
static void
more_processes(void **state ATTR_UNUSED)
{
	add(1, RATE_SLOW);
	add(1, RATE_FAST);
	add(1, RATE_SLOW);
	add(1, RATE_SLOW);
	add(1, RATE_SLOW);
	update(1);
	expect("abcde");
	update(2);
	expect("acde b");
	assert_int_equal(f->moves, 1);
	/* It has nothing to give away; the other one has. */
	update(3);
	expect("de b ac");
	assert_int_equal(f->moves, 2);
	/* Nothing to gain. */
	update(8);
	expect("e b c a d   ");
}

static void
fewer_processes(void **state ATTR_UNUSED)
{
	add(1, RATE_FAST);
	add(1, RATE_SLOW);
	add(1, RATE_SLOW);
	add(1, RATE_SLOW);
	add(1, RATE_SLOW);
	add(1, RATE_SLOW);
	update(3);
	expect("a bdf ce");
	update(2);
	expect("a bcdef");
	assert_int_equal(f->moves, 2);
	update(0);
	expect("");
}

/*** The rate. ***/

static void
receive(struct channel *channel, uint64_t total)
{
	struct ingest_domain *domain = &channel->segment.state->ingest;

	ingest_begin(domain)->counts.received_bytes = total;
	ingest_commit(domain);
	decimator_measure(channel);
}

static void
rate_of_late(void **state ATTR_UNUSED)
{
	struct channel *channel = &f->channel[0];
	uint64_t total = 0;
	unsigned i;

	channel->segment.state = aligned_alloc(CACHE_LINE,
	    ROUND_UP(sizeof(*channel->segment.state), (size_t)CACHE_LINE));
	assert_non_null(channel->segment.state);
	memset(channel->segment.state, 0, sizeof(*channel->segment.state));
	channel->segment.base = (void *)channel->segment.state;
	for (i = 0; i < 20; i++)
		receive(channel, total += RATE_SLOW);
	assert_in_range(channel->decimator_rate, RATE_SLOW * 9 / 10, RATE_SLOW);
	for (i = 0; i < 5; i++)
		receive(channel, total += RATE_FAST);
	assert_in_range(channel->decimator_rate, RATE_FAST / 2, RATE_FAST);
	/* The counters begin again. */
	receive(channel, 0);
	assert_in_range(channel->decimator_rate, RATE_FAST / 2, RATE_FAST);
	for (i = 0; i < 100; i++)
		receive(channel, 0);
	assert_int_equal(channel->decimator_rate, 0);
	free(channel->segment.state);
}

#define SPREAD_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SPREAD_TEST(first_by_streams),
		SPREAD_TEST(later_by_bytes),
		SPREAD_TEST(streams_times_bytes),
		SPREAD_TEST(more_processes),
		SPREAD_TEST(fewer_processes),
		SPREAD_TEST(rate_of_late),
	};

	log_init("test_spread", NULL, LOG_TARGET_STDERR, LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
