/* SPDX-License-Identifier: ISC */
/*
 * The sink: receives, judges, and says so.  mcrelay-gen.
 *
 * Nothing is allocated for a datagram.  Coalesced arrivals are taken apart
 * by the segment size that comes with them.
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include <endian.h>
#include <errno.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/messages.h"
#include "common/udp.h"
#include "common/util.h"
#include "tools/common/endpoint.h"
#include "tools/common/stop.h"
#include "tools/gen/gen.h"
#include "tools/gen/tally.h"

/* Messages taken at once; each may be 64 coalesced datagrams. */
#define SLOTS		64
#define SLOT_SIZE	65536
/* Time stamp and segment size. */
#define CONTROL_SIZE \
	(CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(int)))
/* A full buffer of the dump is one write(2). */
#define DUMP_BUFFER	(1024 * 1024)

/* glibc has the one of two that this option's value needs. */
#ifndef SCM_TIMESTAMPNS
#define SCM_TIMESTAMPNS	SO_TIMESTAMPNS
#endif

struct sink {
	const struct gen_options *options;
	int			 fd;
	FILE			*dump;
	struct tally		 tally;
	bool			 failed;
	uint32_t		 dropped_before;	/* kernel's count */
	int			 receive_buffer;	/* bytes, granted */
	uint64_t		 ready_ns;	/* CLOCK_MONOTONIC, as below */
	uint64_t		 first_ns;	/* first datagram */
	uint64_t		 last_ns;	/* last datagram */
	uint8_t			*slots;
	struct mmsghdr		 header[SLOTS];
	struct iovec		 iov[SLOTS];
	uint8_t			 control[SLOTS][CONTROL_SIZE]
				    ATTR_ALIGNED(CACHE_LINE);
};

static void
reset_headers(struct sink *sink)
{
	for (unsigned i = 0; i < SLOTS; i++)
		sink->header[i].msg_hdr = (struct msghdr){
			.msg_iov = &sink->iov[i],
			.msg_iovlen = 1,
			.msg_control = sink->control[i],
			.msg_controllen = CONTROL_SIZE,
		};
}

static void
dump_datagram(struct sink *sink, const uint8_t *data, size_t size)
{
	const uint32_t length = htobe32((uint32_t)size);

	if (fwrite(&length, sizeof(length), 1, sink->dump) == 1 &&
	    fwrite(data, 1, size, sink->dump) == size)
		return;
	log_warn("cannot write %s", sink->options->dump);
	sink->failed = true;
}

static void
take_datagram(struct sink *sink, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	if (!tally_datagram(&sink->tally, data, size, received_ns)) {
		log_warnx("more than %d streams: stopped", TALLY_STREAMS_MAX);
		sink->failed = true;
	}
	if (sink->dump != NULL && !sink->failed)
		dump_datagram(sink, data, size);
}

static void
take_message(struct sink *sink, unsigned slot)
{
	struct mmsghdr *header = &sink->header[slot];
	struct udp_arrival arrival;
	const uint8_t *data = sink->slots + (size_t)slot * SLOT_SIZE;
	size_t left = header->msg_len;
	uint64_t received_ns;
	size_t size;

	udp_read_arrival(&header->msg_hdr, &arrival);
	received_ns = arrival.received_ns != 0 ? arrival.received_ns :
	    clock_realtime_ns();
	/* An empty message is a datagram, too. */
	do {
		size = arrival.datagram_size == 0 ? left :
		    MIN_OF(left, arrival.datagram_size);
		take_datagram(sink, data, size, received_ns);
		data += size;
		left -= size;
	} while (left > 0 && !sink->failed);
}

/* False: nothing there. */
static bool
receive(struct sink *sink)
{
	uint64_t now;
	int n;

	reset_headers(sink);
	n = messages_receive(sink->fd, sink->header, SLOTS);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR) {
			log_warn("cannot receive");
			sink->failed = true;
		}
		return false;
	}
	now = clock_monotonic_ns();
	if (sink->tally.received == 0)
		sink->first_ns = now;
	sink->last_ns = now;
	for (int i = 0; i < n; i++)
		take_message(sink, (unsigned)i);
	return true;
}

/* When to end if nothing more comes; UINT64_MAX: never. */
static uint64_t
end_ns(const struct sink *sink)
{
	const struct gen_options *options = sink->options;
	uint64_t end = UINT64_MAX;

	if (options->time_ns != 0)
		end = sink->ready_ns + options->time_ns;
	if (options->idle_ns != 0 && sink->tally.received > 0)
		end = MIN_OF(end, sink->last_ns + options->idle_ns);
	return end;
}

static void
wait_readable(const struct sink *sink, uint64_t limit_ns)
{
	struct pollfd pollfd = { .fd = sink->fd, .events = POLLIN };
	struct timespec timeout = { 0 };
	const uint64_t now = clock_monotonic_ns();

	if (now < limit_ns)
		timeout.tv_nsec = (long)MIN_OF(limit_ns - now,
		    STOP_WAIT_MAX_NS);
	ppoll(&pollfd, 1, &timeout, NULL);
}

static bool
has_all(const struct sink *sink)
{
	return sink->options->count != 0 &&
	    sink->tally.received >= sink->options->count;
}

static bool
finished(const struct sink *sink)
{
	return sink->failed || has_all(sink) || stop_requested() ||
	    clock_monotonic_ns() >= end_ns(sink);
}

