/* SPDX-License-Identifier: ISC */
/*
 * What the kernel says of a message, whatever brought it.  Worker, relay thread
 * only.
 */
#include <sys/socket.h>
#include <arpa/inet.h>
#include <string.h>

#include "bpf/kernel_relay.h"
#include "common/udp.h"
#include "worker/ingest_ops.h"

static void
set_source(struct ring_record *record, const struct sockaddr_in6 *name)
{
	const struct sockaddr_in *in = (const void *)name;

	if (name->sin6_family == AF_INET) {
		record->family = 4;
		memcpy(record->address, &in->sin_addr, 4);
		record->port = ntohs(in->sin_port);
	} else if (name->sin6_family == AF_INET6) {
		record->family = 6;
		memcpy(record->address, &name->sin6_addr, 16);
		record->port = ntohs(name->sin6_port);
		record->scope = name->sin6_scope_id;
	}
}

void
arrival_copy_rest(const struct arrival *arrival, uint8_t *to, uint32_t length)
{
	uint32_t size = arrival->record.datagram_size;
	const uint8_t *const *from = arrival->each;

	if (from == NULL) {
		memcpy(to, arrival->rest, length);
		return;
	}
	for (; length > size; length -= size, to += size)
		memcpy(to, *from++, size);
	memcpy(to, *from, length);
}

void
arrival_describe(struct arrival *arrival, const struct sockaddr_in6 *name,
    void *control, size_t size)
{
	struct msghdr hdr = {.msg_control = control, .msg_controllen = size};
	struct ring_record *record = &arrival->record;
	struct udp_arrival said;

	set_source(record, name);
	udp_read_arrival(&hdr, &said);
	record->received_ns = said.received_ns;
	if (said.datagram_size <= UINT16_MAX &&
	    said.datagram_size < record->length)
		record->datagram_size = (uint16_t)said.datagram_size;
	/* One whose source has a scope is never marked (kernel_relay.bpf.c). */
	if (UNLIKELY((said.mark & KERNEL_MARK_MASK) == KERNEL_MARK) &&
	    record->scope == 0) {
		record->flags = RING_KERNEL;
		record->scope = said.mark & ~KERNEL_MARK_MASK;
	}
}
