/* SPDX-License-Identifier: ISC */
/*
 * Frames with tags of VLANs: nobody but the VLAN's own input may get them, and
 * who has none gets none of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/xdp_frames.h"
#include "tests/unit/xdp_here.h"

#define VLAN	7U

/* `frame', and the same with a tag, for an input of a VLAN. */
static void
make_tagged(struct frame *frame, struct frame *tagged, int family,
    size_t length)
{
	frame_make(frame, family, length);
	xdp_here_key.vlan = VLAN;
	*tagged = *frame;
	frame_put_tag(tagged, 0x8100, VLAN);
}

static void
tagged_ones_are_taken(void **state ATTR_UNUSED)
{
	static const size_t lengths[] = {0, 1, 4, 18, 1472, LARGEST - 24};
	/* Priorities, and that it may be dropped. */
	static const unsigned controls[] = {0, 0x1000, 0x2000, 0xf000};
	struct frame frame, tagged;
	struct arrival arrival;
	int family;
	size_t i;

	for (family = 4; family <= 6; family += 2) {
		for (i = 0; i < NITEMS(lengths); i++) {
			make_tagged(&frame, &tagged, family, lengths[i]);
			frame_put(tagged.at + 14, VLAN | controls[i % 4]);
			assert_true(frame_taken(&tagged));
			assert_true(frame_read(&tagged, false, &arrival));
			frame_assert_same(&frame, &arrival);
			/* What is too short is filled on its way. */
			tagged.size += 7;
			assert_int_equal(frame_taken(&tagged),
			    tagged.size <= XDP_FRAME_ROOM);
			assert_true(frame_read(&tagged, false, &arrival));
			frame_assert_same(&frame, &arrival);
		}
		make_tagged(&frame, &tagged, family, 33);
		while (tagged.size-- > 0) {
			assert_false(frame_taken(&tagged));
			assert_false(frame_read(&tagged, true, &arrival));
		}
	}
	make_tagged(&frame, &tagged, 4, LARGEST - 4);
	assert_true(frame_taken(&tagged));
	make_tagged(&frame, &tagged, 4, LARGEST - 3);
	assert_false(frame_taken(&tagged));
}

/* Whatever else a tag says, it is another VLAN's, whoever the input is for. */
static void
other_vlans_are_left_alone(void **state ATTR_UNUSED)
{
	struct frame frame, tagged;
	unsigned control;
	int family;

	for (family = 4; family <= 6; family += 2) {
		make_tagged(&frame, &tagged, family, 100);
		assert_false(frame_taken(&frame));
		for (control = 0; control <= 0xffff; control++) {
			frame_put(tagged.at + 14, control);
			xdp_here_key.vlan = VLAN;
			assert_int_equal(frame_taken(&tagged),
			    (control & 0xfff) == VLAN);
			xdp_here_key.vlan = 0;
			assert_false(frame_taken(&tagged));
		}
	}
}

static void
two_tags_are_left_alone(void **state ATTR_UNUSED)
{
	static const unsigned types[] = {0x8100, 0x88a8, 0x9100};
	struct frame frame, tagged;
	size_t i;
	int family;

	for (family = 4; family <= 6; family += 2)
		for (i = 0; i < NITEMS(types); i++) {
			make_tagged(&frame, &tagged, family, 100);
			frame_put_tag(&tagged, types[i], VLAN);
			assert_false(frame_taken(&tagged));
			frame_put(tagged.at + 14, 0);
			assert_false(frame_taken(&tagged));
			/* The outer one alone. */
			tagged = frame;
			frame_put_tag(&tagged, types[i], VLAN);
			assert_int_equal(frame_taken(&tagged),
			    types[i] == 0x8100);
		}
}

static void
a_bit_of_tagged_ones_is_noticed(void **state ATTR_UNUSED)
{
	struct frame frame, tagged, other;
	unsigned same = 0, found = 0;
	struct arrival arrival;
	int family;
	size_t bit;

	for (family = 4; family <= 6; family += 2) {
		make_tagged(&frame, &tagged, family, 21);
		for (bit = 0; bit < tagged.size * 8; bit++) {
			other = tagged;
			other.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (!frame_taken(&other))
				continue;
			if (!frame_read(&other, false, &arrival)) {
				found++;
				continue;
			}
			frame_assert_same(&frame, &arrival);
			same++;
		}
	}
	/* As without a tag, and its priority. */
	assert_int_equal(found, 2 * (16 + 16 + 21 * 8) + 128);
	assert_int_equal(same, 2 * (48 + 1) + 28 + 8 + 2 * 4);
}

/* In front of the frame, wherever IP's header begins. */
static void
tagged_ones_are_stamped(void **state ATTR_UNUSED)
{
	struct frame frame, tagged;
	struct xdp_stamp stamp;
	uint8_t *at;
	int family;

	xdp_here_now = 77;
	for (family = 4; family <= 6; family += 2) {
		make_tagged(&frame, &tagged, family, 100);
		at = xdp_here_put(tagged.at, tagged.size);
		assert_true(xdp_here_takes(at, tagged.size, INTERFACE, QUEUE));
		assert_memory_equal(at, tagged.at, tagged.size);
		memcpy(&stamp, at - sizeof(stamp), sizeof(stamp));
		assert_int_equal(stamp.seen_ns, 77);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tagged_ones_are_taken),
		cmocka_unit_test(other_vlans_are_left_alone),
		cmocka_unit_test(two_tags_are_left_alone),
		cmocka_unit_test(a_bit_of_tagged_ones_is_noticed),
		cmocka_unit_test(tagged_ones_are_stamped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
