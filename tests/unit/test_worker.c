/* SPDX-License-Identifier: ISC */
/*
 * The worker's parts and the whole of it, on loopback: sizes, coalesced
 * runs, sources, outputs that block, archives that fail.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/expected.h"
#include "tests/unit/rig.h"
#include "worker/ingest.h"
#include "worker/relay.h"

static void
visit(void *argument, uint64_t sequence, const char *source ATTR_UNUSED,
    const uint8_t *payload, size_t size)
{
	struct expected *expected = argument;

	assert_int_equal(sequence, expected->next);
	expected_check(expected, payload, size);
}

/* Sends `count' datagrams, a few at a time, and follows them to the sink and
 * into the archive. */
static void
run_sizes(const uint32_t *sizes, unsigned sizes_count, uint64_t count)
{
	struct expected relay = {sizes, sizes_count, 0}, archive = relay;
	/* Must not be lapped, however busy the machine is. */
	struct segment_spec spec = {.config.archive = {
	    .block_size = 256 << 10, .on_overrun = OVERRUN_BLOCK}};
	struct rig rig;
	uint64_t i;

	rig_open(&rig, &spec);
	rig_start(&rig);
	for (i = 0; i < count; i++) {
		expected_send(&rig, &relay, i);
		if (i % 16 == 15)
			expected_receive(&rig, &relay, i + 1);
	}
	expected_receive(&rig, &relay, count);
	rig_wait_settled(&rig);
	assert_int_equal(rig_stop(&rig, 0), 0);
	rig_check_ledger(&rig, count);
	rig_read_archive(&rig, "", visit, &archive);
	assert_int_equal(archive.next, count);
	rig_close(&rig);
}

static void
test_equal_sizes(void **state ATTR_UNUSED)
{
	static const uint32_t sizes[] = { 200 };

	run_sizes(sizes, NITEMS(sizes), 3000);
}

static void
test_mixed_sizes(void **state ATTR_UNUSED)
{
	static const uint32_t sizes[] = { 100, 100, 100, 99, 100, 0, 100, 101,
	    101, 0, 0, 1, 1, 2, 1472, 1472, 1472, 8, 65507, 65507, 9000, 9000,
	    511, 512, 513, 512, 512, 512, 512, 512, 512, 3 };

	run_sizes(sizes, NITEMS(sizes), 640);
}

/* A run that comes coalesced, its last datagram shorter. */
static void
send_run(struct rig *rig, uint32_t size, unsigned count, uint32_t last,
    struct expected *expected, uint64_t number)
{
	static uint8_t payload[65536];
	char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
	struct iovec iov = {payload, size * (count - 1) + last};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	uint16_t segment = (uint16_t)size;
	unsigned i;

	for (i = 0; i < count; i++)
		expected_fill(payload + i * size,
		    expected_size(expected, number + i), number + i);
	cmsg->cmsg_level = SOL_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(cmsg), &segment, sizeof(segment));
	assert_int_equal(sendmsg(rig->source, &msg, 0), iov.iov_len);
}

static void
test_coalesced(void **state ATTR_UNUSED)
{
	/* 30 of 1400 and a short one; then 20 and one; sums below 64 KiB. */
	uint32_t sizes[52];
	struct expected relay = {sizes, NITEMS(sizes), 0}, archive;
	struct segment_spec spec = {.config.archive = {
	    .block_size = 64 << 10, .on_overrun = OVERRUN_BLOCK}};
	struct rig rig;
	unsigned i;

	for (i = 0; i < NITEMS(sizes); i++)
		sizes[i] = 1400;
	sizes[30] = 17;
	sizes[51] = 1399;
	archive = relay;
	rig_open(&rig, &spec);
	rig_start(&rig);
	for (i = 0; i < 100; i++) {
		send_run(&rig, 1400, 31, 17, &relay, i * 52);
		send_run(&rig, 1400, 21, 1399, &relay, i * 52 + 31);
		expected_receive(&rig, &relay, (i + 1) * 52);
	}
	rig_wait_settled(&rig);
	assert_int_equal(rig_stop(&rig, 0), 0);
	rig_check_ledger(&rig, 5200);
	rig_read_archive(&rig, "", visit, &archive);
	assert_int_equal(archive.next, 5200);
	rig_close(&rig);
}

static void
test_refused_source(void **state ATTR_UNUSED)
{
	/* 10.0.0.0/8, and all of loopback but 127.0.0.0/31. */
	const struct listen_config listen = {.sources = 2, .source = {
	    {.bits = 104, .address = {[10] = 0xff, 0xff, 10}},
	    {.bits = 127, .address = {[10] = 0xff, 0xff, 127, 0, 0, 2}}}};
	struct segment_spec spec = {.input = &listen, .inputs = 1};
	struct expected expected = {(const uint32_t[]){ 50 }, 1, 0};
	struct ledger ledger;
	struct rig rig;

	rig_open(&rig, &spec);
	rig_start(&rig);
	expected_send(&rig, &expected, 0);
	expected_send(&rig, &expected, 1);
	do
		assert_true(segment_ledger(&rig.segment, &ledger));
	while (ledger.refused_source < 2);
	assert_int_equal(rig_stop(&rig, 0), 0);
	assert_int_equal(ledger.received, 0);
	rig_check_ledger(&rig, 2);
	rig_close(&rig);
}

