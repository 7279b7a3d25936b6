/* SPDX-License-Identifier: ISC */
/*
 * Frames that come by AF_XDP: which of them the program at the interface gives
 * to the socket, and what the worker makes of these.
 */
#include <netinet/in.h>
#include <netinet/ip.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/xdp_frames.h"
#include "tests/unit/xdp_here.h"

static void
whole_ones_are_taken(void **state ATTR_UNUSED)
{
	static const size_t lengths[] = {0, 1, 2, 3, 4, 5, 18, 100, 1471,
	    1472, LARGEST - 20};
	struct arrival arrival;
	struct frame frame;
	size_t i;
	int family;

	for (family = 4; family <= 6; family += 2)
		for (i = 0; i < NITEMS(lengths); i++) {
			frame_make(&frame, family, lengths[i]);
			assert_true(frame_taken(&frame));
			assert_true(frame_read(&frame, false, &arrival));
			frame_assert_same(&frame, &arrival);
			/* What is too short is filled on its way. */
			frame.size += 7;
			assert_int_equal(frame_taken(&frame),
			    frame.size <= XDP_FRAME_ROOM);
			assert_true(frame_read(&frame, false, &arrival));
			frame_assert_same(&frame, &arrival);
		}
	frame_make(&frame, 4, LARGEST);
	assert_true(frame_taken(&frame));
	frame_make(&frame, 4, LARGEST + 1);
	assert_false(frame_taken(&frame));
}

static void
short_ones_are_not(void **state ATTR_UNUSED)
{
	struct arrival arrival;
	struct frame frame;
	int family;

	for (family = 4; family <= 6; family += 2) {
		frame_make(&frame, family, 33);
		while (frame.size-- > 0) {
			assert_false(frame_taken(&frame));
			assert_false(frame_read(&frame, true, &arrival));
		}
	}
}

/* Whatever bit is another one: it is not taken, or found to be wrong, or what
 * comes of it is the same. */
static void
a_bit_is_noticed(void **state ATTR_UNUSED)
{
	unsigned taken = 0, found = 0, same = 0;
	struct frame frame, other;
	struct arrival arrival;
	int family;
	size_t bit;

	for (family = 4; family <= 6; family += 2) {
		frame_make(&frame, family, 21);
		for (bit = 0; bit < frame.size * 8; bit++) {
			other = frame;
			other.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (!frame_taken(&other))
				continue;
			taken++;
			if (!frame_read(&other, false, &arrival)) {
				assert_true(frame_read(&other, true, &arrival));
				found++;
				continue;
			}
			frame_assert_same(&frame, &arrival);
			same++;
		}
	}
	/* UDP's ports of senders, its sum and the payload; of IPv6 the sender,
	 * but where it comes to be a link-local one. */
	assert_int_equal(found, 2 * (16 + 16 + 21 * 8) + 128);
	/* Whose card has sent it, or that it is to all; of IPv6 what a router
	 * changes. */
	assert_int_equal(same, 2 * (48 + 1) + 28 + 8);
	assert_int_equal(taken, found + same);
}

/*** What is left to the kernel. ***/

static void
vlan(struct frame *frame)
{
	frame_put_tag(frame, 0x8100, 5);
}

static void
first_fragment(struct frame *frame)
{
	frame_put(frame->at + ETHER + 6, IP_MF);
	frame_put_ip_sum(frame);
}

static void
last_fragment(struct frame *frame)
{
	frame_put(frame->at + ETHER + 6, 185);
	frame_put_ip_sum(frame);
}

static void
options(struct frame *frame)
{
	uint8_t *udp = frame->at + ETHER + 20;

	memmove(udp + 4, udp, frame->length + 8);
	memset(udp, 1, 4);
	frame->at[ETHER] = 0x46;
	frame_put(frame->at + ETHER + 2, 24 + 8 + frame->length);
	frame->ip += 4;
	frame->size += 4;
	frame_put_ip_sum(frame);
}

static void
header_sum(struct frame *frame)
{
	frame->at[ETHER + 11] ^= 1;
}

static void
tcp(struct frame *frame)
{
	frame->at[ETHER + 9] = IPPROTO_TCP;
	frame_put_ip_sum(frame);
}

static void
lengths_differ(struct frame *frame)
{
	frame_put(frame->at + ETHER + frame->ip + 4, 8 + frame->length - 1);
	frame_put_udp_sum(frame);
}

static void
other_group(struct frame *frame)
{
	frame->at[ETHER + frame->ip - 1] ^= 2;
	if (frame->family == 4)
		frame_put_ip_sum(frame);
	frame_put_udp_sum(frame);
}

