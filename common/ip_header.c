/* SPDX-License-Identifier: ISC */
/*
 * IP and UDP headers of a datagram.  See ip_header.h.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/ip_header.h"

#define V4_HEAD		20U
#define V6_HEAD		40U
#define UDP_HEAD	8U
#define PACKET_MAX	65535U
#define DONT_FRAGMENT	0x40

static void
put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

/*
 * One's complement sum of 16-bit words, not yet folded.  It is the same in
 * either byte order but for the order of its own bytes (RFC 1071), so words are
 * added as they lie in memory, two at a time.  Only the last piece may have an
 * odd size.
 */
static uint64_t
add_words(uint64_t sum, const uint8_t *data, size_t size)
{
	uint32_t words;

	for (; size >= sizeof(words); size -= sizeof(words),
	    data += sizeof(words)) {
		memcpy(&words, data, sizeof(words));
		sum += words;
	}
	words = 0;
	memcpy(&words, data, size);
	return sum + words;
}

/* The checksum, in the order of memory. */
static uint16_t
fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void
put_v4(uint8_t *head, const struct ip_header *header, size_t size)
{
	uint16_t checksum;

	memset(head, 0, V4_HEAD);
	head[0] = 0x45;
	head[1] = header->traffic_class;
	put16(head + 2, (unsigned)(V4_HEAD + size));
	head[6] = header->may_fragment ? 0 : DONT_FRAGMENT;
	head[8] = header->hops;
	head[9] = IPPROTO_UDP;
	memcpy(head + 12, header->from, 4);
	memcpy(head + 16, header->to, 4);
	checksum = fold(add_words(0, head, V4_HEAD));
	memcpy(head + 10, &checksum, sizeof(checksum));
}

static void
put_v6(uint8_t *head, const struct ip_header *header, size_t size)
{
	memset(head, 0, V6_HEAD);
	head[0] = (uint8_t)(0x60 | header->traffic_class >> 4);
	head[1] = (uint8_t)(header->traffic_class << 4);
	put16(head + 4, (unsigned)size);
	head[6] = IPPROTO_UDP;
	head[7] = header->hops;
	memcpy(head + 8, header->from, 16);
	memcpy(head + 24, header->to, 16);
}

/* With the addresses and what else the pseudo-header has. */
static uint16_t
udp_checksum(const struct ip_header *header, const uint8_t *udp,
    const uint8_t *payload, size_t size)
{
	const size_t length = header->v6 ? 16 : 4;
	uint64_t sum = htons(IPPROTO_UDP);
	uint16_t checksum;

	sum += htons((uint16_t)(UDP_HEAD + size));
	sum = add_words(sum, header->from, length);
	sum = add_words(sum, header->to, length);
	sum = add_words(sum, udp, UDP_HEAD);
	checksum = fold(add_words(sum, payload, size));
	/* 0 means none. */
	return checksum == 0 ? 0xffff : checksum;
}

size_t
ip_header_write(uint8_t to[static IP_HEADER_MAX],
    const struct ip_header *header, const uint8_t *payload, size_t size)
{
	size_t ip = header->v6 ? V6_HEAD : V4_HEAD;
	uint8_t *udp = to + ip;
	uint16_t checksum;

	if (UDP_HEAD + size > PACKET_MAX - (header->v6 ? 0 : V4_HEAD))
		return 0;
	if (header->v6)
		put_v6(to, header, UDP_HEAD + size);
	else
		put_v4(to, header, UDP_HEAD + size);
	put16(udp, header->from_port);
	put16(udp + 2, header->to_port);
	put16(udp + 4, (unsigned)(UDP_HEAD + size));
	put16(udp + 6, 0);
	checksum = udp_checksum(header, udp, payload, size);
	memcpy(udp + 6, &checksum, sizeof(checksum));
	return ip + UDP_HEAD;
}
