/* SPDX-License-Identifier: ISC */
/*
 * Showing datums to a socket that takes them, does not, or is not there: each
 * is shown or counted, once.
 */
#include <sys/socket.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/live.h"
#include "common/util.h"
#include "decimator/live.h"
#include "decimator/sending.h"
#include "decimator/stream.h"

static uint8_t	packet[2 * LIVE_PACKET_MAX];

/* What waits in the socket, of two streams. */
struct seen {
	uint64_t	datums[2];
	uint64_t	lost[2];
	uint64_t	missed[2];
	uint64_t	packets;
};

static void
see(int socket, struct seen *seen)
{
	struct live_record record;
	struct live_packet rest;
	const uint8_t *data;
	ssize_t size;

	while ((size = recv(socket, packet, sizeof(packet), MSG_DONTWAIT)) >
	    0) {
		assert_in_range(size, 1, LIVE_PACKET_MAX);
		assert_true(live_open(&rest, packet, (size_t)size));
		seen->packets++;
		while (live_next(&rest, &record, &data)) {
			assert_in_range(record.key, 0, 1);
			assert_int_equal(data[0], record.size % 256);
			assert_int_equal(record.time_ns, 5);
			seen->datums[record.key]++;
			seen->lost[record.key] += record.lost;
			seen->missed[record.key] += record.missed;
		}
		assert_false(rest.bad);
	}
}

static void
show(struct stream *stream, size_t size)
{
	static uint8_t data[2 * LIVE_PACKET_MAX];

	data[0] = (uint8_t)(size % 256);
	live_datum(stream, data, size);
}

static void
open_pair(enum live_viewer viewer, int pair[2], int size)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size,
	    sizeof(size)), 0);
	live_socket(viewer, pair[0]);
}

static void
each_is_seen_or_counted(void **state ATTR_UNUSED)
{
	struct stream streams[2] = {{.live_key = 0, .received_ns = 5},
	    {.live_key = 1, .received_ns = 5}};
	struct seen seen = {.packets = 0};
	uint64_t shown[2] = {0, 0}, i;
	int pair[2];

	open_pair(LIVE_WEB, pair, 16384);
	for (i = 0; i < 100000; i++) {
		show(&streams[i % 7 == 0], 1 + i % 500);
		shown[i % 7 == 0]++;
		live_missed(&streams[0], 2);
		if (i % 13 == 0)
			live_flush();
		if (i % 5000 == 0)
			see(pair[1], &seen);
	}
	live_flush();
	see(pair[1], &seen);
	assert_true(seen.lost[0] > 0 && seen.lost[1] > 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(seen.datums[i] + seen.lost[i] +
		    streams[i].live_gap[LIVE_WEB].lost, shown[i]);
	assert_int_equal(seen.missed[0] + streams[0].live_gap[LIVE_WEB].missed,
	    2 * (shown[0] + shown[1]));
	/* Nothing is left over. */
	assert_true(seen.packets < 100000);
	live_socket(LIVE_WEB, -1);
	close(pair[1]);
}

static void
sizes(void **state ATTR_UNUSED)
{
	struct stream stream = {.live_key = 1, .received_ns = 5};
	struct seen seen = {.packets = 0};
	int pair[2];

	open_pair(LIVE_WEB, pair, 2 * LIVE_PACKET_MAX);
	show(&stream, 10);
	show(&stream, LIVE_DATUM_MAX);
	see(pair[1], &seen);
	assert_int_equal(seen.datums[1], 1);
	live_flush();
	see(pair[1], &seen);
	assert_int_equal(seen.datums[1], 2);
	show(&stream, LIVE_DATUM_MAX + 1);
	assert_int_equal(stream.live_gap[LIVE_WEB].lost, 1);
	show(&stream, 10);
	live_flush();
	see(pair[1], &seen);
	assert_int_equal(seen.datums[1], 3);
	assert_int_equal(seen.lost[1], 1);
	live_socket(LIVE_WEB, -1);
	close(pair[1]);
}

/* Nobody looks, or nobody does any more. */
static void
without_a_socket(void **state ATTR_UNUSED)
{
	struct stream stream = {.live_key = 1, .received_ns = 5};
	int pair[2];

	show(&stream, 10);
	live_flush();
	assert_int_equal(stream.live_gap[LIVE_WEB].lost, 0);
	open_pair(LIVE_WEB, pair, 16384);
	close(pair[1]);
	show(&stream, 10);
	live_flush();
	assert_int_equal(stream.live_gap[LIVE_WEB].lost, 1);
	live_socket(LIVE_WEB, -1);
	show(&stream, 10);
	assert_int_equal(stream.live_gap[LIVE_WEB].lost, 0);
}

/* What is another host's is shown here, and not passed on. */
static void
not_our_turn(void **state ATTR_UNUSED)
{
	static struct worker_state worker;
	struct sending sending = {.state = &worker};
	struct stream stream = {.live_key = 1, .received_ns = 5,
	    .sending = &sending};
	struct seen here = {.packets = 0}, passed = {.packets = 0};
	int web[2], forwarder[2];

	open_pair(LIVE_WEB, web, 16384);
	open_pair(LIVE_FORWARDER, forwarder, 16384);
	atomic_store(&worker.turn.speak_until_ns, 1);
	show(&stream, 10);
	atomic_store(&worker.turn.speak_until_ns, 0);
	show(&stream, 10);
	live_flush();
	see(web[1], &here);
	see(forwarder[1], &passed);
	assert_int_equal(here.datums[1], 2);
	assert_int_equal(passed.datums[1], 1);
	assert_int_equal(passed.lost[1] + passed.missed[1], 0);
	live_socket(LIVE_WEB, -1);
	live_socket(LIVE_FORWARDER, -1);
	close(web[1]);
	close(forwarder[1]);
}

/* One that does not read takes nothing from the other. */
static void
each_by_itself(void **state ATTR_UNUSED)
{
	static struct worker_state worker;
	struct sending sending = {.state = &worker};
	struct stream stream = {.live_key = 1, .received_ns = 5,
	    .sending = &sending};
	struct seen seen = {.packets = 0}, late = {.packets = 0};
	int web[2], forwarder[2], i;

	open_pair(LIVE_WEB, web, 16384);
	open_pair(LIVE_FORWARDER, forwarder, 16384);
	for (i = 0; i < 1000; i++) {
		live_missed(&stream, 3);
		show(&stream, 100);
		live_flush();
		see(web[1], &seen);
	}
	assert_int_equal(seen.datums[1], 1000);
	assert_int_equal(seen.missed[1], 3000);
	assert_int_equal(stream.live_gap[LIVE_WEB].lost, 0);
	see(forwarder[1], &late);
	assert_true(late.datums[1] > 0);
	assert_int_equal(late.datums[1] +
	    stream.live_gap[LIVE_FORWARDER].lost, 1000);
	assert_int_equal(late.missed[1] +
	    stream.live_gap[LIVE_FORWARDER].missed, 3000);
	live_socket(LIVE_WEB, -1);
	live_socket(LIVE_FORWARDER, -1);
	close(web[1]);
	close(forwarder[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_seen_or_counted),
		cmocka_unit_test(sizes),
		cmocka_unit_test(without_a_socket),
		cmocka_unit_test(not_our_turn),
		cmocka_unit_test(each_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
