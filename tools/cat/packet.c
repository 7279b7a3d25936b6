/* SPDX-License-Identifier: ISC */
/*
 * IP and UDP headers made anew.  mcrelay-cat.
 */
#include <netinet/in.h>
#include <string.h>

#include "common/inputs.h"
#include "common/util.h"
#include "tools/cat/packet.h"
#include "tools/common/endpoint.h"

#define V4_HEAD		20U
#define V6_HEAD		40U
#define UDP_HEAD	8U
#define UDP_MAX		65535U
#define HOPS		64U

/* One end of a datagram. */
struct end {
	bool		known;
	bool		v6;
	uint8_t		address[16];	/* of v4 the first four */
	uint16_t	port;
};

bool
packet_address(const char *text, size_t size,
    struct sockaddr_storage *address)
{
	char copy[INPUT_TEXT_SIZE], *scope, *end;

	memset(address, 0, sizeof(*address));
	if (size == 0 || size >= sizeof(copy))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	scope = strchr(copy, '%');
	end = strchr(copy, ']');
	if (scope != NULL && end != NULL && scope < end) {
		memmove(scope, end, strlen(end) + 1);
		scope = strchr(copy, '%');
	}
	/* The interface of a destination. */
	if (scope != NULL)
		*scope = '\0';
	if (endpoint_parse(copy, address))
		return true;
	memset(address, 0, sizeof(*address));
	return false;
}

/* A v4 address in a v6 one was a v4 packet. */
static struct end
end_of(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	struct end end = { .known = address->ss_family != AF_UNSPEC };

	if (!end.known)
		return end;
	end.port = endpoint_port(address);
	if (address->ss_family == AF_INET) {
		memcpy(end.address, &in->sin_addr, 4);
	} else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		memcpy(end.address, in6->sin6_addr.s6_addr + 12, 4);
	} else {
		end.v6 = true;
		memcpy(end.address, &in6->sin6_addr, 16);
	}
	return end;
}

/* As the other is, with an address that says nothing. */
static void
match(struct end *end, const struct end *other)
{
	if (end->known && end->v6 == other->v6)
		return;
	memset(end->address, 0, sizeof(end->address));
	end->v6 = other->v6;
}

static void
put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

/* One's complement sum of 16-bit words, not yet folded. */
static uint64_t
add_words(uint64_t sum, const uint8_t *data, size_t size)
{
	for (; size > 1; size -= 2, data += 2)
		sum += (uint64_t)data[0] << 8 | data[1];
	return size == 1 ? sum + ((uint64_t)data[0] << 8) : sum;
}

static unsigned
fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned)(~sum & 0xffff);
}

/* The checksum of the datagram with the pseudo-header; 0 means none. */
static unsigned
udp_checksum(const struct end *from, const struct end *to,
    const uint8_t *udp, const uint8_t *payload, size_t size)
{
	const size_t length = from->v6 ? 16 : 4;
	uint64_t sum = IPPROTO_UDP + UDP_HEAD + size;
	unsigned checksum;

	sum = add_words(sum, from->address, length);
	sum = add_words(sum, to->address, length);
	sum = add_words(sum, udp, UDP_HEAD);
	checksum = fold(add_words(sum, payload, size));
	return checksum == 0 ? 0xffff : checksum;
}

static size_t
put_v4(uint8_t *head, const struct end *from, const struct end *to,
    size_t size)
{
	if (V4_HEAD + size > UDP_MAX)
		return 0;
	memset(head, 0, V4_HEAD);
	head[0] = 0x45;
	put16(head + 2, (unsigned)(V4_HEAD + size));
	head[6] = 0x40;		/* not fragmented */
	head[8] = HOPS;
	head[9] = IPPROTO_UDP;
	memcpy(head + 12, from->address, 4);
	memcpy(head + 16, to->address, 4);
	put16(head + 10, fold(add_words(0, head, V4_HEAD)));
	return V4_HEAD;
}

static size_t
put_v6(uint8_t *head, const struct end *from, const struct end *to,
    size_t size)
{
	memset(head, 0, V6_HEAD);
	head[0] = 0x60;
	put16(head + 4, (unsigned)size);
	head[6] = IPPROTO_UDP;
	head[7] = HOPS;
	memcpy(head + 8, from->address, 16);
	memcpy(head + 24, to->address, 16);
	return V6_HEAD;
}

size_t
packet_head(uint8_t head[static PACKET_HEAD_MAX],
    const struct sockaddr_storage *from_address,
    const struct sockaddr_storage *to_address, const uint8_t *payload,
    size_t size)
{
	struct end from = end_of(from_address), to = end_of(to_address);
	size_t ip;
	uint8_t *udp;

	if (UDP_HEAD + size > UDP_MAX)
		return 0;
	if (from.known)
		match(&to, &from);
	else
		match(&from, &to);
	ip = from.v6 ? put_v6(head, &from, &to, UDP_HEAD + size) :
	    put_v4(head, &from, &to, UDP_HEAD + size);
	if (ip == 0)
		return 0;
	udp = head + ip;
	put16(udp, from.port);
	put16(udp + 2, to.port);
	put16(udp + 4, (unsigned)(UDP_HEAD + size));
	put16(udp + 6, 0);
	put16(udp + 6, udp_checksum(&from, &to, udp, payload, size));
	return ip + UDP_HEAD;
}
