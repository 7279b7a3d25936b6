/* SPDX-License-Identifier: ISC */
/*
 * Frames that come by AF_XDP: which of them the program at the interface gives
 * to the socket, and what the worker makes of these.  Checksums are computed
 * here in another way, as RFC 1071 says.
 */
#include <netinet/in.h>
#include <netinet/ip.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/xdp_here.h"
#include "worker/xdp_frame.h"

#define ETHER		14U
#define PORT		0x1389U
#define SOURCE_PORT	0x2328U
#define INTERFACE	3U
#define QUEUE		1U
#define LARGEST		(XDP_FRAME_ROOM - ETHER - 20U - 8U)

struct frame {
	int	family;
	size_t	size;
	size_t	ip;		/* size of its header */
	size_t	length;		/* of the payload */
	uint8_t	at[2 * XDP_FRAME_SIZE];
};

static const uint8_t ours[6] = {2, 0, 0, 0, 0x81, 1};
static const uint8_t v4_from[] = {10, 81, 1, 2}, v4_to[] = {239, 192, 7, 1};
static const uint8_t v6_from[16] = {0xfd, 0x81, 0, 1, [15] = 2};
static const uint8_t v6_to[16] = {0xff, 0x15, [13] = 7, [15] = 1};

static uint32_t
sum(uint32_t so_far, const uint8_t *at, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		so_far += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
	return so_far;
}

static void
put(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint16_t
fold(uint32_t value)
{
	while (value > 0xffff)
		value = (value & 0xffff) + (value >> 16);
	return (uint16_t)~value;
}

static void
put_ip_sum(struct frame *frame)
{
	uint8_t *ip = frame->at + ETHER;

	put(ip + 10, 0);
	put(ip + 10, fold(sum(0, ip, frame->ip)));
}

static void
put_udp_sum(struct frame *frame)
{
	size_t addresses = frame->family == 4 ? 8 : 32;
	size_t size = frame->length + 8;
	uint8_t *udp = frame->at + ETHER + frame->ip;
	uint16_t folded;

	put(udp + 6, 0);
	folded = fold(sum(sum((uint32_t)size + IPPROTO_UDP,
	    frame->at + ETHER + frame->ip - addresses, addresses), udp, size));
	put(udp + 6, folded == 0 ? 0xffff : folded);
}

static void
put_v4(struct frame *frame)
{
	uint8_t *ip = frame->at + ETHER;

	put(frame->at + 12, 0x0800);
	ip[0] = 0x45;
	put(ip + 2, 20 + 8 + frame->length);
	put(ip + 6, IP_DF);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, v4_from, 4);
	memcpy(ip + 16, v4_to, 4);
	put_ip_sum(frame);
}

static void
put_v6(struct frame *frame)
{
	uint8_t *ip = frame->at + ETHER;

	put(frame->at + 12, 0x86dd);
	ip[0] = 0x60;
	put(ip + 4, 8 + frame->length);
	ip[6] = IPPROTO_UDP;
	ip[7] = 64;
	memcpy(ip + 8, v6_from, 16);
	memcpy(ip + 24, v6_to, 16);
}

static void
make(struct frame *frame, int family, size_t length)
{
	uint8_t *udp;
	size_t i;

	memset(frame, 0, sizeof(*frame));
	*frame = (struct frame){.family = family, .ip = family == 4 ? 20 : 40,
	    .length = length};
	frame->size = ETHER + frame->ip + 8 + length;
	memcpy(frame->at, ours, 6);
	udp = frame->at + ETHER + frame->ip;
	put(udp, SOURCE_PORT);
	put(udp + 2, PORT);
	put(udp + 4, 8 + length);
	for (i = 0; i < length; i++)
		udp[8 + i] = (uint8_t)(i * 7 + 1);
	if (family == 4)
		put_v4(frame);
	else
		put_v6(frame);
	put_udp_sum(frame);
	xdp_here_key = (struct xdp_key){.ifindex = INTERFACE,
	    .port = htons(PORT), .family = (uint16_t)family};
	memcpy(xdp_here_key.address, family == 4 ? v4_to : v6_to,
	    family == 4 ? 4 : 16);
	xdp_here_place = (struct xdp_place){.queue = QUEUE, .socket = 5};
	memcpy(xdp_here_place.mac, ours, 6);
}

static bool
takes(const struct frame *frame)
{
	return xdp_here_takes(xdp_here_put(frame->at, frame->size),
	    frame->size, INTERFACE, QUEUE);
}

/* Where it lies, nothing follows. */
static bool
reads(const struct frame *frame, bool trust, struct arrival *arrival)
{
	return xdp_frame_read(xdp_here_put(frame->at, frame->size),
	    frame->size, trust, arrival);
}

