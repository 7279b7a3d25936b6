/* SPDX-License-Identifier: ISC */
/*
 * What test_step.c sends, and where the relay sends it.  For that file only.
 */
#ifndef MCRELAY_STEP_RECEIVER_H
#define MCRELAY_STEP_RECEIVER_H

/* What is in flight: two singles of one size, a coalesced run, two more. */
static const uint32_t	sizes[] = { 40, 40, 30, 30, 30, 12, 40, 9 };
#define DATAGRAMS	NITEMS(sizes)
/* The sender's own number of each, and what there is to count in the first so
 * many: 12, 17, 18 and 19 do not come, 13 and 15 come late, 13 comes twice. */
static const uint8_t	numbers[] = { 10, 11, 14, 13, 13, 16, 15, 20 };
#define NUMBER_AT	1
static const struct {
	unsigned gaps, repeats, reordered;
} counted[DATAGRAMS + 1] = {
	{0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {2, 0, 0}, {1, 0, 1}, {1, 1, 1},
	{2, 1, 1}, {1, 1, 2}, {4, 1, 2}
};

struct receiver {
	int	 socket;	/* bound */
	int	 sender;	/* connected to it */
	bool	 seen[DATAGRAMS];
	unsigned count;		/* of these */
	unsigned last;		/* that came */
};

/* Where a message is sent by itself nothing says whether it had left when its
 * sender was killed (common/messages.h): the last one may come again. */
static bool
may_come_again(const struct receiver *receiver, unsigned i)
{
#ifdef HAVE_LINUX
	(void)receiver;
	(void)i;
	return false;
#else
	return receiver->count > 0 && receiver->last == i;
#endif
}

static void
receiver_open(struct receiver *receiver)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	memset(receiver, 0, sizeof(*receiver));
	receiver->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(receiver->socket, (void *)&address,
	    sizeof(address)), 0);
	getsockname(receiver->socket, (void *)&address, &length);
	receiver->sender = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(connect(receiver->sender, (void *)&address,
	    sizeof(address)), 0);
}

static void
receiver_close(struct receiver *receiver)
{
	close(receiver->socket);
	close(receiver->sender);
}

static void
receiver_clear(struct receiver *receiver)
{
	memset(receiver->seen, 0, sizeof(receiver->seen));
	receiver->count = 0;
}

/* So that `to' goes on from there. */
static void
receiver_copy(struct receiver *to, const struct receiver *from)
{
	memcpy(to->seen, from->seen, sizeof(to->seen));
	to->count = from->count;
	to->last = from->last;
}

/* Takes what has arrived: each datagram must be whole, and new. */
static void
receiver_drain(struct receiver *receiver)
{
	uint8_t payload[256];
	ssize_t size;

	while ((size = recv(receiver->socket, payload, sizeof(payload),
	    0)) >= 0) {
		assert_true(size > 0 && payload[0] < DATAGRAMS);
		assert_int_equal(size, sizes[payload[0]]);
		assert_int_equal(payload[size - 1], payload[0]);
		if (receiver->seen[payload[0]] &&
		    may_come_again(receiver, payload[0]))
			continue;
		assert_false(receiver->seen[payload[0]]);
		receiver->seen[payload[0]] = true;
		receiver->count++;
		receiver->last = payload[0];
	}
}

/* Those of both. */
static unsigned
receivers_count(const struct receiver *before, const struct receiver *after)
{
	unsigned i, count = 0;

	for (i = 0; i < DATAGRAMS; i++)
		if (before->seen[i] || after->seen[i])
			count++;
	return count;
}

/* Until both together have `count': a busy kernel leaves it to a thread of its
 * own (ksoftirqd) to deliver what was sent. */
static void
receivers_wait(struct receiver *before, struct receiver *after,
    unsigned count)
{
	struct pollfd sockets[] = {
		{.fd = before->socket, .events = POLLIN},
		{.fd = after->socket, .events = POLLIN}};

	receiver_drain(after);
	while (receivers_count(before, after) < count &&
	    poll(sockets, 2, 1000) > 0) {
		receiver_drain(before);
		receiver_drain(after);
	}
}

/* Whether the first `count' have been sent, by one of both. */
static void
receivers_check(const struct receiver *before, const struct receiver *after,
    unsigned count)
{
	unsigned i;

	for (i = 0; i < DATAGRAMS; i++)
		if ((before->seen[i] || after->seen[i]) != (i < count) ||
		    (before->seen[i] && after->seen[i] &&
		    !may_come_again(before, i)))
			fail_msg("of %u datagrams number %u was sent %d times "
			    "before and %d times after", count, i,
			    before->seen[i], after->seen[i]);
}

#endif /* MCRELAY_STEP_RECEIVER_H */
