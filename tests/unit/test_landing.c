/* SPDX-License-Identifier: ISC */
/*
 * Where messages land, and where they lie in the ring then: those of one size,
 * larger ones than expected, those that are not kept.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/expected.h"
#include "tests/unit/rig.h"
#include "worker/ingest.h"
#include "worker/relay.h"

/* Several in a row that are not kept: their places in the ring are padded,
 * those before one that is copied as well. */
static void
test_refused(void **state ATTR_UNUSED)
{
	static const struct sockaddr_in other = {.sin_family = AF_INET,
	    .sin_addr.s_addr = 0x0200007f};	/* 127.0.0.2 */
	static const uint32_t strides[] = { 0, 56, 128, RX_STRIDE_MAX };
	static const struct listen_config listen = {.sources = 1, .source = {
	    {.bits = 128, .address = {[10] = 0xff, 0xff, 127, 0, 0, 1}}}};
	struct segment_spec spec = {.ring_size = 1 << 20, .input = &listen,
	    .inputs = 1};
	struct expected expected = {(const uint32_t[]){ 77 }, 1, 0};
	struct ring_reader reader = {.position = ring_start(1 << 20)};
	struct ring_view view;
	struct ingest ingest;
	struct relay relay;
	struct rig rig;
	unsigned i, round;
	int refused;

	rig_open(&rig, &spec);
	refused = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(refused, (const void *)&other, sizeof(other)),
	    0);
	assert_int_equal(connect(refused, (const void *)&rig.input_address,
	    sizeof(rig.input_address)), 0);
	relay_init(&relay, &rig.segment, &rig.output);
	ingest_init(&ingest, &rig.segment, NULL, &relay, &rig.input, NULL,
	    NULL);
	for (round = 0; round < 100; round++) {
		for (i = 0; i < 8; i++) {
			if (i == round % 8 || i == 7)
				expected_send(&rig, &expected, expected.next++);
			else
				assert_int_equal(send(refused, "no", 2, 0), 2);
		}
		ingest.stride = strides[round % NITEMS(strides)];
		ingest_batch(&ingest, 0);
		relay_run(&relay);
		while (ring_next(&rig.segment.ring, &reader, &view) ==
		    RING_RECORD)
			assert_int_equal(view.record.length, 77);
	}
	assert_int_equal(reader.sequence, expected.next);
	expected.count = 1;
	i = (unsigned)expected.next;
	expected.next = 0;
	expected_receive(&rig, &expected, i);
	close(refused);
	rig_close(&rig);
}

/* One batch of what is given, from the socket to the sink; the ring must hold
 * it in order.  Returns how many lie where the kernel put them. */
static unsigned
run_batch(struct rig *rig, struct ingest *ingest, struct ring_reader *reader,
    struct expected *expected, unsigned count)
{
	struct expected relayed = *expected;
	struct ring_view view;
	unsigned i, in_place = 0;

	for (i = 0; i < count; i++)
		expected_send(rig, expected, expected->next + i);
	ingest_batch(ingest, 0);
	for (i = 0; i < count; i++) {
		assert_int_equal(ring_next(&rig->segment.ring, reader, &view),
		    RING_RECORD);
		in_place += rig->segment.rx->stride != 0 && view.payload ==
		    rig->segment.rx->iov[i][0].iov_base;
		expected_check(expected, view.payload, view.record.length);
	}
	assert_int_equal(ring_next(&rig->segment.ring, reader, &view),
	    RING_EMPTY);
	relay_run(ingest->relay);
	expected_receive(rig, &relayed, expected->next);
	return in_place;
}

/*
 * Messages of one size are not copied, nor are those before the first larger
 * one; and they do not leave over more of the ring than they fill.
 */
