/* SPDX-License-Identifier: ISC */
/*
 * The contender "floor": what recvmmsg with GRO, sendmmsg with GSO and writev
 * cost at the least.  Nothing is framed, copied, stamped or kept for a
 * successor: payloads go from the landing slots to the group and to the file.
 * Program bench/contender.
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include <netinet/udp.h>
#include <err.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/contender.h"

#define CONTROL_SIZE	CMSG_SPACE(sizeof(int))
/* Coalesced messages are large: few of them fill the cache. */
#define OFFER_COALESCED	8U
#define MESSAGE_SEGMENTS 64U
#define MESSAGE_BYTES	65507U

/* Single datagrams: let some gather, a wake-up costs more than they do. */
static const struct timespec gather = {.tv_nsec = 50000};

static struct {
	struct mmsghdr	rx[BATCH_MAX];
	struct mmsghdr	tx[BATCH_MAX];
	struct iovec	slot_iov[BATCH_MAX];
	struct iovec	iov[BATCH_MAX];
	uint8_t		rx_control[BATCH_MAX][CONTROL_SIZE] ATTR_ALIGNED(8);
	uint8_t		tx_control[BATCH_MAX][CONTROL_SIZE] ATTR_ALIGNED(8);
	uint8_t		slot[BATCH_MAX][DATAGRAM_MAX];
	/* The messages to send. */
	unsigned	messages;
	uint32_t	segment[BATCH_MAX];
	uint32_t	datagrams[BATCH_MAX];
	uint32_t	bytes[BATCH_MAX];
} all;

static uint32_t
segment_of(unsigned i)
{
	struct msghdr *hdr = &all.rx[i].msg_hdr;
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(hdr);
	int size = 0;

	if (cmsg != NULL && cmsg->cmsg_level == SOL_UDP &&
	    cmsg->cmsg_type == UDP_GRO)
		memcpy(&size, CMSG_DATA(cmsg), sizeof(size));
	return size > 0 ? (uint32_t)size : all.rx[i].msg_len;
}

/* Whether what slot i holds can leave with the last message. */
static int
fits(unsigned i, uint32_t segment, uint32_t datagrams)
{
	unsigned last = all.messages - 1;

	return all.messages > 0 && all.segment[last] == segment &&
	    all.bytes[last] == all.datagrams[last] * segment &&
	    all.datagrams[last] + datagrams <= MESSAGE_SEGMENTS &&
	    all.bytes[last] + all.rx[i].msg_len <= MESSAGE_BYTES;
}

/* Adds slot i to the messages; returns its datagrams. */
static uint32_t
plan(unsigned i)
{
	uint32_t segment = segment_of(i), length = all.rx[i].msg_len;
	uint32_t datagrams = segment == 0 ? 1 :
	    (length + segment - 1) / segment;
	struct msghdr *hdr;

	all.iov[i] = (struct iovec){all.slot[i], length};
	if (!fits(i, segment, datagrams)) {
		hdr = &all.tx[all.messages].msg_hdr;
		*hdr = (struct msghdr){.msg_iov = &all.iov[i]};
		all.segment[all.messages] = segment;
		all.datagrams[all.messages] = 0;
		all.bytes[all.messages] = 0;
		all.messages++;
	}
	hdr = &all.tx[all.messages - 1].msg_hdr;
	hdr->msg_iovlen++;
	all.datagrams[all.messages - 1] += datagrams;
	all.bytes[all.messages - 1] += length;
	return datagrams;
}

static void
set_segments(unsigned m)
{
	struct msghdr *hdr = &all.tx[m].msg_hdr;
	uint16_t size = (uint16_t)all.segment[m];
	struct cmsghdr *cmsg;

	if (all.datagrams[m] < 2)
		return;
	hdr->msg_control = all.tx_control[m];
	hdr->msg_controllen = CMSG_SPACE(sizeof(size));
	cmsg = CMSG_FIRSTHDR(hdr);
	cmsg->cmsg_level = SOL_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(cmsg), &size, sizeof(size));
}

static void
send_all(struct contender *contender, uint64_t datagrams)
{
	unsigned done = 0, m;
	int sent;

	for (m = 0; m < all.messages; m++)
		set_segments(m);
	while (done < all.messages) {
		sent = sendmmsg(contender->output, all.tx + done,
		    all.messages - done, 0);
		done += sent > 0 ? (unsigned)sent : 1;
	}
	count(&contender->counters->relayed, datagrams);
}

static int
receive(struct contender *contender, unsigned offered)
{
	unsigned i;

	for (i = 0; i < offered; i++) {
		all.slot_iov[i] = (struct iovec){all.slot[i], DATAGRAM_MAX};
		all.rx[i].msg_hdr = (struct msghdr){
		    .msg_iov = &all.slot_iov[i], .msg_iovlen = 1,
		    .msg_control = all.rx_control[i],
		    .msg_controllen = CONTROL_SIZE};
	}
	return recvmmsg(contender->input, all.rx, offered, MSG_WAITFORONE,
	    NULL);
}

void
floor_run(struct contender *contender)
{
	unsigned offered = BATCH_MAX, n, i;
	int file = contender_next_file(contender), on = 1, got;
	uint64_t datagrams, bytes = 0;
	ssize_t wrote;

	if (setsockopt(contender->input, SOL_UDP, UDP_GRO, &on,
	    sizeof(on)) == -1)
		err(2, "UDP_GRO");
	for (;;) {
		got = receive(contender, offered);
		if (got <= 0)
			continue;
		n = (unsigned)got;
		all.messages = 0;
		for (i = 0, datagrams = 0; i < n; i++)
			datagrams += plan(i);
		count(&contender->counters->received, datagrams);
		send_all(contender, datagrams);
		wrote = writev(file, all.iov, (int)n);
		if (wrote == -1)
			err(1, "write");
		count(&contender->counters->archived, datagrams);
		bytes += (uint64_t)wrote;
		if (bytes >= ROTATE_BYTES) {
			close(file);
			file = contender_next_file(contender);
			bytes = 0;
		}
		if (datagrams == n && n < offered / 2)
			nanosleep(&gather, NULL);
		offered = datagrams > n ? OFFER_COALESCED : BATCH_MAX;
	}
}
