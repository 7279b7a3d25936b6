/* SPDX-License-Identifier: ISC */
/*
 * Internet addresses in a configuration.  Supervisor only.  Must not look up
 * names: a daemon that waits for a name server at start is no use.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/udp.h"
#include "supervisor/conf/address.h"

static struct sockaddr_in *
v4(struct sockaddr_storage *address)
{
	return (struct sockaddr_in *)(void *)address;
}

static struct sockaddr_in6 *
v6(struct sockaddr_storage *address)
{
	return (struct sockaddr_in6 *)(void *)address;
}

/* Host order. */
static uint32_t
v4_value(const struct sockaddr_storage *address)
{
	return ntohl(((const struct sockaddr_in *)(const void *)
	    address)->sin_addr.s_addr);
}

static const struct in6_addr *
v6_value(const struct sockaddr_storage *address)
{
	return &((const struct sockaddr_in6 *)(const void *)
	    address)->sin6_addr;
}

static bool
is_v4(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET;
}

const char *
address_parse(const char *text, struct sockaddr_storage *address)
{
	*address = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, text, &v4(address)->sin_addr) == 1) {
		address->ss_family = AF_INET;
		return NULL;
	}
	if (strchr(text, '%') != NULL)
		return "name the interface with `interface', not with `%'";
	if (inet_pton(AF_INET6, text, &v6(address)->sin6_addr) != 1)
		return "not an IPv4 or IPv6 address (names are not looked up)";
	if (IN6_IS_ADDR_V4MAPPED(v6_value(address)))
		return "write it as an IPv4 address";
	address->ss_family = AF_INET6;
	return NULL;
}

uint16_t
address_port(const struct sockaddr_storage *address)
{
	if (is_v4(address))
		return ntohs(((const struct sockaddr_in *)(const void *)
		    address)->sin_port);
	return ntohs(((const struct sockaddr_in6 *)(const void *)
	    address)->sin6_port);
}

void
address_set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (is_v4(address))
		v4(address)->sin_port = htons(port);
	else
		v6(address)->sin6_port = htons(port);
}

bool
address_is_any(const struct sockaddr_storage *address)
{
	if (is_v4(address))
		return v4_value(address) == INADDR_ANY;
	return IN6_IS_ADDR_UNSPECIFIED(v6_value(address));
}

bool
address_is_loopback(const struct sockaddr_storage *address)
{
	if (is_v4(address))
		return v4_value(address) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(v6_value(address));
}

bool
address_is_link_local(const struct sockaddr_storage *address)
{
	return !is_v4(address) && (IN6_IS_ADDR_LINKLOCAL(v6_value(address)) ||
	    IN6_IS_ADDR_MC_LINKLOCAL(v6_value(address)));
}

bool
address_is_ssm(const struct sockaddr_storage *address)
{
	const uint8_t *byte;

	if (is_v4(address))
		return v4_value(address) >> 24 == 232;
	byte = v6_value(address)->s6_addr;
	return byte[0] == 0xff && byte[1] >> 4 == 3;
}

static const char *
refuse_v4(uint32_t value, bool broadcast)
{
	if (value >> 24 == 0)
		return "0.0.0.0/8 is not a destination";
	if (value >> 8 == 0xe00000)
		return "224.0.0.0/24 is reserved for routing protocols";
	if (value == INADDR_BROADCAST)
		return broadcast ? NULL :
		    "this is broadcast, and needs `broadcast: true'";
	if (value >> 28 == 15)
		return "240.0.0.0/4 is reserved";
	return NULL;
}

/*
 * In the link-local scope the groups that hosts and routers live on:
 * ff02::/111 (all nodes, routers, mDNS, DHCP, LLMNR) and the solicited-node
 * groups ff02::1:ff00:0/104.  Others of that scope are taken.
 */
static const char *
refuse_v6_link_group(const uint8_t *byte)
{
	static const uint8_t zero[11];

	if (memcmp(byte + 2, zero, 11) == 0 && byte[13] <= 1)
		return "this link-local group is used by the network itself";
	if (memcmp(byte + 2, zero, 9) == 0 && byte[11] == 1 &&
	    byte[12] == 0xff)
		return "this link-local group is used by the network itself";
	return NULL;
}

