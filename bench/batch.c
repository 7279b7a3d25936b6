/* SPDX-License-Identifier: ISC */
/*
 * The contender "batch": recvmmsg, sendmmsg, and one write for each block of
 * headers and payloads.  No GRO, no GSO.  Program bench/contender.
 */
#include <sys/socket.h>
#include <sys/time.h>
#include <err.h>
#include <string.h>
#include <unistd.h>

#include "bench/contender.h"
#include "common/util.h"

#define BLOCK_BYTES	(256U * 1024)

/* So that a block does not wait for the next datagram for ever. */
static const struct timeval flush_interval = {.tv_usec = 100000};

static struct {
	struct mmsghdr		rx[BATCH_MAX];
	struct mmsghdr		tx[BATCH_MAX];
	struct iovec		iov[BATCH_MAX];
	struct sockaddr_in	source[BATCH_MAX];
	uint8_t			slot[BATCH_MAX][DATAGRAM_MAX];
	uint8_t			block[BLOCK_BYTES + DATAGRAM_MAX +
				    sizeof(struct stored_header)];
	size_t			used;		/* bytes of the block */
	uint64_t		in_block;	/* datagrams */
	uint64_t		in_file;	/* bytes */
	int			file;
} batch;

static void
write_block(struct contender *contender)
{
	if (batch.used == 0)
		return;
	if (write(batch.file, batch.block, batch.used) !=
	    (ssize_t)batch.used)
		err(1, "write");
	count(&contender->counters->archived, batch.in_block);
	batch.in_file += batch.used;
	batch.used = 0;
	batch.in_block = 0;
	if (batch.in_file >= ROTATE_BYTES) {
		close(batch.file);
		batch.file = contender_next_file(contender);
		batch.in_file = 0;
	}
}

static void
store(struct contender *contender, unsigned i, uint64_t now_ns)
{
	struct stored_header header = {.received_ns = now_ns,
	    .source = batch.source[i], .length = batch.rx[i].msg_len};

	memcpy(batch.block + batch.used, &header, sizeof(header));
	batch.used += sizeof(header);
	memcpy(batch.block + batch.used, batch.slot[i], header.length);
	batch.used += header.length;
	batch.in_block++;
	if (batch.used >= BLOCK_BYTES)
		write_block(contender);
}

static void
send_all(struct contender *contender, unsigned n)
{
	unsigned done = 0, i;
	int sent;

	for (i = 0; i < n; i++) {
		batch.tx[i].msg_hdr = (struct msghdr){
		    .msg_iov = &batch.iov[i], .msg_iovlen = 1};
		batch.iov[i].iov_len = batch.rx[i].msg_len;
	}
	while (done < n) {
		sent = sendmmsg(contender->output, batch.tx + done, n - done,
		    0);
		if (sent > 0)
			count(&contender->counters->relayed, (uint64_t)sent);
		done += sent > 0 ? (unsigned)sent : 1;
	}
}

void
batch_run(struct contender *contender)
{
	uint64_t now_ns;
	unsigned i;
	int n;

	setsockopt(contender->input, SOL_SOCKET, SO_RCVTIMEO, &flush_interval,
	    sizeof(flush_interval));
	batch.file = contender_next_file(contender);
	for (;;) {
		for (i = 0; i < BATCH_MAX; i++) {
			batch.iov[i] = (struct iovec){batch.slot[i],
			    DATAGRAM_MAX};
			batch.rx[i].msg_hdr = (struct msghdr){
			    .msg_name = &batch.source[i],
			    .msg_namelen = sizeof(batch.source[i]),
			    .msg_iov = &batch.iov[i], .msg_iovlen = 1};
		}
		n = recvmmsg(contender->input, batch.rx, BATCH_MAX,
		    MSG_WAITFORONE, NULL);
		if (n <= 0) {
			write_block(contender);
			continue;
		}
		count(&contender->counters->received, (uint64_t)n);
		now_ns = clock_realtime_ns();
		for (i = 0; i < (unsigned)n; i++)
			store(contender, i, now_ns);
		send_all(contender, (unsigned)n);
	}
}
