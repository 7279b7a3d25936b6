/* SPDX-License-Identifier: ISC */
/*
 * See merge_script.h.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/inputs.h"
#include "common/util.h"
#include "tests/unit/merge_script.h"
#include "worker/ingest_ops.h"

static const struct message_script	*script;
static unsigned				 messages;

static void
write_message(uint8_t *to, const struct message_script *message)
{
	int i;

	for (i = 0; i < message->count; i++, to += DATAGRAM_SIZE) {
		memset(to, message->input, DATAGRAM_SIZE);
		to[0] = (uint8_t)((message->number + i) >> 8);
		to[1] = (uint8_t)(message->number + i);
	}
}

/* As many as come by one input, as socket_receive() and the kernel do it. */
static int
play(struct ingest *ingest, unsigned offered)
{
	const struct ingest_state *state =
	    ingest_current(&ingest->segment->state->ingest);
	struct rx_area *rx = ingest->segment->rx;
	uint64_t taken = state->counts.received + state->counts.merged +
	    state->counts.merge_waiting;
	unsigned at, i, n = 0;

	for (at = 0; at < messages && taken > 0; at++)
		taken -= (unsigned)script[at].count;
	for (i = 0; i < ingest->segment->rx_slots; i++) {
		rx->msg[i].msg_hdr = (struct msghdr){0};
		rx->msg[i].msg_len = RX_SENTINEL;
		rx->name[i] = (struct sockaddr_in6){0};
	}
	rx->stride = ingest->stride;
	rx->offered = offered;
	rx->input = ingest->input;
	atomic_store_explicit(&rx->batch, state->batch + 1,
	    memory_order_release);
	for (; at < messages && n < offered &&
	    script[at].input == (int)ingest->input; at++, n++) {
		write_message(ingest_overflow(ingest, n), &script[at]);
		ingest->arrival[n] = (struct arrival){.record = {.length =
		    script[at].number == SHORT ? 1 :
		    (uint32_t)script[at].count * DATAGRAM_SIZE},
		    .rest = ingest_overflow(ingest, n)};
		if (script[at].count > 1) {
			struct cmsghdr *cmsg = (void *)rx->control[n];
			int size = DATAGRAM_SIZE;

			cmsg->cmsg_level = SOL_UDP;
			cmsg->cmsg_type = UDP_GRO;
			cmsg->cmsg_len = CMSG_LEN(sizeof(size));
			memcpy(CMSG_DATA(cmsg), &size, sizeof(size));
			rx->msg[n].msg_hdr.msg_controllen =
			    CMSG_SPACE(sizeof(size));
			ingest->arrival[n].record.datagram_size =
			    DATAGRAM_SIZE;
		}
		/* What the next one finds of it. */
		atomic_store_explicit((_Atomic uint32_t *)&rx->msg[n].msg_len,
		    ingest->arrival[n].record.length, memory_order_release);
	}
	return (int)n;
}

static bool
look_nowhere(const struct ingest *ingest ATTR_UNUSED,
    unsigned input ATTR_UNUSED, struct ingest_look *look ATTR_UNUSED)
{
	return false;
}

static const struct ingest_ops	played = {
	.receive = play,
	.look = look_nowhere,
};

void
script_make(struct segment *segment, uint32_t type)
{
	static const struct listen_config listen[3];
	struct segment_spec spec = {.ring_size = RING_SIZE, .inputs = 3,
	    .input = listen};
	bool locked;

	spec.config.sender_sequence = (struct sender_sequence_config){
	    type, type == SENDER_SEQUENCE_U8 ? 1 : 0};
	/* It takes no part here, however slow this is. */
	spec.config.merge_window_ns = 3600 * NS_PER_S;
	assert_int_equal(segment_create(segment, &spec, &locked), 0);
}

void
script_start(struct world *world, bool at_once)
{
	static const int none[INPUTS_MAX];

	relay_init(&world->relay, &world->segment, none);
	ingest_init(&world->ingest, &world->segment, NULL, &world->relay,
	    none, NULL, NULL);
	world->ingest.ops = &played;
	if (at_once) {
		world->ingest.merge.restart_ns = 0;
		world->ingest.merge.silent_ns = UINT64_MAX;
	}
}

void
script_go_through(struct world *world)
{
	struct ingest *ingest = &world->ingest;
	unsigned i, idle = 0;

	for (i = 0; idle < 3; i = (i + 1) % 3) {
		ingest_batch(ingest, i);
		idle = ingest->batch_datagrams > 0 ? 0 : idle + 1;
	}
	assert_true(ingest_release(ingest, MERGE_RELEASE_ALL));
}

unsigned
script_result(const struct segment *segment, int *numbers)
{
	struct ring_reader reader = {.position = ring_start(RING_SIZE)};
	struct ring_view view;
	unsigned n = 0;

	while (ring_next(&segment->ring, &reader, &view) == RING_RECORD) {
		assert_true(n < NUMBERS_MAX);
		assert_int_equal(view.datagrams, 1);
		assert_int_equal(view.missed, 0);
		numbers[n++] = view.record.length == 1 ? SHORT :
		    view.payload[0] << 8 | view.payload[1];
		if (view.record.length > 1) {
			assert_int_equal(view.record.length, DATAGRAM_SIZE);
			assert_int_equal(view.payload[DATAGRAM_SIZE - 1],
			    view.record.input);
		}
	}
	assert_int_equal(segment->state->ring.head, reader.position);
	return n;
}

static uint64_t
sent(void)
{
	uint64_t count = 0;
	unsigned i;

	for (i = 0; i < messages; i++)
		count += (unsigned)script[i].count;
	return count;
}

void
script_check(const struct segment *segment)
{
	struct input_state input[INPUTS_MAX];
	uint64_t received = 0, merged = 0;
	struct ledger ledger;
	unsigned i;

	assert_true(segment_ledger(segment, &ledger));
	assert_true(inputs_read(segment, input));
	for (i = 0; i < 3; i++) {
		received += input[i].counts.received;
		merged += input[i].counts.merged;
		assert_true(input[i].counts.sole <= input[i].counts.received);
	}
	assert_int_equal(ledger.merge_waiting, 0);
	assert_int_equal(received, ledger.received);
	assert_int_equal(merged, ledger.merged);
	assert_int_equal(ledger.received + ledger.merged, sent());
}

void
script_set(const struct message_script *messages_of, unsigned count)
{
	script = messages_of;
	messages = count;
}