/*
 * An output that does not take anything for a while: the input goes on, what
 * the ring could not hold is counted, the rest is sent in order.
 */
static void
test_blocked_output(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN};
	struct expected expected = {(const uint32_t[]){ 1000 }, 1, 0};
	struct channel_counts counts;
	struct ingest ingest;
	struct ledger ledger;
	struct relay relay;
	uint8_t payload[2000], want[1000];
	uint64_t next = 0, got = 0, first = 0;
	struct rig rig;
	int pair[2];
	ssize_t size;

	rig_open(&rig, &spec);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0,
	    pair), 0);
	relay_init(&relay, &rig.segment, &pair[0]);
	relay.output[0].gso_limit = 0;	/* a Unix socket has no segments */
	relay.output[0].gso_retry_ns = UINT64_MAX;
	ingest_init(&ingest, &rig.segment, NULL, &relay, &rig.input, NULL,
	    NULL);
	for (; next < 1000; next++) {
		expected_send(&rig, &expected, next);
		while (ingest_batch(&ingest, 0) == INGEST_MORE)
			continue;
		relay_run(&relay);
	}
	assert_true(relay.output[0].blocked);
	while (got < 1000) {
		size = recv(pair[1], payload, sizeof(payload), 0);
		if (size == -1) {
			assert_int_equal(errno, EAGAIN);
			relay.output[0].blocked = false;
			relay_run(&relay);
			assert_true(segment_counts(&rig.segment, &counts));
			ledger = counts.ledger;
			if (ledger.relayed + ledger.relay_errors == 1000 &&
			    !relay.output[0].blocked && ledger.relayed == got)
				break;
			continue;
		}
		/* The first ones, then a gap, then the last ones. */
		while (first < 1000 && (expected_fill(want, 1000, first),
		    memcmp(want, payload, 1000) != 0))
			first++;
		assert_true(first < 1000);
		first++;
		got++;
	}
	assert_int_equal(first, 1000);
	assert_int_equal(counts.output[0].relayed, got);
	assert_int_equal(counts.output[0].relay_errors, 1000 - got);
	/* A ring of 256 KiB holds 250 of them, the socket a few. */
	assert_in_range(got, 240, 600);
	close(pair[0]);
	close(pair[1]);
	rig_close(&rig);
}

/* No file can grow beyond `limit' bytes. */
static void
limit_files(struct rig *rig, rlim_t limit)
{
	struct rlimit rlimit = {limit, RLIM_INFINITY};

	assert_int_equal(prlimit(rig->pid, RLIMIT_FSIZE, &rlimit, NULL), 0);
}

static void
visit_order(void *argument, uint64_t sequence, const char *source ATTR_UNUSED,
    const uint8_t *payload, size_t size)
{
	struct expected *expected = argument;

	assert_true(sequence >= expected->next);
	expected->next = sequence;
	expected_check(expected, payload, size);
}

/* The archive cannot write: the relay does not notice, what the ring could
 * not hold is counted, recording goes on by itself. */
static void
test_failing_archive(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN};
	struct expected relay = {(const uint32_t[]){ 1000 }, 1, 0};
	struct expected archive = relay;
	struct ledger ledger;
	struct rig rig;
	uint64_t i;

	rig_open(&rig, &spec);
	rig_start(&rig);
	limit_files(&rig, 60000);
	for (i = 0; i < 2000; i++) {
		expected_send(&rig, &relay, i);
		expected_receive(&rig, &relay, i + 1);
	}
	assert_true(segment_ledger(&rig.segment, &ledger));
	assert_true(ledger.archived > 0);
	limit_files(&rig, RLIM_INFINITY);
	rig_wait_settled(&rig);
	expected_send(&rig, &relay, i++);
	expected_receive(&rig, &relay, i);
	rig_wait_settled(&rig);
	assert_int_equal(rig_stop(&rig, 0), 0);
	rig_check_ledger(&rig, i);
	assert_true(segment_ledger(&rig.segment, &ledger));
	assert_true(ledger.archive_errors > 0);
	assert_true(ledger.archive_shed > 0);
	assert_int_equal(ledger.relayed, i);
	/* Whole files, the last datagram in them, none out of order. */
	assert_true(rig_read_archive(&rig, "", visit_order, &archive) >= 1);
	assert_int_equal(archive.next, i);
	assert_int_equal(rig_count_files(&rig, ".part"), 0);
	rig_close(&rig);
}

