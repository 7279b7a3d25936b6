/* SPDX-License-Identifier: ISC */
/*
 * The back end of ingest by an AF_XDP socket, with the ordinary one beside it
 * for what the program at the interface lets pass (bpf/xdp_input.bpf.c).
 * Worker, relay thread only.  Must not allocate or lock while it receives, nor
 * ask the clock but once a batch.
 *
 * The supervisor has the socket and the memory, so both outlive the worker.
 * Where the rings are follows from one number, how many descriptors have been
 * committed (input_state.xdp_frames):
 *
 *	1. read descriptors behind it; write their frames into the places of the
 *	   fill ring that come next, which the kernel does not look at yet
 *	2. commit the records and the number, at once
 *	3. publish the fill ring's producer and the receive ring's consumer
 *
 * A successor does 3 for the number that it finds (xdp_rings_settle).  What was
 * not committed is still in the ring then, and in its frames.
 *
 * What comes by this socket and what comes by the one beside is in no order.
 */
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/inputs.h"
#include "common/util.h"
#include "common/xdp_rings.h"
#include "worker/ingest_ops.h"
#include "worker/ingest_xdp.h"
#include "worker/xdp_frame.h"

/* Batches after which the ordinary socket has its turn, however much comes. */
#define TURNS		16U

/* Frames of a batch: they and their copies stay in the second-level cache. */
#define BATCH_FRAMES	256U
/* What leaves in one message. */
#define RUN_FRAMES	64U
#define RUN_BYTES	65507U
/* What comes later than the first of a run has a time of its own. */
#define RUN_NS		(100 * NS_PER_US)
/* How long it may take to look at clocks, and how often it is tried. */
#define LOOK_NS		(5 * NS_PER_US)
#define LOOKS		3U

struct ingest_frames {
	struct xdp_rings	 rings;
	int			 socket;	/* not owned */
	int			 readable;	/* an epoll of both */
	uint64_t		 cookie;
	const uint8_t		*memory;
	size_t			 size;
	bool			 trust;
	unsigned		 turn;
	/* Clocks when the batch was taken; and when the last frame came. */
	uint64_t		 monotonic_ns;
	uint64_t		 realtime_ns;
	uint64_t		 last_ns;
	unsigned		 took;	/* frames of the batch */
	/* Where the payload of each lies. */
	const uint8_t		*payload[BATCH_FRAMES];
};

/*** Setting up. ***/

static int
failed(char *why, const char *what)
{
	snprintf(why, INGEST_XDP_WHY_SIZE, "%s: %s", what, strerror(errno));
	return -1;
}

static int
map_all(struct ingest_frames *frames, int memory, char *why)
{
	uint32_t count;
	struct stat st;
	void *at;

	if (fstat(memory, &st) == -1)
		return failed(why, "the memory of an AF_XDP socket");
	frames->size = (size_t)st.st_size;
	count = (uint32_t)(frames->size / XDP_FRAME_SIZE);
	errno = EINVAL;
	if (count < XDP_FRAMES_MIN || count > XDP_FRAMES_MAX ||
	    (count & (count - 1)) != 0)
		return failed(why, "the size of an AF_XDP socket's memory");
	at = mmap(NULL, frames->size, PROT_READ, MAP_SHARED | MAP_POPULATE,
	    memory, 0);
	if (at == MAP_FAILED)
		return failed(why, "mapping the memory of an AF_XDP socket");
	frames->memory = at;
	if (xdp_rings_map(&frames->rings, frames->socket, count) == -1)
		return failed(why, "mapping the rings of an AF_XDP socket");
	return 0;
}

static int
watch_both(struct ingest_frames *frames, int beside, char *why)
{
	struct epoll_event event = {.events = EPOLLIN};

	frames->readable = epoll_create1(EPOLL_CLOEXEC);
	if (frames->readable == -1 || epoll_ctl(frames->readable,
	    EPOLL_CTL_ADD, frames->socket, &event) == -1 ||
	    epoll_ctl(frames->readable, EPOLL_CTL_ADD, beside, &event) == -1)
		return failed(why, "waiting for an AF_XDP socket");
	return 0;
}