static void
other_port(struct frame *frame)
{
	frame_put(frame->at + ETHER + frame->ip + 2, PORT + 1);
	frame_put_udp_sum(frame);
}

static void
other_host(struct frame *frame)
{
	frame->at[5] ^= 1;
}

static void
arp(struct frame *frame)
{
	frame_put(frame->at + 12, 0x0806);
}

static void
other_queue(struct frame *frame ATTR_UNUSED)
{
	xdp_here_place.queue++;
}

static void
other_interface(struct frame *frame ATTR_UNUSED)
{
	xdp_here_key.ifindex++;
}

/* Options in a header of their own; and a fragment has one. */
static void
extension(struct frame *frame)
{
	frame->at[ETHER + 6] = IPPROTO_FRAGMENT;
}

static void
link_local(struct frame *frame)
{
	frame_put(frame->at + ETHER + 8, 0xfe80);
	frame_put_udp_sum(frame);
}

static void
others_are_left_alone(void **state ATTR_UNUSED)
{
	static const struct {
		int	family;		/* 0: both */
		void	(*make)(struct frame *frame);
	} changes[] = {
		{0, vlan}, {4, first_fragment}, {4, last_fragment},
		{4, options}, {4, header_sum}, {4, tcp}, {0, lengths_differ},
		{0, other_group}, {0, other_port}, {0, other_host}, {0, arp},
		{6, extension}, {6, link_local}, {0, other_queue},
		{0, other_interface},
	};
	struct frame frame;
	int family;
	size_t i;

	for (family = 4; family <= 6; family += 2)
		for (i = 0; i < NITEMS(changes); i++) {
			frame_make(&frame, family, 100);
			assert_true(frame_taken(&frame));
			if (changes[i].family == 10 - family)
				continue;
			changes[i].make(&frame);
			assert_false(frame_taken(&frame));
		}
	/* A group's, and all hosts'. */
	frame_make(&frame, 4, 100);
	frame.at[0] = 0x01;
	assert_true(frame_taken(&frame));
	memset(frame.at, 0xff, 6);
	assert_true(frame_taken(&frame));
}

static void
checksums(void **state ATTR_UNUSED)
{
	struct arrival arrival;
	struct frame frame;
	uint8_t *payload;
	int family;

	for (family = 4; family <= 6; family += 2) {
		/* None. */
		frame_make(&frame, family, 100);
		frame_put(frame.at + ETHER + frame.ip + 6, 0);
		assert_true(frame_taken(&frame));
		assert_int_equal(frame_read(&frame, false, &arrival),
		    family == 4);
		assert_true(frame_read(&frame, true, &arrival));
		/* One that would be 0 is sent as its complement. */
		frame_make(&frame, family, 100);
		payload = frame.at + ETHER + frame.ip + 8;
		frame_put(payload + 10, 0);
		frame_put_udp_sum(&frame);
		memcpy(payload + 10, payload - 2, 2);
		frame_put_udp_sum(&frame);
		assert_int_equal(payload[-2], 0xff);
		assert_int_equal(payload[-1], 0xff);
		assert_true(frame_read(&frame, false, &arrival));
		/* Half of it, as a card is left to do the rest. */
		frame_put(payload - 2, 0x1234);
		assert_false(frame_read(&frame, false, &arrival));
		assert_true(frame_read(&frame, true, &arrival));
	}
}

static uint64_t
stamp_of(const struct frame *frame)
{
	uint8_t *at = xdp_here_put(frame->at, frame->size);
	struct xdp_stamp stamp;

	(void)xdp_here_takes(at, frame->size, INTERFACE, QUEUE);
	assert_memory_equal(at, frame->at, frame->size);
	memcpy(&stamp, at - sizeof(stamp), sizeof(stamp));
	return stamp.seen_ns;
}

static void
what_is_taken_is_stamped(void **state ATTR_UNUSED)
{
	struct frame frame;
	int family;

	xdp_here_now = 77;
	for (family = 4; family <= 6; family += 2) {
		frame_make(&frame, family, 100);
		assert_int_equal(stamp_of(&frame), 77);
		xdp_here_no_room = true;
		assert_true(frame_taken(&frame));
		assert_int_equal(stamp_of(&frame), 0);
		xdp_here_no_room = false;
		other_port(&frame);
		assert_int_equal(stamp_of(&frame), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_ones_are_taken),
		cmocka_unit_test(short_ones_are_not),
		cmocka_unit_test(a_bit_is_noticed),
		cmocka_unit_test(others_are_left_alone),
		cmocka_unit_test(checksums),
		cmocka_unit_test(what_is_taken_is_stamped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