/* on_overrun: block: the socket buffer holds what the ring cannot. */
static void
test_gate(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN,
	    .config.archive.on_overrun = OVERRUN_BLOCK};
	struct expected relay = {(const uint32_t[]){ 1000 }, 1, 0};
	struct expected archive = relay;
	struct ledger ledger;
	struct rig rig;
	uint64_t i;

	rig_open(&rig, &spec);
	rig_start(&rig);
	limit_files(&rig, 100);
	for (i = 0; i < 1000; i++)
		expected_send(&rig, &relay, i);
	/* 256 KiB less a slot of each size hold a good hundred. */
	rig_wait_received(&rig, 100);
	assert_true(segment_ledger(&rig.segment, &ledger));
	assert_true(ledger.received < 260);
	limit_files(&rig, RLIM_INFINITY);
	expected_receive(&rig, &relay, 1000);
	rig_wait_settled(&rig);
	assert_int_equal(rig_stop(&rig, 0), 0);
	rig_check_ledger(&rig, 1000);
	assert_true(segment_ledger(&rig.segment, &ledger));
	assert_int_equal(ledger.archive_shed, 0);
	rig_read_archive(&rig, "", visit, &archive);
	assert_int_equal(archive.next, 1000);
	rig_close(&rig);
}

/* HUP finishes the file, with all that was received before it, however soon
 * it follows; what comes next is in another. */
static void
test_rotate(void **state ATTR_UNUSED)
{
	struct expected relay = {(const uint32_t[]){ 100 }, 1, 0};
	struct expected archive = relay;
	struct segment_spec spec = {0};
	struct rig rig;
	unsigned i;

	rig_open(&rig, &spec);
	rig_start(&rig);
	for (i = 0; i < 20; i++) {
		expected_send(&rig, &relay, i);
		expected_receive(&rig, &relay, i + 1);
		kill(rig.pid, SIGHUP);
		rig_wait_files(&rig, i + 1);
	}
	assert_int_equal(rig_stop(&rig, 0), 0);
	rig_check_ledger(&rig, 20);
	assert_int_equal(rig_read_archive(&rig, "", visit, &archive), 20);
	assert_int_equal(archive.next, 20);
	rig_close(&rig);
}

/* The end of the supervisor is the end of the worker, in good order. */
static void
test_supervisor_gone(void **state ATTR_UNUSED)
{
	struct expected relay = {(const uint32_t[]){ 100 }, 1, 0};
	struct expected archive = relay;
	struct segment_spec spec = {.config.archive = {
	    .flush_interval_ns = 3600 * NS_PER_S}};
	struct rig rig;

	rig_open(&rig, &spec);
	rig_start(&rig);
	expected_send(&rig, &relay, 0);
	expected_receive(&rig, &relay, 1);
	assert_int_equal(shutdown(rig.control, SHUT_RDWR), 0);
	assert_int_equal(rig_stop(&rig, SIGUSR1), 0);
	rig_check_ledger(&rig, 1);
	assert_int_equal(rig_read_archive(&rig, "", visit, &archive), 1);
	assert_int_equal(archive.next, 1);
	rig_close(&rig);
}

/* The archive's next record must be this one. */
static void
visit_next(void *argument, uint64_t sequence, const char *source ATTR_UNUSED,
    const uint8_t *payload, size_t size)
{
	uint64_t *next = argument, number;

	assert_int_equal(size, 1000);
	memcpy(&number, payload, sizeof(number));
	assert_int_equal(number, *next);
	assert_int_equal(sequence, *next);
	(*next)++;
}

/* A file for each block; MCRELAY_TEST_LONG=1: ten thousand and more. */
static void
test_rotations(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.config.archive = {.block_size = 4096,
	    .rotate_size = 1, .flush_interval_ns = NS_PER_S,
	    .on_overrun = OVERRUN_BLOCK}};
	uint64_t count = getenv("MCRELAY_TEST_LONG") != NULL ? 50000 : 1500;
	uint8_t payload[1000] = {0};
	uint64_t i, next = 0;
	unsigned files;
	struct rig rig;

	rig_open(&rig, &spec);
	rig_start(&rig);
	for (i = 0; i < count; i++) {
		memcpy(payload, &i, sizeof(i));
		rig_send(&rig, payload, sizeof(payload));
		/* Neither socket buffer overflows. */
		if (i % 500 == 499)
			rig_wait_settled(&rig);
	}
	rig_wait_received(&rig, count);
	rig_wait_settled(&rig);
	assert_int_equal(rig_stop(&rig, 0), 0);
	files = rig_read_archive(&rig, "", visit_next, &next);
	print_message("%u files, %llu datagrams, each there once\n", files,
	    (unsigned long long)next);
	assert_int_equal(next, count);
	assert_true(files >= count / 6);
	rig_check_catalog(&rig);
	rig_close(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rotations),
		cmocka_unit_test(test_equal_sizes),
		cmocka_unit_test(test_mixed_sizes),
		cmocka_unit_test(test_coalesced),
		cmocka_unit_test(test_refused_source),
		cmocka_unit_test(test_blocked_output),
		cmocka_unit_test(test_failing_archive),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_rotate),
		cmocka_unit_test(test_supervisor_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