struct ingest_frames *
ingest_frames_open(const struct segment *segment, int socket, int memory,
    int beside, char why[static INGEST_XDP_WHY_SIZE])
{
	struct ingest_frames *frames = xcalloc(1, sizeof(*frames));

	frames->socket = socket;
	frames->readable = -1;
	frames->cookie = segment->state->xdp_socket;
	frames->trust = segment->input[0].trust != 0;
	if (map_all(frames, memory, why) == 0 &&
	    watch_both(frames, beside, why) == 0)
		return frames;
	ingest_frames_close(frames);
	return NULL;
}

void
ingest_frames_close(struct ingest_frames *frames)
{
	if (frames == NULL)
		return;
	xdp_rings_unmap(&frames->rings);
	if (frames->memory != NULL)
		(void)munmap((void *)(uintptr_t)frames->memory, frames->size);
	if (frames->readable != -1)
		close(frames->readable);
	free(frames);
}

static uint64_t
committed(const struct ingest *ingest)
{
	const struct segment *segment = ingest->segment;

	return inputs_of(segment, ingest_current(&segment->state->ingest))
	    [0].xdp_frames;
}

/* Of a socket that no worker has had yet nothing is committed. */
static void
adopt(const struct ingest *ingest)
{
	const struct segment *segment = ingest->segment;
	struct input_state *input = inputs_of(segment,
	    ingest_current(&segment->state->ingest));

	if (input->xdp_socket == ingest->frames->cookie)
		return;
	input = inputs_of(segment, inputs_begin(segment));
	input->xdp_socket = ingest->frames->cookie;
	input->xdp_frames = 0;
	input->xdp_drops_seen = 0;
	ingest_commit(&segment->state->ingest);
}

static void
xdp_committed(const struct ingest *ingest)
{
	xdp_rings_settle(&ingest->frames->rings, committed(ingest));
}

/* What was in flight by this way is in its ring. */
static bool
xdp_recover(struct ingest *ingest ATTR_UNUSED, unsigned *n ATTR_UNUSED)
{
	return false;
}

static void
xdp_open(struct ingest *ingest)
{
	adopt(ingest);
	xdp_committed(ingest);
	ingest_socket.open(ingest);
	ingest->each[0].readable = ingest->frames->readable;
}

/*** Receiving. ***/

/* Both at about one time, unless somebody has the core whenever we look.  What
 * waits has been seen before. */
static void
read_clocks(struct ingest_frames *frames)
{
	unsigned i;

	for (i = 0; i < LOOKS; i++) {
		frames->monotonic_ns = clock_monotonic_ns();
		frames->realtime_ns = clock_realtime_ns();
		if (LIKELY(clock_monotonic_ns() - frames->monotonic_ns <
		    LOOK_NS))
			break;
	}
}

/*
 * When the program saw the frame at an address, by CLOCK_REALTIME; 0: it did
 * not say.  One has come before another, so what is older is of a frame that
 * was there before.
 */
static uint64_t
seen_ns(struct ingest_frames *frames, uint64_t address)
{
	struct xdp_stamp stamp = {0};

	if (address >= sizeof(stamp))
		memcpy(&stamp, frames->memory + address - sizeof(stamp),
		    sizeof(stamp));
	stamp.seen_ns = MAX_OF(stamp.seen_ns, frames->last_ns);
	if (stamp.seen_ns == 0 || stamp.seen_ns > frames->monotonic_ns)
		return 0;
	frames->last_ns = stamp.seen_ns;
	return frames->realtime_ns - (frames->monotonic_ns - stamp.seen_ns);
}

