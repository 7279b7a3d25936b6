/* SPDX-License-Identifier: ISC */
/*
 * What it costs to send a batch to several outputs: by one sendmmsg for each,
 * as the worker does, or by one submission to an io_uring for all of them.
 * Started by bench/sends.py, which has listeners that are full:
 *
 *	sends WAY INTERFACE GROUP PORT OUTPUTS MESSAGES BYTES MILLISECONDS
 *
 * WAY is sendmmsg, uring, linked (the messages of an output one after the
 * other, up to the first that fails, as sendmmsg has it) or zero_copy.  Prints
 * nanoseconds of processor time for a message, which part has failed, and
 * which the kernel has copied although it was to be sent without.
 */
#include <sys/socket.h>
#include <arpa/inet.h>
#include <err.h>
#include <net/if.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/util.h"

#define OUTPUTS_MAX	32U
#define MESSAGES_MAX	32U
#define BYTES_MAX	65507U

/* Younger than the headers of Debian 12. */
#define SEND_ZC_REPORT_USAGE	(1U << 3)
#define NOTIF_ZC_COPIED		(1U << 31)
#define OP_SENDMSG_ZC		48

enum way {
	WAY_SENDMMSG,
	WAY_URING,
	WAY_LINKED,
	WAY_ZERO_COPY,
};

struct sends {
	enum way	way;
	unsigned	outputs;
	unsigned	messages;	/* to each, in a batch */
	int		socket[OUTPUTS_MAX];
	struct mmsghdr	msg[MESSAGES_MAX];
	struct iovec	iov;
	struct io_uring	uring;
	uint64_t	sent;
	uint64_t	failed;
	uint64_t	copied;
};

static int
open_output(const char *interface, const char *group, unsigned port)
{
	struct ip_mreqn at = {.imr_ifindex = (int)if_nametoindex(interface)};
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port)};
	int size = 4 << 20;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s == -1 || inet_pton(AF_INET, group, &to.sin_addr) != 1 ||
	    setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &at, sizeof(at)) ==
	    -1 || connect(s, (const struct sockaddr *)&to, sizeof(to)) == -1)
		err(2, "output");
	setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return s;
}

static void
by_sendmmsg(struct sends *sends)
{
	unsigned i, done;
	int n;

	for (i = 0; i < sends->outputs; i++)
		for (done = 0; done < sends->messages; done += (unsigned)n) {
			n = sendmmsg(sends->socket[i], &sends->msg[done],
			    sends->messages - done, MSG_DONTWAIT);
			if (n <= 0) {
				sends->failed++;
				n = 1;
				continue;
			}
			sends->sent += (unsigned)n;
		}
}

static void
prepare(struct sends *sends, unsigned output, unsigned message)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&sends->uring);

	if (sqe == NULL)
		errx(1, "too small a ring");
	io_uring_prep_sendmsg(sqe, (int)output,
	    &sends->msg[message].msg_hdr, MSG_DONTWAIT);
	sqe->flags = IOSQE_FIXED_FILE;
	if (sends->way == WAY_ZERO_COPY) {
		sqe->opcode = OP_SENDMSG_ZC;
		sqe->ioprio = SEND_ZC_REPORT_USAGE;
	}
	if (sends->way == WAY_LINKED && message + 1 < sends->messages)
		sqe->flags |= IOSQE_IO_LINK;
}

/* How many completions are still to come. */
static unsigned
take(struct sends *sends, unsigned awaited)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;

	io_uring_for_each_cqe(&sends->uring, head, cqe) {
		seen++;
		if ((cqe->flags & IORING_CQE_F_NOTIF) != 0) {
			sends->copied += ((uint32_t)cqe->res &
			    NOTIF_ZC_COPIED) != 0;
			awaited--;
			continue;
		}
		if (cqe->res < 0)
			sends->failed++;
		else
			sends->sent++;
		/* Of a copy that was not made there is another to come. */
		if ((cqe->flags & IORING_CQE_F_MORE) == 0)
			awaited--;
	}
	io_uring_cq_advance(&sends->uring, seen);
	return awaited;
}

static void
by_uring(struct sends *sends)
{
	unsigned i, j, awaited = sends->outputs * sends->messages;
	int n;

	for (i = 0; i < sends->outputs; i++)
		for (j = 0; j < sends->messages; j++)
			prepare(sends, i, j);
	n = io_uring_submit_and_wait(&sends->uring, awaited);
	while ((awaited = take(sends, awaited)) > 0 && n >= 0)
		n = io_uring_submit_and_wait(&sends->uring, 1);
	if (n < 0)
		errx(1, "io_uring: %s", strerror(-n));
}

static void
open_ring(struct sends *sends)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
	    IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
	    .cq_entries = 4 * OUTPUTS_MAX * MESSAGES_MAX};
	int error = io_uring_queue_init_params(OUTPUTS_MAX * MESSAGES_MAX,
	    &sends->uring, &params);

	if (error == 0)
		error = io_uring_register_files(&sends->uring, sends->socket,
		    sends->outputs);
	if (error != 0)
		errx(2, "io_uring: %s", strerror(-error));
}

static uint64_t
processor_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void
run(struct sends *sends, uint64_t duration_ns)
{
	uint64_t start = processor_ns(), used;

	do {
		if (sends->way == WAY_SENDMMSG)
			by_sendmmsg(sends);
		else
			by_uring(sends);
		used = processor_ns() - start;
	} while (used < duration_ns);
	printf("%.0f %.3f %.3f\n", (double)used / (double)(sends->sent +
	    sends->failed), (double)sends->failed / (double)(sends->sent +
	    sends->failed), (double)sends->copied / (double)(sends->sent +
	    1));
}

int
main(int argc, char **argv)
{
	static const char *const ways[] = {"sendmmsg", "uring", "linked",
	    "zero_copy"};
	static uint8_t payload[BYTES_MAX];
	static struct sends sends;
	unsigned i;

	if (argc != 9)
		errx(2, "for use by bench/sends.py");
	while (strcmp(ways[sends.way], argv[1]) != 0)
		if (++sends.way == NITEMS(ways))
			errx(2, "%s: no such way", argv[1]);
	sends.outputs = MIN_OF((unsigned)atoi(argv[5]), OUTPUTS_MAX);
	sends.messages = MIN_OF((unsigned)atoi(argv[6]), MESSAGES_MAX);
	sends.iov = (struct iovec){payload, MIN_OF((size_t)atoi(argv[7]),
	    (size_t)BYTES_MAX)};
	for (i = 0; i < sends.messages; i++)
		sends.msg[i].msg_hdr = (struct msghdr){.msg_iov = &sends.iov,
		    .msg_iovlen = 1};
	for (i = 0; i < sends.outputs; i++)
		sends.socket[i] = open_output(argv[2], argv[3],
		    (unsigned)atoi(argv[4]) + i);
	if (sends.way != WAY_SENDMMSG)
		open_ring(&sends);
	run(&sends, strtoull(argv[8], NULL, 10) * NS_PER_MS);
	return 0;
}
