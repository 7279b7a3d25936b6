/* SPDX-License-Identifier: ISC */
/*
 * IP and UDP headers made anew.  mcrelay-cat.
 */
#include <netinet/in.h>
#include <string.h>

#include "common/inputs.h"
#include "common/ip_header.h"
#include "common/util.h"
#include "tools/cat/packet.h"
#include "tools/common/endpoint.h"

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

size_t
packet_head(uint8_t head[static IP_HEADER_MAX],
    const struct sockaddr_storage *from_address,
    const struct sockaddr_storage *to_address, const uint8_t *payload,
    size_t size)
{
	struct end from = end_of(from_address), to = end_of(to_address);
	struct ip_header header;

	if (from.known)
		match(&to, &from);
	else
		match(&from, &to);
	header = (struct ip_header){ .v6 = from.v6, .hops = HOPS,
	    .from_port = from.port, .to_port = to.port };
	memcpy(header.from, from.address, sizeof(header.from));
	memcpy(header.to, to.address, sizeof(header.to));
	return ip_header_write(head, &header, payload, size);
}
