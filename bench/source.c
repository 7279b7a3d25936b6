/* SPDX-License-Identifier: ISC */
/*
 * Sources on loopback, and the start of all sources.  Program bench/source,
 * started by bench/run:
 *
 *	source plain|coalesced|nic ADDRESS PORT BYTES RATE MILLISECONDS
 *	    [OUT IN]
 *	source many ADDRESS PORT BYTES RATE MILLISECONDS PORTS
 *
 * "many" sends to PORTS ports in turn, from PORT on.
 *
 * Prints how many datagrams it has sent, and in how many nanoseconds.
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/source.h"
#include "common/util.h"

#define MESSAGES_MAX	64U
#define COALESCED_MAX	8U	/* messages of up to 64 KiB in one call */
#define SEGMENTS_MAX	64U
#define BYTES_MAX	65507U
#define PORTS_MAX	1000U
#define TICK_NS		100000	/* sleep between batches */

static const struct {
	const char	*name;
	uint64_t	(*send)(const struct source_spec *);
} kinds[] = {
	{"plain", plain_send},
	{"coalesced", coalesced_send},
	{"nic", nic_send},
	{"many", many_send},
};

/* Messages that all show the same bytes. */
struct messages {
	int		socket;
	uint32_t	datagrams;	/* in one message */
	unsigned	max;		/* messages in one call */
	struct mmsghdr	msg[MESSAGES_MAX];
	struct iovec	iov;
	struct sockaddr_in name[PORTS_MAX];
	unsigned	names;		/* 0: all to one */
	unsigned	next;		/* of them */
	uint8_t		payload[BYTES_MAX];
};

static void
open_messages(struct messages *messages, const struct source_spec *spec,
    uint32_t datagrams, unsigned max)
{
	int size = 4 << 20, segment = (int)spec->size;
	unsigned i;

	messages->datagrams = datagrams;
	messages->max = max;
	messages->iov = (struct iovec){messages->payload,
	    (size_t)spec->size * datagrams};
	for (i = 0; i < MESSAGES_MAX; i++)
		messages->msg[i].msg_hdr = (struct msghdr){
		    .msg_iov = &messages->iov, .msg_iovlen = 1};
	messages->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (messages->socket == -1 || connect(messages->socket,
	    (const struct sockaddr *)&spec->destination,
	    sizeof(spec->destination)) == -1)
		err(2, "socket");
	setsockopt(messages->socket, SOL_SOCKET, SO_SNDBUF, &size,
	    sizeof(size));
	if (datagrams > 1 && setsockopt(messages->socket, SOL_UDP,
	    UDP_SEGMENT, &segment, sizeof(segment)) == -1)
		err(2, "UDP_SEGMENT");
}

/* Those that come next, to one port each. */
static void
address(struct messages *messages, unsigned n)
{
	struct msghdr *hdr;
	unsigned i;

	for (i = 0; i < n && messages->names > 0; i++) {
		hdr = &messages->msg[i].msg_hdr;
		hdr->msg_name = &messages->name[(messages->next + i) %
		    messages->names];
		hdr->msg_namelen = sizeof(messages->name[0]);
	}
}

/* Sends `n' messages: all of them, whatever the socket says in between. */
static void
send_messages(struct messages *messages, unsigned n)
{
	int sent;

	while (n > 0) {
		address(messages, n);
		sent = sendmmsg(messages->socket, messages->msg, n, 0);
		if (sent <= 0)
			continue;
		n -= (unsigned)sent;
		messages->next += (unsigned)sent;
	}
}

static uint64_t
send_paced(struct messages *messages, const struct source_spec *spec)
{
	static const struct timespec tick = {.tv_nsec = TICK_NS};
	uint64_t start = clock_monotonic_ns(), sent = 0, now, due, n;
	uint64_t limit = source_limit(spec);

	for (;;) {
		now = clock_monotonic_ns() - start;
		due = spec->rate == 0 ? UINT64_MAX : MIN_OF(limit,
		    (uint64_t)((double)now * (double)spec->rate / 1e9));
		n = (due - sent) / messages->datagrams;
		if (sent + messages->datagrams > limit ||
		    now > spec->duration_ns + spec->duration_ns / 8)
			break;
		if (n == 0) {
			nanosleep(&tick, NULL);
			continue;
		}
		n = MIN_OF(n, (uint64_t)messages->max);
		send_messages(messages, (unsigned)n);
		sent += n * messages->datagrams;
	}
	return sent;
}

uint64_t
plain_send(const struct source_spec *spec)
{
	static struct messages messages;

	open_messages(&messages, spec, 1, MESSAGES_MAX);
	return send_paced(&messages, spec);
}

uint64_t
many_send(const struct source_spec *spec)
{
	static struct messages messages;
	unsigned i;

	open_messages(&messages, spec, 1, MESSAGES_MAX);
	messages.names = MIN_OF(spec->ports, PORTS_MAX);
	for (i = 0; i < messages.names; i++) {
		messages.name[i] = spec->destination;
		messages.name[i].sin_port = htons((uint16_t)(ntohs(
		    spec->destination.sin_port) + i));
	}
	return send_paced(&messages, spec);
}

uint64_t
coalesced_send(const struct source_spec *spec)
{
	static struct messages messages;

	open_messages(&messages, spec,
	    MIN_OF(BYTES_MAX / spec->size, SEGMENTS_MAX), COALESCED_MAX);
	return send_paced(&messages, spec);
}

static void
parse(struct source_spec *spec, int argc, char **argv)
{
	spec->destination.sin_family = AF_INET;
	spec->destination.sin_port = htons((uint16_t)atoi(argv[3]));
	if (inet_pton(AF_INET, argv[2], &spec->destination.sin_addr) != 1)
		errx(2, "%s: not an IPv4 address", argv[2]);
	spec->size = (uint32_t)atoi(argv[4]);
	if (spec->size == 0 || spec->size > BYTES_MAX)
		errx(2, "%s: not a size", argv[4]);
	spec->rate = strtoull(argv[5], NULL, 10);
	spec->duration_ns = strtoull(argv[6], NULL, 10) * NS_PER_MS;
	if (argc == 8)
		spec->ports = (unsigned)atoi(argv[7]);
	if (argc > 8) {
		spec->out = argv[7];
		spec->in = argv[8];
	}
}

int
main(int argc, char **argv)
{
	struct source_spec spec = {0};
	uint64_t start, sent;
	size_t i;

	if (argc < 7)
		errx(2, "for use by bench/run");
	parse(&spec, argc, argv);
	prctl(PR_SET_TIMERSLACK, 1UL);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, argv[1]) != 0)
			continue;
		start = clock_monotonic_ns();
		sent = kinds[i].send(&spec);
		printf("%" PRIu64 " %" PRIu64 "\n", sent,
		    clock_monotonic_ns() - start);
		return 0;
	}
	errx(2, "%s: no such source", argv[1]);
}
