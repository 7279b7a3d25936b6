/* SPDX-License-Identifier: ISC */
/*
 * Channels that receive by one io_uring: they come and go, one runs out of
 * buffers, the ring fails; each has all of its datagrams.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/rig.h"
#include "tests/unit/uring_here.h"
#include "worker/ingest.h"
#include "worker/ingest_hub.h"
#include "worker/relay.h"

#define CHANNELS	3
/* And the datagrams that are sent before they are asked for. */
#define BUFFERS		4
#define MANY		50

struct channel {
	struct rig	rig;
	struct relay	relay;
	struct ingest	ingest;
	uint64_t	sent;
};

static struct channel	channels[CHANNELS];
/* Those of all tests: a worker never gives its own back. */
static struct ingest_hub *hubs[2], *hub;
static unsigned made;

static void
join(struct channel *channel)
{
	char why[URING_WHY_SIZE];
	struct ingest_ring *ring = ingest_hub_join(hub,
	    &channel->rig.segment, &channel->rig.input, channel, why);

	if (!uring_here_receives())
		skip();
	if (ring == NULL)
		fail_msg("no ring: %s", why);
	ingest_use_ring(&channel->ingest, ring);
}

static int
setup(void **state ATTR_UNUSED)
{
	struct channel *channel;
	unsigned i;

	assert_true(made < NITEMS(hubs));
	hub = hubs[made++] = ingest_hub_new();
	ingest_hub_enable(hub);
	for (i = 0; i < CHANNELS; i++) {
		struct segment_spec spec = {.config.uring = {.enabled = 1,
		    .queue_depth = BUFFERS, .sq_thread_cpu = -1,
		    .fallback_on_error = i > 0},
		    .inputs = 1};

		channel = &channels[i];
		channel->sent = 0;
		rig_open(&channel->rig, &spec);
		relay_init(&channel->relay, &channel->rig.segment,
		    &channel->rig.output);
		ingest_init(&channel->ingest, &channel->rig.segment, NULL,
		    &channel->relay, &channel->rig.input, NULL, NULL);
	}
	return 0;
}

static int
teardown(void **state ATTR_UNUSED)
{
	unsigned i;

	for (i = 0; i < CHANNELS; i++)
		rig_close(&channels[i].rig);
	return 0;
}

static void
send_some(struct channel *channel, unsigned count)
{
	for (; count > 0; count--, channel->sent++)
		rig_send(&channel->rig, &channel->sent,
		    sizeof(channel->sent));
}

static uint64_t
received(const struct channel *channel)
{
	return ingest_current(&channel->rig.segment.state->ingest)->
	    counts.received;
}

/* As the loop does it. */
static void
take(void)
{
	struct channel *channel;

	(void)ingest_hub_take(hub, 1, 0);
	while ((channel = ingest_hub_next(hub)) != NULL) {
		(void)ingest_batch(&channel->ingest, 0);
		if (ingest_holds(&channel->ingest, 0))
			ingest_ring_again(channel->ingest.ring);
	}
}

static void
test_come_and_go(void **state ATTR_UNUSED)
{
	unsigned i, round;

	for (i = 0; i < CHANNELS; i++)
		join(&channels[i]);
	take();
	/* One call for all. */
	for (i = 0; i < CHANNELS; i++)
		send_some(&channels[i], 1);
	take();
	for (i = 0; i < CHANNELS; i++)
		assert_int_equal(received(&channels[i]), 1);
	/* Far more than there are buffers for. */
	send_some(&channels[0], MANY);
	send_some(&channels[1], 1);
	for (round = 0; round < MANY; round++)
		take();
	assert_int_equal(received(&channels[0]), channels[0].sent);
	assert_int_equal(received(&channels[1]), channels[1].sent);
	/* What has come is taken; what comes then is the sockets'. */
	send_some(&channels[1], 2);
	ingest_ring_leave(channels[1].ingest.ring);
	assert_true(ingest_has_left(&channels[1].ingest));
	send_some(&channels[1], 2);
	send_some(&channels[2], 1);
	for (round = 0; round < 4; round++)
		(void)ingest_batch(&channels[1].ingest, 0);
	assert_false(ingest_by_ring(&channels[1].ingest));
	assert_int_equal(received(&channels[1]), channels[1].sent);
	ingest_ring_free(channels[1].ingest.ring);
	/* It comes back, and the others have stayed. */
	join(&channels[1]);
	send_some(&channels[1], 1);
	for (round = 0; round < 2; round++)
		take();
	for (i = 0; i < CHANNELS; i++)
		assert_int_equal(received(&channels[i]), channels[i].sent);
	for (i = 0; i < CHANNELS; i++) {
		ingest_ring_leave(channels[i].ingest.ring);
		ingest_ring_free(channels[i].ingest.ring);
	}
}

/* It is noticed by its errors; the first one must not go on by sockets. */
static void
test_fails(void **state ATTR_UNUSED)
{
	unsigned i, round;

	for (i = 0; i < CHANNELS; i++)
		join(&channels[i]);
	take();
	for (i = 0; i < CHANNELS; i++)
		send_some(&channels[i], 3);
	close(ingest_hub_fd(hub));
	for (round = 0; round < 40; round++)
		take();
	assert_true(channels[0].ingest.failed);
	assert_int_equal(received(&channels[0]), 0);
	for (i = 1; i < CHANNELS; i++) {
		assert_false(channels[i].ingest.failed);
		assert_false(ingest_by_ring(&channels[i].ingest));
		(void)ingest_batch(&channels[i].ingest, 0);
		assert_int_equal(received(&channels[i]), 3);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_come_and_go, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