static const char *
refuse_v6(const struct in6_addr *address)
{
	const uint8_t *byte = address->s6_addr;

	if (IN6_IS_ADDR_UNSPECIFIED(address))
		return ":: is not a destination";
	if (byte[0] != 0xff)
		return NULL;
	if ((byte[1] & 0xf) == 0 || (byte[1] & 0xf) == 0xf)
		return "multicast scopes 0 and f are reserved";
	if ((byte[1] & 0xf) == 1)
		return "groups of scope 1 (ff01::/16) never leave this host's "
		    "interface";
	return byte[1] == 2 ? refuse_v6_link_group(byte) : NULL;
}

const char *
address_refuse_output(const struct sockaddr_storage *address, bool broadcast)
{
	if (is_v4(address))
		return refuse_v4(v4_value(address), broadcast);
	return refuse_v6(v6_value(address));
}

int
address_compare(const struct sockaddr_storage *one,
    const struct sockaddr_storage *other)
{
	uint32_t a, b;

	if (one->ss_family != other->ss_family)
		return one->ss_family < other->ss_family ? -1 : 1;
	if (address_port(one) != address_port(other))
		return address_port(one) < address_port(other) ? -1 : 1;
	if (!is_v4(one))
		return memcmp(v6_value(one), v6_value(other),
		    sizeof(struct in6_addr));
	a = v4_value(one);
	b = v4_value(other);
	return a == b ? 0 : a < b ? -1 : 1;
}

/* The number after the `/', or -1. */
static int
prefix_bits(const char *text)
{
	int bits = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 3; i++)
		bits = bits * 10 + (text[i] - '0');
	return i > 0 && text[i] == '\0' ? bits : -1;
}

static void
prefix_address(const struct sockaddr_storage *address, uint8_t *byte)
{
	uint32_t value;

	if (!is_v4(address)) {
		memcpy(byte, v6_value(address), 16);
		return;
	}
	memset(byte, 0, 10);
	memset(byte + 10, 0xff, 2);
	value = htonl(v4_value(address));
	memcpy(byte + 12, &value, 4);
}

static bool
host_bits_set(const struct source_prefix *prefix)
{
	uint32_t bit;

	for (bit = prefix->bits; bit < 128; bit++)
		if (prefix->address[bit / 8] & (0x80U >> bit % 8))
			return true;
	return false;
}

const char *
prefix_parse(const char *text, struct source_prefix *prefix, int *family,
    bool *single)
{
	char buffer[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/'), *why;
	size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct sockaddr_storage address;
	int bits, whole;

	if (length >= sizeof(buffer))
		return "not an address or network";
	memcpy(buffer, text, length);
	buffer[length] = '\0';
	if ((why = address_parse(buffer, &address)) != NULL)
		return why;
	whole = is_v4(&address) ? 32 : 128;
	bits = slash != NULL ? prefix_bits(slash + 1) : whole;
	if (bits < 0 || bits > whole)
		return "the length of the network is wrong";
	if (udp_is_group(&address))
		return "a multicast group does not send";
	prefix_address(&address, prefix->address);
	prefix->bits = (uint32_t)(128 - whole + bits);
	if (host_bits_set(prefix))
		return "the address has bits beyond the length of the network";
	*family = address.ss_family;
	*single = bits == whole;
	return NULL;
}

const char *
prefix_text(const struct source_prefix *prefix,
    char text[static PREFIX_TEXT_SIZE])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool v4 = prefix->bits >= 96 &&
	    memcmp(prefix->address, mapped, sizeof(mapped)) == 0;
	unsigned bits = prefix->bits - (v4 ? 96 : 0);
	size_t length;

	(void)inet_ntop(v4 ? AF_INET : AF_INET6, prefix->address +
	    (v4 ? sizeof(mapped) : 0), text, INET6_ADDRSTRLEN);
	length = strlen(text);
	if (prefix->bits < 128)
		(void)snprintf(text + length, PREFIX_TEXT_SIZE - length,
		    "/%u", bits);
	return text;
}
