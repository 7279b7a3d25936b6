/* SPDX-License-Identifier: ISC */
/*
 * Batches of datagrams on their way into the kernel.  Tools.
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/messages.h"
#include "common/udp.h"
#include "common/util.h"
#include "tools/common/batch.h"
#include "tools/common/stop.h"

/* The kernel takes no more in one UDP_SEGMENT message (newer ones do). */
#define SEGMENTS_MAX	64
/* Room for a full message of every kind; a batch that is filled goes early. */
#define ARENA_SIZE	(64 * DATAGRAM_MAX)
/* How long to leave a network alone that could not take a datagram. */
#define RETRY_NS	(1 * NS_PER_MS)

/* A message is one datagram, or a run of equal ones (the last one may be
 * shorter), contiguous in the arena. */
struct message {
	uint32_t	datagrams;
	uint32_t	segment;	/* size of the first */
	size_t		bytes;
	const struct sockaddr_storage *to;	/* NULL: connected */
};

struct batch {
	int		 fd;
	enum batch_coalesce coalesce;
	bool		 closed;	/* the last message takes no more */
	unsigned	 messages;
	unsigned	 datagrams;
	size_t		 used;		/* of the arena */
	uint8_t		*arena;
	struct message	 message[BATCH_MAX];
	struct mmsghdr	 header[BATCH_MAX];
	struct iovec	 iov[BATCH_MAX];
	uint8_t		 control[BATCH_MAX][UDP_SEGMENT_SPACE]
			    ATTR_ALIGNED(CACHE_LINE);
};

struct batch *
batch_new(int fd, enum batch_coalesce coalesce)
{
	struct batch *batch = aligned_alloc(CACHE_LINE, sizeof(*batch));

	if (batch == NULL)
		fatal("cannot allocate a batch");
	memset(batch, 0, sizeof(*batch));
	batch->fd = fd;
	batch->coalesce = udp_sends_runs() ? coalesce : BATCH_SINGLE;
	batch->arena = xmalloc(ARENA_SIZE);
	return batch;
}

void
batch_free(struct batch *batch)
{
	free(batch->arena);
	free(batch);
}

bool
batch_has_room(const struct batch *batch)
{
	return batch->datagrams < BATCH_MAX &&
	    batch->used + DATAGRAM_MAX <= ARENA_SIZE;
}

unsigned
batch_datagrams(const struct batch *batch)
{
	return batch->datagrams;
}

uint8_t *
batch_next(struct batch *batch)
{
	return batch->arena + batch->used;
}

static bool
joins(const struct batch *batch, size_t size,
    const struct sockaddr_storage *to)
{
	const struct message *last;

	if (batch->coalesce == BATCH_SINGLE || batch->messages == 0 ||
	    batch->closed)
		return false;
	last = &batch->message[batch->messages - 1];
	/* An empty datagram would vanish at the end of a message. */
	return to == last->to && size > 0 && size <= last->segment &&
	    last->datagrams < SEGMENTS_MAX &&
	    last->bytes + size <= DATAGRAM_MAX;
}

void
batch_add(struct batch *batch, size_t size)
{
	batch_add_to(batch, size, NULL);
}

void
batch_add_to(struct batch *batch, size_t size,
    const struct sockaddr_storage *to)
{
	struct message *message;

	assert(batch_has_room(batch) && size <= DATAGRAM_MAX);
	if (joins(batch, size, to)) {
		message = &batch->message[batch->messages - 1];
		batch->iov[batch->messages - 1].iov_len += size;
		batch->closed = size < message->segment;
	} else {
		message = &batch->message[batch->messages];
		*message = (struct message){ .segment = (uint32_t)size,
		    .to = to };
		batch->iov[batch->messages] = (struct iovec){
			.iov_base = batch_next(batch),
			.iov_len = size,
		};
		batch->messages++;
		batch->closed = false;
	}
	message->datagrams++;
	message->bytes += size;
	batch->used += size;
	batch->datagrams++;
}

static void
set_name(struct msghdr *header, const struct sockaddr_storage *to)
{
	header->msg_name = (void *)(uintptr_t)to;
	header->msg_namelen = sockaddr_size((const void *)to);
}

static void
build_headers(struct batch *batch)
{
	struct msghdr *header;

	for (unsigned i = 0; i < batch->messages; i++) {
		header = &batch->header[i].msg_hdr;
		*header = (struct msghdr){
			.msg_iov = &batch->iov[i],
			.msg_iovlen = 1,
		};
		if (batch->message[i].to != NULL)
			set_name(header, batch->message[i].to);
		if (batch->message[i].datagrams == 1)
			continue;
		udp_put_segment(header, batch->control[i],
		    (uint16_t)batch->message[i].segment);
	}
}

