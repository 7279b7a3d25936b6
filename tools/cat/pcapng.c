/* SPDX-License-Identifier: ISC */
/*
 * Datagrams as packets for Wireshark: pcapng (draft-ietf-opsawg-pcapng), in
 * this machine's byte order, as the format allows.  mcrelay-cat.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/cat/cat.h"
#include "tools/cat/packet.h"

#define SECTION_HEADER		0x0a0d0d0aU
#define SECTION_MAGIC		0x1a2b3c4dU
#define INTERFACE		1U
#define PACKET			6U
#define LINK_RAW_IP		101U
#define OPTION_COMMENT		1U
#define OPTION_PROGRAM		4U	/* of a section */
#define OPTION_RESOLUTION	9U	/* of an interface */
#define NANOSECONDS		9U

static const char unknown[] =
    "The archive does not say where these datagrams were sent to: the "
    "destination is not known, and 0.0.0.0 or :: in each packet.";

static size_t
padded(size_t size)
{
	return ROUND_UP(size, (size_t)4);
}

static void
put32(struct out *out, uint32_t value)
{
	out_bytes(out, &value, sizeof(value));
}

static void
put_padded(struct out *out, const void *data, size_t size)
{
	out_bytes(out, data, size);
	out_bytes(out, "\0\0\0", padded(size) - size);
}

static void
put_option(struct out *out, uint32_t code, const void *data, size_t size)
{
	put32(out, code | (uint32_t)size << 16);
	put_padded(out, data, size);
}

static void
put_section(struct out *out, const char *comment)
{
	static const char program[] = "mcrelay-cat " PACKAGE_VERSION;
	const size_t comment_size = strlen(comment);
	uint32_t size = 24 + 4 + (uint32_t)padded(strlen(program)) + 4 + 4;

	if (comment_size != 0)
		size += 4 + (uint32_t)padded(comment_size);
	put32(out, SECTION_HEADER);
	put32(out, size);
	put32(out, SECTION_MAGIC);
	put32(out, 1);			/* version 1.0 */
	put32(out, UINT32_MAX);		/* of any length */
	put32(out, UINT32_MAX);
	put_option(out, OPTION_PROGRAM, program, strlen(program));
	if (comment_size != 0)
		put_option(out, OPTION_COMMENT, comment, comment_size);
	put32(out, 0);
	put32(out, size);
}

static void
put_interface(struct out *out)
{
	const uint8_t resolution = NANOSECONDS;
	const uint32_t size = 16 + 8 + 4 + 4;

	put32(out, INTERFACE);
	put32(out, size);
	put32(out, LINK_RAW_IP);
	put32(out, 0);			/* packets of any length */
	put_option(out, OPTION_RESOLUTION, &resolution, 1);
	put32(out, 0);
	put32(out, size);
}

/* A section of its own for what has another thing to be said. */
static bool
pcapng_begin(struct cat *cat)
{
	const bool known = cat->shape.to.ss_family != AF_UNSPEC ||
	    cat->shape.records->destinations;
	const char *comment = known ? "" : unknown;

	if (!known)
		log_warnx("%s: it does not say where its datagrams were sent "
		    "to: the destination of the packets is not known, and "
		    "zero", cat->shape.path);
	if (cat->header != NULL && strcmp(cat->header, comment) == 0)
		return true;
	free(cat->header);
	cat->header = xstrdup(comment);
	put_section(&cat->out, comment);
	put_interface(&cat->out);
	return true;
}

static const uint8_t *
pcapng_put(struct cat *cat, const uint8_t *at ATTR_UNUSED,
    const uint8_t *end ATTR_UNUSED, const struct record *record)
{
	uint8_t head[IP_HEADER_MAX];
	struct sockaddr_storage from, to = cat->shape.to;
	uint32_t packet, size;
	size_t head_size;

	packet_address(record->source, record->source_size, &from);
	if (record->destination != NULL)
		packet_address(record->destination, record->destination_size,
		    &to);
	head_size = packet_head(head, &from, &to, record->payload,
	    record->payload_size);
	if (head_size == 0 || record->time_ns < 0) {
		cat_partly(cat, "%s: datagram %" PRId64 " is left out: no "
		    "packet %s", cat->shape.path, record->sequence,
		    head_size == 0 ? "is so long" : "has such a time");
		return record->data + record->size;
	}
	packet = (uint32_t)(head_size + record->payload_size);
	size = 32 + (uint32_t)padded(packet);
	put32(&cat->out, PACKET);
	put32(&cat->out, size);
	put32(&cat->out, 0);		/* the interface */
	put32(&cat->out, (uint32_t)((uint64_t)record->time_ns >> 32));
	put32(&cat->out, (uint32_t)record->time_ns);
	put32(&cat->out, packet);
	put32(&cat->out, packet);
	out_bytes(&cat->out, head, head_size);
	out_bytes(&cat->out, record->payload, record->payload_size);
	out_bytes(&cat->out, "\0\0\0", padded(packet) - packet);
	put32(&cat->out, size);
	return record->data + record->size;
}

const struct form form_pcapng = {
	.name = "pcapng",
	.datagrams = true,
	.reads = true,
	.begin = pcapng_begin,
	.put = pcapng_put,
};
