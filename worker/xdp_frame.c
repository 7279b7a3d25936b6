/* SPDX-License-Identifier: ISC */
/*
 * Reads frames that came by AF_XDP.  See xdp_frame.h.  Worker, relay thread.
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#include "common/util.h"
#include "worker/xdp_frame.h"

/* Of a VLAN: its number, and the type of what follows. */
#define TAG	4U

/*
 * From the header of IP on, whose lengths agree with each other and with the
 * frame, as the program has seen: looked at again, so that nothing is read that
 * is not there.  How long that header is; 0: there is no datagram.
 */
static size_t
read_v4(struct ring_record *record, const uint8_t *at, size_t size)
{
	struct ip ip;

	if (size < sizeof(ip) + sizeof(struct udphdr))
		return 0;
	memcpy(&ip, at, sizeof(ip));
	if (ntohs(ip.ip_len) > size ||
	    ntohs(ip.ip_len) < sizeof(ip) + sizeof(struct udphdr))
		return 0;
	record->family = 4;
	memcpy(record->address, &ip.ip_src, 4);
	record->length = (uint32_t)(ntohs(ip.ip_len) - sizeof(ip) -
	    sizeof(struct udphdr));
	return sizeof(ip);
}

static size_t
read_v6(struct ring_record *record, const uint8_t *at, size_t size)
{
	struct ip6_hdr ip;

	if (size < sizeof(ip) + sizeof(struct udphdr))
		return 0;
	memcpy(&ip, at, sizeof(ip));
	if (ntohs(ip.ip6_plen) > size - sizeof(ip) ||
	    ntohs(ip.ip6_plen) < sizeof(struct udphdr))
		return 0;
	record->family = 6;
	memcpy(record->address, &ip.ip6_src, 16);
	record->length = (uint32_t)(ntohs(ip.ip6_plen) -
	    sizeof(struct udphdr));
	return sizeof(ip);
}

/* Of 8 bytes at a time, and what is carried over; the rest is done as if zeros
 * followed. */
static uint64_t
sum_of(const uint8_t *at, size_t size)
{
	uint64_t sum = 0, carried = 0, word;

	for (; size >= sizeof(word); at += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		carried += __builtin_add_overflow(sum, word, &sum);
	}
	word = 0;
	memcpy(&word, at, size);
	carried += __builtin_add_overflow(sum, word, &sum);
	return (sum >> 32) + (sum & UINT32_MAX) + carried;
}

/* A datagram of IPv4 may have none, and one of IPv6 must have one. */
static bool
adds_up(const struct ring_record *record, const uint8_t *at, uint16_t said)
{
	size_t addresses = record->family == 4 ? 8 : 32;
	size_t size = record->length + sizeof(struct udphdr);
	uint64_t sum;

	if (said == 0)
		return record->family == 4;
	/* They are the last of IP's header, before that of UDP. */
	sum = sum_of(at - addresses, addresses) + sum_of(at, size);
	sum += htonl((uint32_t)size) + (uint64_t)htonl(IPPROTO_UDP);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

bool
xdp_frame_read(const uint8_t *frame, size_t size, bool trust,
    struct arrival *arrival)
{
	struct ring_record *record = &arrival->record;
	const uint8_t *ip = frame + sizeof(struct ether_header);
	struct ether_header ether;
	struct udphdr udp;
	size_t header = 0;
	uint16_t type;

	*arrival = (struct arrival){0};
	if (size < sizeof(ether))
		return false;
	memcpy(&ether, frame, sizeof(ether));
	size -= sizeof(ether);
	type = ether.ether_type;
	/* The program has seen that it is the right one. */
	if (type == htons(ETHERTYPE_VLAN) && size >= TAG) {
		memcpy(&type, ip + TAG - sizeof(type), sizeof(type));
		ip += TAG;
		size -= TAG;
	}
	if (type == htons(ETHERTYPE_IP))
		header = read_v4(record, ip, size);
	else if (type == htons(ETHERTYPE_IPV6))
		header = read_v6(record, ip, size);
	if (header == 0)
		return false;
	memcpy(&udp, ip + header, sizeof(udp));
	record->port = ntohs(udp.uh_sport);
	arrival->rest = ip + header + sizeof(udp);
	return trust || adds_up(record, ip + header, udp.uh_sum);
}
