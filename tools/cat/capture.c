/* SPDX-License-Identifier: ISC */
/*
 * Captures (pcap and pcapng, by libpcap): their UDP datagrams as the records
 * that mcrelay-worker would have archived.  mcrelay-cat.  The packets are
 * anybody's: each length is bounded by what was captured.
 */
#include <netinet/in.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/cat/cat.h"
#include "tools/common/endpoint.h"

#define ETHERTYPE_V4	0x0800U
#define ETHERTYPE_V6	0x86ddU
#define ETHERTYPE_VLAN	0x8100U
#define ETHERTYPE_QINQ	0x88a8U
#define FRAGMENTED	0x3fffU	/* more follow, or an offset */

struct capture {
	struct cat		*cat;
	const char		*path;
	int			 link;		/* DLT_* */
	struct records		 records;
	struct buffer		 record;
	uint64_t		 sequence;
	uint64_t		 cut;		/* not captured whole */
	uint64_t		 fragments;
	/* Where all datagrams so far went; AF_UNSPEC: here and there. */
	struct sockaddr_storage	 to;
};

/* What is left of a packet. */
struct rest {
	const uint8_t	*at;
	size_t		 size;
};

struct udp {
	struct sockaddr_storage	 from;
	struct sockaddr_storage	 to;
	struct rest		 payload;
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
skip_v4(struct capture *capture, struct rest *rest, struct udp *udp)
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
skip_v6(struct capture *capture, struct rest *rest, struct udp *udp)
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
parse(struct capture *capture, struct rest rest, bool whole, struct udp *udp)
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
	udp->payload = rest;
	if (length >= 8)
		udp->payload.size = length - 8;
	return true;
}

static void
show_datagram(struct capture *capture, const struct pcap_pkthdr *head,
    const struct udp *udp)
{
	/* With nanoseconds, whatever the member is called. */
	const uint64_t time_ns = (uint64_t)head->ts.tv_sec * NS_PER_S +
	    (uint64_t)head->ts.tv_usec;

	cat_record(&capture->record, time_ns, capture->sequence++,
	    &udp->from, udp->payload.at, udp->payload.size);
	cat_show(capture->cat, capture->record.data,
	    capture->record.data + capture->record.size);
}

static void
see_destination(struct capture *capture, const struct udp *udp)
{
	if (capture->sequence++ == 0)
		capture->to = udp->to;
	else if (memcmp(&capture->to, &udp->to, sizeof(udp->to)) != 0)
		capture->to.ss_family = AF_UNSPEC;
}

/* Goes through the file; `show' its datagrams, or only see where they went.
 * False after a log line. */
static bool
run(struct capture *capture, bool show)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *file = pcap_open_offline_with_tstamp_precision(capture->path,
	    PCAP_TSTAMP_PRECISION_NANO, error);
	struct pcap_pkthdr *head;
	const uint8_t *data;
	struct udp udp;
	int rc = 0;

	if (file == NULL) {
		log_warnx("%s: %s", capture->path, error);
		return false;
	}
	capture->link = pcap_datalink(file);
	if (!link_known(capture->link)) {
		log_warnx("%s: frames of type %d are not understood",
		    capture->path, capture->link);
		pcap_close(file);
		return false;
	}
	while (!cat_done(capture->cat) &&
	    (rc = pcap_next_ex(file, &head, &data)) == 1) {
		if (!parse(capture, (struct rest){ data, head->caplen },
		    head->caplen >= head->len, &udp))
			continue;
		if (show)
			show_datagram(capture, head, &udp);
		else
			see_destination(capture, &udp);
	}
	if (rc == PCAP_ERROR && show)
		cat_partly(capture->cat, "%s: %s", capture->path,
		    pcap_geterr(file));
	pcap_close(file);
	return true;
}

static void
report(struct capture *capture)
{
	if (capture->fragments != 0)
		cat_partly(capture->cat, "%s: %" PRIu64 " fragments of "
		    "datagrams are left out", capture->path,
		    capture->fragments);
	if (capture->cut != 0)
		cat_partly(capture->cat, "%s: %" PRIu64 " datagrams are left "
		    "out: they were not captured whole", capture->path,
		    capture->cut);
}

void
capture_run(struct cat *cat, const char *path)
{
	struct capture capture = { .cat = cat, .path = path };
	struct shape shape = {
		.path = path,
		.records = &capture.records,
		.schema = records_datagram_schema,
		.schema_size = strlen(records_datagram_schema),
	};

	(void)records_open(&capture.records, shape.schema,
	    shape.schema_size);
	cat->failed = !run(&capture, false);
	if (!cat->failed) {
		shape.to = capture.to;
		capture.sequence = capture.cut = capture.fragments = 0;
		if (cat_begin(cat, &shape) && run(&capture, true))
			report(&capture);
	}
	records_free(&capture.records);
	free(capture.record.data);
}