/* Who has the memory is trusted as little as anybody. */
static void
read_frame(struct ingest_frames *frames, const struct xdp_desc *desc,
    struct arrival *arrival)
{
	if (desc->addr >= frames->size ||
	    desc->len > frames->size - desc->addr) {
		*arrival = (struct arrival){.broken = true};
		return;
	}
	arrival->broken = !xdp_frame_read(frames->memory + desc->addr,
	    desc->len, frames->trust, arrival);
	arrival->record.received_ns = seen_ns(frames, desc->addr);
}

/*
 * Makes a datagram the next of a run, as the kernel joins them for a socket: of
 * one sender and one size.  False: it is none.
 */
static bool
join(const struct ingest_frames *frames, struct arrival *run, unsigned i,
    const struct arrival *next)
{
	const struct ring_record *one = &next->record;
	struct ring_record *all = &run->record;
	const uint8_t *const *at = &frames->payload[i];
	uint32_t size = run->each == NULL ? all->length : all->datagram_size;

	if (size == 0 || size != one->length || run->broken ||
	    next->broken || (run->each != NULL &&
	    at - run->each == RUN_FRAMES) ||
	    all->length + size > RUN_BYTES || one->port != all->port ||
	    one->family != all->family || one->received_ns -
	    all->received_ns > RUN_NS || memcmp(one->address, all->address,
	    sizeof(one->address)) != 0)
		return false;
	if (run->each == NULL) {
		all->datagram_size = (uint16_t)size;
		run->each = at - 1;
	}
	all->length += size;
	return true;
}

/*
 * How many messages have come, at the most `offered': runs of datagrams whose
 * frames go back to the kernel with the commit.
 */
static unsigned
take(struct ingest *ingest, unsigned offered)
{
	struct ingest_frames *frames = ingest->frames;
	const struct xdp_rings *rings = &frames->rings;
	uint32_t mask = rings->frames - 1;
	uint32_t at = (uint32_t)committed(ingest);
	uint32_t waiting = xdp_rings_waiting(rings, at), i;
	const struct xdp_desc *desc;
	struct arrival next;
	unsigned n = 0;

	read_clocks(frames);
	for (i = 0; i < MIN_OF(waiting, BATCH_FRAMES); i++, at++) {
		desc = &rings->receive[at & mask];
		read_frame(frames, desc, &next);
		frames->payload[i] = next.rest;
		if (n == 0 || !join(frames, &ingest->arrival[n - 1], i,
		    &next)) {
			if (n == offered)
				break;
			ingest->arrival[n++] = next;
		}
		rings->fill[at & mask] = desc->addr;
	}
	frames->took = i;
	ingest->full = i < waiting;
	return n;
}

static int
xdp_receive(struct ingest *ingest, unsigned offered)
{
	struct ingest_frames *frames = ingest->frames;
	unsigned n;
	int m;

	frames->took = 0;
	if (++frames->turn % TURNS == 0) {
		m = ingest_socket.receive(ingest, offered);
		if (m > 0)
			return m;
	}
	n = take(ingest, offered);
	return n > 0 ? (int)n : ingest_socket.receive(ingest, offered);
}

static void
xdp_count(const struct ingest *ingest, struct input_state *input,
    unsigned n ATTR_UNUSED)
{
	input->xdp_frames += ingest->frames->took;
}

static bool
xdp_look(const struct ingest *ingest, unsigned input, struct ingest_look *look)
{
	struct xdp_statistics said;
	socklen_t size = sizeof(said);

	memset(&said, 0, sizeof(said));
	if (!ingest_socket.look(ingest, input, look))
		return false;
	if (getsockopt(ingest->frames->socket, SOL_XDP, XDP_STATISTICS, &said,
	    &size) == 0)
		look->xdp_drops = (uint32_t)(said.rx_dropped +
		    said.rx_ring_full);
	return true;
}

const struct ingest_ops ingest_xdp = {
	.beside = true,
	.recover = xdp_recover,
	.open = xdp_open,
	.receive = xdp_receive,
	.count = xdp_count,
	.committed = xdp_committed,
	.look = xdp_look,
};