static void
assert_same(const struct frame *frame, const struct arrival *arrival)
{
	const struct ring_record *record = &arrival->record;

	assert_int_equal(record->length, frame->length);
	assert_int_equal(record->family, frame->family);
	assert_int_equal(record->port, SOURCE_PORT);
	assert_memory_equal(record->address, frame->family == 4 ? v4_from :
	    v6_from, frame->family == 4 ? 4 : 16);
	assert_memory_equal(arrival->rest, frame->at + ETHER + frame->ip + 8,
	    frame->length);
}

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
			make(&frame, family, lengths[i]);
			assert_true(takes(&frame));
			assert_true(reads(&frame, false, &arrival));
			assert_same(&frame, &arrival);
			/* What is too short is filled on its way. */
			frame.size += 7;
			assert_int_equal(takes(&frame),
			    frame.size <= XDP_FRAME_ROOM);
			assert_true(reads(&frame, false, &arrival));
			assert_same(&frame, &arrival);
		}
	make(&frame, 4, LARGEST);
	assert_true(takes(&frame));
	make(&frame, 4, LARGEST + 1);
	assert_false(takes(&frame));
}

static void
short_ones_are_not(void **state ATTR_UNUSED)
{
	struct arrival arrival;
	struct frame frame;
	int family;

	for (family = 4; family <= 6; family += 2) {
		make(&frame, family, 33);
		while (frame.size-- > 0) {
			assert_false(takes(&frame));
			assert_false(reads(&frame, true, &arrival));
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
		make(&frame, family, 21);
		for (bit = 0; bit < frame.size * 8; bit++) {
			other = frame;
			other.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (!takes(&other))
				continue;
			taken++;
			if (!reads(&other, false, &arrival)) {
				assert_true(reads(&other, true, &arrival));
				found++;
				continue;
			}
			assert_same(&frame, &arrival);
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
	memmove(frame->at + 16, frame->at + 12, frame->size - 12);
	put(frame->at + 12, 0x8100);
	put(frame->at + 14, 5);
	frame->size += 4;
}

static void
first_fragment(struct frame *frame)
{
	put(frame->at + ETHER + 6, IP_MF);
	put_ip_sum(frame);
}

static void
last_fragment(struct frame *frame)
{
	put(frame->at + ETHER + 6, 185);
	put_ip_sum(frame);
}

static void
options(struct frame *frame)
{
	uint8_t *udp = frame->at + ETHER + 20;

	memmove(udp + 4, udp, frame->length + 8);
	memset(udp, 1, 4);
	frame->at[ETHER] = 0x46;
	put(frame->at + ETHER + 2, 24 + 8 + frame->length);
	frame->ip += 4;
	frame->size += 4;
	put_ip_sum(frame);
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
	put_ip_sum(frame);
}

static void
lengths_differ(struct frame *frame)
{
	put(frame->at + ETHER + frame->ip + 4, 8 + frame->length - 1);
	put_udp_sum(frame);
}

static void
other_group(struct frame *frame)
{
	frame->at[ETHER + frame->ip - 1] ^= 2;
	if (frame->family == 4)
		put_ip_sum(frame);
	put_udp_sum(frame);
}

static void
other_port(struct frame *frame)
{
	put(frame->at + ETHER + frame->ip + 2, PORT + 1);
	put_udp_sum(frame);
}

static void
other_host(struct frame *frame)
{
	frame->at[5] ^= 1;
}

static void
arp(struct frame *frame)
{
	put(frame->at + 12, 0x0806);
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
	put(frame->at + ETHER + 8, 0xfe80);
	put_udp_sum(frame);
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
			make(&frame, family, 100);
			assert_true(takes(&frame));
			if (changes[i].family == 10 - family)
				continue;
			changes[i].make(&frame);
			assert_false(takes(&frame));
		}
	/* A group's, and all hosts'. */
	make(&frame, 4, 100);
	frame.at[0] = 0x01;
	assert_true(takes(&frame));
	memset(frame.at, 0xff, 6);
	assert_true(takes(&frame));
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
		make(&frame, family, 100);
		put(frame.at + ETHER + frame.ip + 6, 0);
		assert_true(takes(&frame));
		assert_int_equal(reads(&frame, false, &arrival), family == 4);
		assert_true(reads(&frame, true, &arrival));
		/* One that would be 0 is sent as its complement. */
		make(&frame, family, 100);
		payload = frame.at + ETHER + frame.ip + 8;
		put(payload + 10, 0);
		put_udp_sum(&frame);
		memcpy(payload + 10, payload - 2, 2);
		put_udp_sum(&frame);
		assert_int_equal(payload[-2], 0xff);
		assert_int_equal(payload[-1], 0xff);
		assert_true(reads(&frame, false, &arrival));
		/* Half of it, as a card is left to do the rest. */
		put(payload - 2, 0x1234);
		assert_false(reads(&frame, false, &arrival));
		assert_true(reads(&frame, true, &arrival));
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
		make(&frame, family, 100);
		assert_int_equal(stamp_of(&frame), 77);
		xdp_here_no_room = true;
		assert_true(takes(&frame));
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
