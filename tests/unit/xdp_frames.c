/* SPDX-License-Identifier: ISC */
/*
 * Makes frames.  See xdp_frames.h.  Checksums are computed here in another way,
 * as RFC 1071 says.
 */
#include <netinet/in.h>
#include <netinet/ip.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/xdp_frames.h"
#include "tests/unit/xdp_here.h"

#define SOURCE_PORT	0x2328U

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

void
frame_put(uint8_t *at, size_t value)
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

void
frame_put_ip_sum(struct frame *frame)
{
	uint8_t *ip = frame->at + ETHER;

	frame_put(ip + 10, 0);
	frame_put(ip + 10, fold(sum(0, ip, frame->ip)));
}

void
frame_put_udp_sum(struct frame *frame)
{
	size_t addresses = frame->family == 4 ? 8 : 32;
	size_t size = frame->length + 8;
	uint8_t *udp = frame->at + ETHER + frame->ip;
	uint16_t folded;

	frame_put(udp + 6, 0);
	folded = fold(sum(sum((uint32_t)size + IPPROTO_UDP,
	    frame->at + ETHER + frame->ip - addresses, addresses), udp, size));
	frame_put(udp + 6, folded == 0 ? 0xffff : folded);
}

static void
put_v4(struct frame *frame)
{
	uint8_t *ip = frame->at + ETHER;

	frame_put(frame->at + 12, 0x0800);
	ip[0] = 0x45;
	frame_put(ip + 2, 20 + 8 + frame->length);
	frame_put(ip + 6, IP_DF);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, v4_from, 4);
	memcpy(ip + 16, v4_to, 4);
	frame_put_ip_sum(frame);
}

static void
put_v6(struct frame *frame)
{
	uint8_t *ip = frame->at + ETHER;

	frame_put(frame->at + 12, 0x86dd);
	ip[0] = 0x60;
	frame_put(ip + 4, 8 + frame->length);
	ip[6] = IPPROTO_UDP;
	ip[7] = 64;
	memcpy(ip + 8, v6_from, 16);
	memcpy(ip + 24, v6_to, 16);
}

void
frame_make(struct frame *frame, int family, size_t length)
{
	uint8_t *udp;
	size_t i;

	memset(frame, 0, sizeof(*frame));
	*frame = (struct frame){.family = family, .ip = family == 4 ? 20 : 40,
	    .length = length};
	frame->size = ETHER + frame->ip + 8 + length;
	memcpy(frame->at, ours, 6);
	udp = frame->at + ETHER + frame->ip;
	frame_put(udp, SOURCE_PORT);
	frame_put(udp + 2, PORT);
	frame_put(udp + 4, 8 + length);
	for (i = 0; i < length; i++)
		udp[8 + i] = (uint8_t)(i * 7 + 1);
	if (family == 4)
		put_v4(frame);
	else
		put_v6(frame);
	frame_put_udp_sum(frame);
	xdp_here_key = (struct xdp_key){.ifindex = INTERFACE,
	    .port = htons(PORT), .family = (uint16_t)family};
	memcpy(xdp_here_key.address, family == 4 ? v4_to : v6_to,
	    family == 4 ? 4 : 16);
	xdp_here_place = (struct xdp_place){.queue = QUEUE, .socket = 5};
	memcpy(xdp_here_place.mac, ours, 6);
}

void
frame_put_tag(struct frame *frame, unsigned type, unsigned control)
{
	memmove(frame->at + 16, frame->at + 12, frame->size - 12);
	frame_put(frame->at + 12, type);
	frame_put(frame->at + 14, control);
	frame->size += 4;
}

bool
frame_taken(const struct frame *frame)
{
	return xdp_here_takes(xdp_here_put(frame->at, frame->size),
	    frame->size, INTERFACE, QUEUE);
}

/* Where it lies, nothing follows. */
bool
frame_read(const struct frame *frame, bool trust, struct arrival *arrival)
{
	return xdp_frame_read(xdp_here_put(frame->at, frame->size),
	    frame->size, trust, arrival);
}

void
frame_assert_same(const struct frame *frame, const struct arrival *arrival)
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