/*
 * What is in the socket's buffer when time is up has arrived, and counts;
 * what still comes meanwhile must not keep us.
 */
static void
drain(struct sink *sink)
{
	const uint64_t limit_ns = clock_monotonic_ns() + STOP_WAIT_MAX_NS;

	while (!sink->failed && !has_all(sink) &&
	    clock_monotonic_ns() < limit_ns && receive(sink))
		;
}

static void
receive_all(struct sink *sink)
{
	while (!finished(sink))
		if (!receive(sink))
			wait_readable(sink, end_ns(sink));
	drain(sink);
}

static uint32_t
kernel_dropped(const struct sink *sink)
{
	struct udp_memory memory = { 0 };

	if (!udp_read_memory(sink->fd, &memory) && errno != ENOTSUP)
		log_warn("cannot ask for the kernel's drops");
	return memory.drops;
}

static void
announce(const struct sink *sink)
{
	struct sockaddr_storage at;
	socklen_t size = sizeof(at);
	char text[ADDRESS_TEXT_SIZE];

	if (getsockname(sink->fd, (struct sockaddr *)&at, &size) == -1)
		fatal("getsockname");
	format_address((struct sockaddr *)&at, text);
	log_info("listening on %s", text);
}

static bool
open_dump(struct sink *sink)
{
	if (sink->options->dump == NULL)
		return true;
	sink->dump = fopen(sink->options->dump, "we");
	if (sink->dump == NULL) {
		log_warn("cannot write %s", sink->options->dump);
		return false;
	}
	setvbuf(sink->dump, NULL, _IOFBF, DUMP_BUFFER);
	return true;
}

static bool
prepare(struct sink *sink)
{
	socklen_t size = sizeof(sink->receive_buffer);

	/* Touched before the first datagram, not by it. */
	sink->slots = xmalloc((size_t)SLOTS * SLOT_SIZE);
	memset(sink->slots, 0, (size_t)SLOTS * SLOT_SIZE);
	for (unsigned i = 0; i < SLOTS; i++)
		sink->iov[i] = (struct iovec){
			.iov_base = sink->slots + (size_t)i * SLOT_SIZE,
			.iov_len = SLOT_SIZE,
		};
	if (!open_dump(sink))
		return false;
	sink->fd = endpoint_open_sink(&sink->options->endpoint);
	if (sink->fd == -1)
		return false;
	getsockopt(sink->fd, SOL_SOCKET, SO_RCVBUF, &sink->receive_buffer,
	    &size);
	sink->dropped_before = kernel_dropped(sink);
	tally_init(&sink->tally, sink->options->anything,
	    clock_realtime_ns());
	sink->ready_ns = clock_monotonic_ns();
	announce(sink);
	return true;
}

static uint64_t
missing(const struct sink *sink)
{
	const uint64_t expected = sink->options->count;

	return expected > sink->tally.received ?
	    expected - sink->tally.received : 0;
}

static json_t *
make_report(const struct sink *sink, uint32_t dropped)
{
	const uint64_t elapsed_ns = MAX_OF(sink->last_ns - sink->first_ns,
	    UINT64_C(1));
	const double seconds = (double)elapsed_ns / 1e9;
	/* One arrival does not make a rate. */
	const bool timed = sink->last_ns > sink->first_ns;
	json_t *report = json_object();

	tally_report(&sink->tally, report);
	if (sink->options->count != 0)
		json_object_set_new(report, "missing",
		    json_integer((json_int_t)missing(sink)));
	json_object_update_new(report, json_pack(
	    "{s:I, s:i, s:f, s:f, s:f}",
	    "kernel_dropped", (json_int_t)dropped,
	    "receive_buffer", sink->receive_buffer,
	    "elapsed_s", timed ? seconds : 0,
	    "rate_per_s", timed ?
	    (double)sink->tally.received / seconds : 0,
	    "mbit_per_s", timed ?
	    (double)sink->tally.bytes * 8e-6 / seconds : 0));
	return report;
}

static void
close_dump(struct sink *sink)
{
	if (sink->dump == NULL || fclose(sink->dump) == 0)
		return;
	log_warn("cannot write %s", sink->options->dump);
	sink->failed = true;
}

static enum gen_status
judge(const struct sink *sink, uint32_t dropped)
{
	if (sink->failed)
		return GEN_FAILED;
	return tally_is_clean(&sink->tally) && missing(sink) == 0 &&
	    dropped == 0 ? GEN_GOOD : GEN_BAD;
}

enum gen_status
sink_run(const struct gen_options *options, json_t **report)
{
	struct sink *sink = aligned_alloc(CACHE_LINE, sizeof(*sink));
	enum gen_status status = GEN_FAILED;
	uint32_t dropped;

	if (sink == NULL)
		fatal("cannot allocate the sink");
	memset(sink, 0, sizeof(*sink));
	sink->options = options;
	sink->fd = -1;
	if (prepare(sink)) {
		receive_all(sink);
		dropped = kernel_dropped(sink) - sink->dropped_before;
		if (dropped > 0)
			log_warnx("%u datagrams were lost here: too slow for "
			    "a receive buffer of %d bytes (see the sysctl "
			    "net.core.rmem_max)", dropped,
			    sink->receive_buffer);
		*report = make_report(sink, dropped);
		close_dump(sink);
		status = judge(sink, dropped);
		tally_free(&sink->tally);
	} else
		close_dump(sink);
	if (sink->fd != -1)
		close(sink->fd);
	free(sink->slots);
	free(sink);
	return status;
}