static void
wait_writable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

	poll(&pollfd, 1, (int)(STOP_WAIT_MAX_NS / NS_PER_MS));
}

static void
wait_retry(void)
{
	const struct timespec pause = { .tv_nsec = RETRY_NS };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* Counts the error and waits until it may have passed; false: it will not. */
static bool
handle_error(const struct batch *batch, struct send_counts *counts)
{
	switch (errno) {
	case EINTR:
		return true;
	case EAGAIN:
		counts->full++;
		wait_writable(batch->fd);
		return true;
	case ECONNREFUSED:
		/* About an earlier datagram; this one was not tried. */
		counts->refused++;
		return true;
	case ENOBUFS:
	case ENOMEM:
		counts->no_buffers++;
		wait_retry();
		return true;
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case EPERM:	/* a packet filter */
		counts->unreachable++;
		wait_retry();
		return true;
	case EMSGSIZE:
	case EINVAL:
	case EIO:
		if (batch->coalesce == BATCH_COALESCE) {
			log_warn("cannot send coalesced datagrams of this "
			    "size this way (try without -c)");
			return false;
		}
		/* FALLTHROUGH */
	default:
		log_warn("cannot send");
		return false;
	}
}

static void
count_sent(const struct batch *batch, unsigned from, unsigned messages,
    struct send_counts *counts)
{
	for (unsigned i = from; i < from + messages; i++) {
		counts->datagrams += batch->message[i].datagrams;
		counts->bytes += batch->message[i].bytes;
	}
}

/* Whether the route refused a message for being coalesced. */
static bool
refused_coalesced(const struct batch *batch, unsigned message)
{
	return batch->coalesce == BATCH_MAY_COALESCE &&
	    batch->message[message].datagrams > 1 &&
	    (errno == EMSGSIZE || errno == EINVAL || errno == EIO);
}

/* Whether it is an address of several that cannot be reached. */
static bool
out_of_reach(const struct batch *batch, unsigned message)
{
	return batch->message[message].to != NULL && (errno == ENETDOWN ||
	    errno == ENETUNREACH || errno == EHOSTDOWN ||
	    errno == EHOSTUNREACH || errno == EPERM || errno == EACCES);
}

/* Makes single datagrams of the messages from `done' on, now and from now. */
static void
split(struct batch *batch, unsigned done)
{
	const struct sockaddr_storage *to[BATCH_MAX];
	uint32_t size[BATCH_MAX];
	unsigned n = 0;
	uint8_t *data = batch->iov[done].iov_base;
	size_t left;

	for (unsigned i = done; i < batch->messages; i++)
		for (left = batch->message[i].bytes; n < BATCH_MAX; ) {
			to[n] = batch->message[i].to;
			size[n] = (uint32_t)MIN_OF(left,
			    (size_t)batch->message[i].segment);
			left -= size[n++];
			if (left == 0)
				break;
		}
	batch->coalesce = BATCH_SINGLE;
	batch->messages = batch->datagrams = 0;
	batch->used = (size_t)(data - batch->arena);
	for (unsigned i = 0; i < n; i++)
		batch_add_to(batch, size[i], to[i]);
	build_headers(batch);
}

static bool
send_all(struct batch *batch, uint64_t deadline_ns,
    struct send_counts *counts)
{
	unsigned done = 0;
	int n;

	while (done < batch->messages) {
		n = messages_send(batch->fd, &batch->header[done],
		    batch->messages - done);
		if (n > 0) {
			count_sent(batch, done, (unsigned)n, counts);
			done += (unsigned)n;
		} else if (out_of_reach(batch, done)) {
			counts->unreachable +=
			    batch->message[done++].datagrams;
		} else if (refused_coalesced(batch, done)) {
			split(batch, done);
			done = 0;
		} else if (!handle_error(batch, counts))
			return false;
		else if (stop_requested() || (deadline_ns != 0 &&
		    clock_monotonic_ns() >= deadline_ns))
			break;
	}
	return true;
}

bool
batch_send(struct batch *batch, uint64_t deadline_ns,
    struct send_counts *counts)
{
	bool good;

	build_headers(batch);
	good = send_all(batch, deadline_ns, counts);
	batch->messages = batch->datagrams = 0;
	batch->used = 0;
	return good;
}
