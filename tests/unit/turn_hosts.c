/* SPDX-License-Identifier: ISC */
/*
 * Two hosts, each with a ring of its own.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/turn_hosts.h"

struct host	 a, b;
int		 sender[2];
uint64_t	 orders;

void
may_send(struct host *host, bool may)
{
	atomic_store(&host->rig.segment.state->turn.speak_until_ns,
	    may ? UINT64_MAX : 1);
}

static void
open_host(struct host *host, struct segment_spec spec)
{
	memset(host, 0, sizeof(*host));
	rig_open(&host->rig, &spec);
	host->inputs[0] = host->rig.input;
	host->inputs[1] = host->rig.second;
	relay_init(&host->relay, &host->rig.segment, &host->rig.output);
	ingest_init(&host->ingest, &host->rig.segment, NULL, &host->relay,
	    host->inputs, NULL, NULL);
}

int
set_up_with(const struct segment_spec *spec)
{
	unsigned i;

	open_host(&a, *spec);
	open_host(&b, *spec);
	for (i = 0; i < 2; i++)
		assert_true((sender[i] = socket(AF_INET, SOCK_DGRAM, 0)) != -1);
	may_send(&a, true);
	may_send(&b, false);
	return 0;
}

int
set_up(void **state ATTR_UNUSED)
{
	return set_up_with(&(struct segment_spec){.ring_size = 1 << 20});
}

int
tear_down(void **state ATTR_UNUSED)
{
	rig_close(&a.rig);
	rig_close(&b.rig);
	close(sender[0]);
	close(sender[1]);
	return 0;
}

void
turn(struct host *host)
{
	while (ingest_batch(&host->ingest, 0) == INGEST_MORE)
		continue;
	relay_run(&host->relay);
	if (host->relay.turn.awaits_ns == 0)
		return;
	turn_heard(&host->relay);
	relay_run(&host->relay);
}

void
send_to(struct host *host, unsigned source, uint64_t number)
{
	uint64_t data[TURN_SIZE / sizeof(uint64_t)] = {number, source};

	assert_int_equal(sendto(sender[source], data, sizeof(data), 0,
	    (void *)&host->rig.input_address,
	    sizeof(host->rig.input_address)), sizeof(data));
	turn(host);
}

void
send_both(uint64_t first, uint64_t end)
{
	for (; first < end; first++) {
		send_to(&a, 0, first);
		send_to(&b, 0, first);
	}
}

bool
does(struct host *host, enum turn_order kind)
{
	struct turn *its = &host->rig.segment.state->turn;
	uint64_t order = kind == TURN_NONE ? 0 : TURN_ORDER(kind, ++orders);

	atomic_store(&its->order_until_ns, UINT64_MAX);
	atomic_store(&its->order, order);
	turn(host);
	return atomic_load(&its->done) == order;
}

void
hand_mark(void)
{
	assert_true(does(&a, TURN_STOP));
	may_send(&a, false);
	b.rig.segment.state->turn.mark = a.rig.segment.state->turn.mark;
}

void
hand_over(void)
{
	hand_mark();
	may_send(&b, true);
	turn(&b);
	assert_true(does(&b, TURN_FOLLOW));
	does(&b, TURN_NONE);
	does(&a, TURN_NONE);
}

int64_t
next(const struct host *host, unsigned *source)
{
	uint64_t data[TURN_SIZE / sizeof(uint64_t)] = {0};

	if (recv(host->rig.sink, data, sizeof(data), MSG_DONTWAIT) !=
	    sizeof(data))
		return -1;
	*source = (unsigned)data[1];
	return (int64_t)data[0];
}

void
expect(const struct host *host, uint64_t first, uint64_t end)
{
	unsigned source;

	for (; first < end; first++)
		assert_int_equal(next(host, &source), first);
	assert_int_equal(next(host, &source), -1);
}

const struct output_counts *
counts(const struct host *host)
{
	return &output_current(&host->rig.segment.state->output[0])->counts;
}

void
expect_counts(const struct host *host, uint64_t relayed, uint64_t standby)
{
	assert_int_equal(counts(host)->relayed, relayed);
	assert_int_equal(counts(host)->relay_standby, standby);
	assert_int_equal(counts(host)->relay_errors, 0);
}

void
send_two_sources(void)
{
	unsigned i;

	assert_true(does(&b, TURN_KEEP));
	for (i = 0; i < 20; i++) {
		send_to(&a, 0, i);
		send_to(&a, 1, i);
	}
	for (i = 0; i < 25; i++)
		send_to(&b, 1, i);
	for (i = 0; i < 25; i++)
		send_to(&b, 0, i);
}

/* Of source 1 from `first' on. */
void
expect_two_sources(uint64_t first)
{
	uint64_t expected[2] = {20, first};
	unsigned source;
	int64_t number;

	while ((number = next(&b, &source)) != -1)
		assert_int_equal(number, expected[source]++);
	assert_int_equal(expected[0], 25);
	assert_int_equal(expected[1], 25);
}
