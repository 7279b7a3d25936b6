/* SPDX-License-Identifier: ISC */
/*
 * The datagrams of captures, by libpcap.  Tools.  The packets are anybody's:
 * each length is bounded by what was captured.
 */
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tools/common/capture.h"

#define ETHERTYPE_V4	0x0800U
#define ETHERTYPE_V6	0x86ddU
#define ETHERTYPE_VLAN	0x8100U
#define ETHERTYPE_QINQ	0x88a8U
#define FRAGMENTED	0x3fffU	/* more follow, or an offset */

struct capture {
	pcap_t		*file;
	int		 link;		/* DLT_* */
	uint64_t	 cut;		/* not captured whole */
	uint64_t	 fragments;
};

/* What is left of a packet. */
struct rest {
	const uint8_t	*at;
	size_t		 size;
};

static unsigned
get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static bool
skip(struct rest *rest, size_t size)
{
	if (rest->size < size)
		return false;
	rest->at += size;
	rest->size -= size;
	return true;
}

/* Behind an EtherType at `offset', and VLAN tags. */
static bool
skip_ethertype(struct rest *rest, size_t offset, size_t head)
{
	unsigned type;

	if (rest->size < head)
		return false;
	type = get16(rest->at + offset);
	skip(rest, head);
	while (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ) {
		if (rest->size < 4)
			return false;
		type = get16(rest->at + 2);
		skip(rest, 4);
	}
	return type == ETHERTYPE_V4 || type == ETHERTYPE_V6;
}

/* From the frame to its IP packet; false: there is none. */
static bool
skip_link(const struct capture *capture, struct rest *rest)
{
	switch (capture->link) {
	case DLT_EN10MB:
		return skip_ethertype(rest, 12, 14);
	case DLT_LINUX_SLL:
		return skip_ethertype(rest, 14, 16);
	case DLT_LINUX_SLL2:
		return skip_ethertype(rest, 0, 20);
	case DLT_NULL:
	case DLT_LOOP:
		return skip(rest, 4);
	default:
		return true;
	}
}

static bool
link_known(int link)
{
	return link == DLT_EN10MB || link == DLT_LINUX_SLL ||
	    link == DLT_LINUX_SLL2 || link == DLT_NULL || link == DLT_LOOP ||
	    link == DLT_RAW || link == DLT_IPV4 || link == DLT_IPV6;
}

static void
set_address(struct sockaddr_storage *address, const uint8_t *bytes, bool v6)
{
	struct sockaddr_in *in = (void *)address;
	struct sockaddr_in6 *in6 = (void *)address;

	memset(address, 0, sizeof(*address));
	address->ss_family = v6 ? AF_INET6 : AF_INET;
	if (v6)
		memcpy(&in6->sin6_addr, bytes, 16);
	else
		memcpy(&in->sin_addr, bytes, 4);
}

static void
set_port(struct sockaddr_storage *address, const uint8_t *bytes)
{
	/* At the same place in both. */
	memcpy(&((struct sockaddr_in *)(void *)address)->sin_port, bytes, 2);
}

/* Behind the headers of IP; false: no UDP, or not the whole of it. */
static bool
skip_v4(struct capture *capture, struct rest *rest,
    struct capture_datagram *udp)
{
	const uint8_t *head = rest->at;
	size_t size, length;

	if (rest->size < 20)
		return false;
	size = (head[0] & 15U) * 4;
	length = get16(head + 2);
	if (head[9] != IPPROTO_UDP || size < 20)
		return false;
	if ((get16(head + 6) & FRAGMENTED) != 0) {
		capture->fragments++;
		return false;
	}
	set_address(&udp->from, head + 12, false);
	set_address(&udp->to, head + 16, false);
	/* What a card was to cut up has no length yet. */
	if (length >= size && length < rest->size)
		rest->size = length;
	return skip(rest, size);
}

static bool
skip_v6(struct capture *capture, struct rest *rest,
    struct capture_datagram *udp)
{
	const uint8_t *head = rest->at;
	unsigned next;

	if (rest->size < 40)
		return false;
	next = head[6];
	set_address(&udp->from, head + 8, true);
	set_address(&udp->to, head + 24, true);
	if (get16(head + 4) != 0 && get16(head + 4) < rest->size - 40)
		rest->size = 40 + get16(head + 4);
	skip(rest, 40);
	/* Hop-by-hop, routing, destination: next header, length in eights. */
	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
	    next == IPPROTO_DSTOPTS) {
		if (rest->size < 8)
			return false;
		next = rest->at[0];
		if (!skip(rest, ((size_t)rest->at[1] + 1) * 8))
			return false;
	}
	if (next == IPPROTO_FRAGMENT)
		capture->fragments++;
	return next == IPPROTO_UDP;
}

static bool
parse(struct capture *capture, struct rest rest, bool whole,
    struct capture_datagram *udp)
{
	size_t length;
	unsigned version;

	if (!skip_link(capture, &rest) || rest.size == 0)
		return false;
	version = rest.at[0] >> 4;
	if (version == 4 ? !skip_v4(capture, &rest, udp) : version != 6 ||
	    !skip_v6(capture, &rest, udp))
		return false;
	if (rest.size < 8) {
		capture->cut++;
		return false;
	}
	set_port(&udp->from, rest.at);
	set_port(&udp->to, rest.at + 2);
	length = get16(rest.at + 4);
	skip(&rest, 8);
	/* The length is 0 where it does not fit. */
	if (length >= 8 ? length - 8 > rest.size : !whole) {
		capture->cut++;
		return false;
	}
	udp->payload = rest.at;
	udp->size = length >= 8 ? length - 8 : rest.size;
	return true;
}

struct capture *
capture_open(const char *path, char **why)
{
	struct capture *capture = xcalloc(1, sizeof(*capture));
	char error[PCAP_ERRBUF_SIZE];

	capture->file = pcap_open_offline_with_tstamp_precision(path,
	    PCAP_TSTAMP_PRECISION_NANO, error);
	if (capture->file == NULL) {
		*why = xstrdup(error);
		free(capture);
		return NULL;
	}
	capture->link = pcap_datalink(capture->file);
	if (link_known(capture->link))
		return capture;
	*why = xasprintf("frames of type %d are not understood",
	    capture->link);
	capture_close(capture);
	return NULL;
}

void
capture_close(struct capture *capture)
{
	pcap_close(capture->file);
	free(capture);
}

enum capture_status
capture_next(struct capture *capture, struct capture_datagram *datagram,
    const char **why)
{
	struct pcap_pkthdr *head;
	const uint8_t *data;
	int rc;

	while ((rc = pcap_next_ex(capture->file, &head, &data)) == 1) {
		if (!parse(capture, (struct rest){ data, head->caplen },
		    head->caplen >= head->len, datagram))
			continue;
		/* With nanoseconds, whatever the member is called. */
		datagram->time_ns = (uint64_t)head->ts.tv_sec * NS_PER_S +
		    (uint64_t)head->ts.tv_usec;
		return CAPTURE_OK;
	}
	if (rc != PCAP_ERROR)
		return CAPTURE_END;
	*why = pcap_geterr(capture->file);
	return CAPTURE_DAMAGED;
}

void
capture_left_out(const struct capture *capture, uint64_t *fragments,
    uint64_t *cut)
{
	*fragments = capture->fragments;
	*cut = capture->cut;
}
