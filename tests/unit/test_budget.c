/* SPDX-License-Identifier: ISC */
/*
 * The outage budget: what a datagram takes of a receive buffer, and for how
 * long the buffer lasts at the rate that was seen.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/supervisor.h"

static int
setup(void **state)
{
	struct channel *channel = xcalloc(1, sizeof(*channel));
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN};
	bool locked;

	snprintf(channel->name, sizeof(channel->name), "test");
	assert_int_equal(segment_create(&channel->segment, &spec, &locked),
	    0);
	parts_init(&channel->parts);
	parts_expect_inputs(&channel->parts,
	    &(struct listen_config){.sources = 0}, 1);
	channel->parts.input[0].fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_not_equal(channel->parts.input[0].fd, -1);
	*state = channel;
	return 0;
}

static int
teardown(void **state)
{
	struct channel *channel = *state;

	parts_close(&channel->parts, PART_INPUT);
	segment_close(&channel->segment);
	free(channel);
	return 0;
}

/* Measured on loopback. */
static void
truesize_is_right(void **state ATTR_UNUSED)
{
	static const uint64_t sizes[][2] = {{0, 832}, {150, 832}, {200, 1280},
	    {600, 1280}, {700, 2304}, {1472, 2304}, {2000, 4352},
	    {4000, 8448}, {9000, 16640}, {20000, 20832}, {60000, 60832}};
	size_t i;

	for (i = 0; i < NITEMS(sizes); i++)
		assert_int_equal(budget_truesize(sizes[i][0]), sizes[i][1]);
}

/* So many datagrams more, the last one at that second. */
static uint64_t
rate_after(struct channel *channel, uint64_t count, uint64_t second)
{
	struct ingest_domain *domain = &channel->segment.state->ingest;
	struct ingest_state *ingest = ingest_begin(domain);

	ingest->counts.received += count;
	ingest->counts.received_bytes += count * 100;
	ingest->last_received_ns = second * NS_PER_S;
	ingest_commit(domain);
	budget_check(channel);
	return channel->budget.peak_rate;
}

static void
budget_follows_rate(void **state)
{
	struct channel *channel = *state;
	int buffer;
	socklen_t size = sizeof(buffer);

	assert_int_equal(getsockopt(channel->parts.input[0].fd, SOL_SOCKET,
	    SO_RCVBUF, &buffer, &size), 0);
	assert_int_equal(budget_ms(channel), buffer / 2304);
	assert_int_equal(rate_after(channel, 5, 100), 0);
	assert_int_equal(rate_after(channel, 2000, 101), 2000);
	assert_int_equal(budget_ms(channel), buffer / 832 / 2);
	/* Not over a second yet. */
	assert_int_equal(rate_after(channel, 100000, 101), 2000);
	/* What had waited for five seconds is no flood. */
	assert_int_equal(rate_after(channel, 10000, 112), 10000);
	assert_int_equal(rate_after(channel, 100, 113), 10000);
	/* The clock steps. */
	assert_int_equal(rate_after(channel, 100, 50), 10000);
	assert_int_equal(rate_after(channel, 20000, 51), 20000);
	assert_true(channel->budget.warned);
}

/* Frames are of one size. */
static void
budget_is_of_frames(void **state)
{
	struct channel *channel = *state;

	channel->xdp.socket.frames = 4096;
	assert_int_not_equal(budget_ms(channel), 4096);
	channel->xdp.told = true;
	assert_int_equal(budget_ms(channel), 4096);
	assert_int_equal(rate_after(channel, 5, 100), 0);
	assert_int_equal(rate_after(channel, 2000, 101), 2000);
	assert_int_equal(budget_ms(channel), 2048);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truesize_is_right),
		cmocka_unit_test_setup_teardown(budget_follows_rate, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(budget_is_of_frames, setup,
		    teardown),
	};

	log_init("test_budget", NULL, LOG_TARGET_STDERR, LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