static void
test_expected_sizes(void **state ATTR_UNUSED)
{
	static const struct {
		uint32_t sizes[8];	/* of one batch; the same again */
		unsigned in_place[2];	/* the first time; then */
		uint64_t bytes;		/* in the ring, then */
	} cases[] = {
		{{ 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400 },
		    { 0, 8 }, 8 * 1448 },
		{{ 8448, 8448, 8448, 8448, 8192, 8192, 8192, 8448 },
		    { 0, 8 }, 8 * 8496 },
		{{ 8448, 8192, 8192, 8448, 8449, 8448, 8192, 8192 },
		    { 4, 8 }, 8 * 8504 },
		{{ 65507, 65507, 65507, 65507, 65507, 65507, 65507, 65507 },
		    { 0, 8 }, 8 * RX_STRIDE_MAX },
		/* All are smaller; the next ones are no longer taken to be
		 * large. */
		{{ 100, 100, 100, 0, 100, 100, 100, 100 },
		    { 8, 8 }, 8 * 152 },
		{{ 0, 0, 0, 0, 0, 0, 0, 0 }, { 8, 8 }, 8 * 48 },
		/* Most would leave over too much. */
		{{ 0, 0, 1, 0, 0, 0, 9000, 0 }, { 2, 0 }, 7 * 48 + 9056 },
	};
	struct segment_spec spec = {.ring_size = 4 << 20};
	struct ring_reader reader = {.position = ring_start(4 << 20)};
	struct expected expected = {.count = 8};
	struct ingest ingest;
	struct relay relay;
	struct rig rig;
	uint64_t before;
	unsigned i;

	rig_open(&rig, &spec);
	relay_init(&relay, &rig.segment, &rig.output);
	ingest_init(&ingest, &rig.segment, NULL, &relay, &rig.input, NULL,
	    NULL);
	for (i = 0; i < NITEMS(cases); i++) {
		expected.sizes = cases[i].sizes;
		assert_int_equal(run_batch(&rig, &ingest, &reader, &expected,
		    8), cases[i].in_place[0]);
		before = ring_head(&rig.segment.ring);
		assert_int_equal(run_batch(&rig, &ingest, &reader, &expected,
		    8), cases[i].in_place[1]);
		assert_true(ring_head(&rig.segment.ring) - before <=
		    cases[i].bytes + 8);
	}
	rig_close(&rig);
}

/* Whatever comes after whatever, with the smallest ring and a larger one. */
static void
test_changing_sizes(void **state ATTR_UNUSED)
{
	static const uint32_t often[] = { 0, 1, 64, 1400, 1401, 8192, 8448,
	    9000, 32720, 40000, 65507 };
	static const uint64_t ring_size[] = { RING_SIZE_MIN, 8 << 20 };
	struct ring_reader reader;
	uint32_t sizes[64], random = 1;
	struct expected expected = {sizes, 0, 0};
	struct ingest ingest;
	struct relay relay;
	struct rig rig;
	unsigned i, k, n, round, usual;

	for (k = 0; k < NITEMS(ring_size); k++) {
		struct segment_spec spec = {.ring_size = ring_size[k]};

		rig_open(&rig, &spec);
		reader = (struct ring_reader){ring_start(ring_size[k]), 0};
		expected.next = 0;
		relay_init(&relay, &rig.segment, &rig.output);
		ingest_init(&ingest, &rig.segment, NULL, &relay,
		    &rig.input, NULL, NULL);
		for (round = 0; round < 400; round++) {
			random = random * 1664525 + 1013904223;
			usual = often[(random >> 16) % NITEMS(often)];
			/* All of them in one call, however large. */
			n = k == 0 ? 1 : 1 + (random >> 8) % 6;
			expected.count = n;
			for (i = 0; i < n; i++) {
				random = random * 1664525 + 1013904223;
				sizes[(expected.next + i) % n] =
				    (random >> 24) % 4 != 0 ? usual :
				    often[(random >> 16) % NITEMS(often)];
			}
			run_batch(&rig, &ingest, &reader, &expected, n);
		}
		rig_close(&rig);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_expected_sizes),
		cmocka_unit_test(test_changing_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
