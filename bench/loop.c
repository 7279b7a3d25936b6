/* SPDX-License-Identifier: ISC */
/*
 * What "classic" is with many channels: one epoll loop, and for each datagram
 * one recvfrom, one sendto for each output and one write, of header and
 * payload together.  Started by bench/many.py:
 *
 *	loop PORT CHANNELS GROUP PORT OUTPUTS BUFFER DIRECTORY COUNTERS
 *
 * Channels listen on 127.0.0.1 at PORT and those that follow; each has OUTPUTS
 * ports of the group, one channel's after the other's.  Runs until it is
 * killed.
 */
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/contender.h"
#include "common/util.h"

#define FILE_BYTES	(UINT64_C(16) << 20)
#define EVENTS		256

struct channel {
	int		 input;
	int		 file;
	unsigned	 files;
	unsigned	 number;
	uint64_t	 bytes;		/* in the file */
};

struct loop {
	struct sockaddr_in	 group;		/* the first port */
	unsigned		 outputs;	/* of each channel */
	int			 output;
	const char		*directory;
	struct counters		*counters;
};

static struct sockaddr_in
address_of(const char *host, unsigned port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port)};

	if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
		errx(2, "%s: not an IPv4 address", host);
	return in;
}

/* What is finished is there to be deleted, as in contender.c. */
static void
next_file(const struct loop *loop, struct channel *channel)
{
	char path[4096], done[4096];

	snprintf(path, sizeof(path), "%s/%u.part", loop->directory,
	    channel->number);
	if (channel->files++ > 0) {
		snprintf(done, sizeof(done), "%s/%u.%u.done",
		    loop->directory, channel->number, channel->files);
		close(channel->file);
		if (rename(path, done) == -1)
			err(1, "%s", path);
	}
	channel->bytes = 0;
	channel->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0600);
	if (channel->file == -1)
		err(1, "%s", path);
}

static void
open_channel(const struct loop *loop, struct channel *channel, unsigned port,
    int buffer)
{
	struct sockaddr_in address = address_of("127.0.0.1", port);

	channel->input = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (channel->input == -1)
		err(2, "socket");
	if (setsockopt(channel->input, SOL_SOCKET, SO_RCVBUFFORCE, &buffer,
	    sizeof(buffer)) == -1)
		setsockopt(channel->input, SOL_SOCKET, SO_RCVBUF, &buffer,
		    sizeof(buffer));
	if (bind(channel->input, (const struct sockaddr *)&address,
	    sizeof(address)) == -1)
		err(2, "bind");
	next_file(loop, channel);
}

static int
open_output(void)
{
	struct ip_mreqn lo = {.imr_ifindex = (int)if_nametoindex("lo")};
	int size = 4 << 20;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s == -1 || setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &lo,
	    sizeof(lo)) == -1)
		err(2, "output");
	setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return s;
}

static struct counters *
map_counters(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct counters *counters;

	if (fd == -1 || ftruncate(fd, sizeof(*counters)) == -1)
		err(2, "%s", path);
	counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (counters == MAP_FAILED)
		err(2, "%s", path);
	close(fd);
	return counters;
}

static void
send_one(const struct loop *loop, const struct channel *channel,
    const void *payload, size_t length)
{
	struct sockaddr_in to = loop->group;
	unsigned i;

	for (i = 0; i < loop->outputs; i++) {
		to.sin_port = htons((uint16_t)(ntohs(loop->group.sin_port) +
		    channel->number * loop->outputs + i));
		if (sendto(loop->output, payload, length, 0,
		    (const struct sockaddr *)&to, sizeof(to)) == -1)
			return;
	}
	count(&loop->counters->relayed, 1);
}

/* One datagram; false: there is none. */
static bool
take(const struct loop *loop, struct channel *channel)
{
	static struct {
		struct stored_header	header;
		uint8_t			payload[DATAGRAM_MAX];
	} it;
	socklen_t size = sizeof(it.header.source);
	ssize_t n = recvfrom(channel->input, it.payload, sizeof(it.payload), 0,
	    (struct sockaddr *)&it.header.source, &size);
	size_t length;

	if (n == -1)
		return false;
	count(&loop->counters->received, 1);
	it.header.received_ns = clock_realtime_ns();
	it.header.length = (uint32_t)n;
	length = sizeof(it.header) + (size_t)n;
	if (write(channel->file, &it, length) != (ssize_t)length)
		err(1, "write");
	count(&loop->counters->archived, 1);
	send_one(loop, channel, it.payload, (size_t)n);
	channel->bytes += length;
	if (channel->bytes >= FILE_BYTES)
		next_file(loop, channel);
	return true;
}

static void
run(const struct loop *loop, int queue)
{
	struct epoll_event event[EVENTS];
	struct channel *channel;
	int i, n;

	for (;;) {
		n = epoll_wait(queue, event, EVENTS, -1);
		for (i = 0; i < n; i++) {
			channel = event[i].data.ptr;
			while (take(loop, channel))
				continue;
		}
	}
}

int
main(int argc, char **argv)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct channel *channel;
	struct loop loop;
	unsigned i, channels;
	int queue = epoll_create1(EPOLL_CLOEXEC);

	if (argc != 9 || queue == -1)
		errx(2, "for use by bench/many.py");
	loop = (struct loop){.directory = argv[7], .output = open_output(),
	    .group = address_of(argv[3], (unsigned)atoi(argv[4])),
	    .outputs = (unsigned)atoi(argv[5]),
	    .counters = map_counters(argv[8])};
	channels = (unsigned)atoi(argv[2]);
	channel = xcalloc(channels + 1, sizeof(*channel));
	for (i = 0; i < channels; i++) {
		channel[i].number = i;
		open_channel(&loop, &channel[i], (unsigned)atoi(argv[1]) + i,
		    atoi(argv[6]));
		event.data.ptr = &channel[i];
		if (epoll_ctl(queue, EPOLL_CTL_ADD, channel[i].input,
		    &event) == -1)
			err(2, "epoll_ctl");
	}
	puts("ready");
	fflush(stdout);
	run(&loop, queue);
}
