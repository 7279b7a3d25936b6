/* SPDX-License-Identifier: ISC */
/*
 * Start of a contender: sockets, files, counters.  Program bench/contender,
 * started by bench/run:
 *
 *	contender classic|batch|floor ADDRESS PORT GROUP PORT BUFFER
 *	    DIRECTORY COUNTERS INTERFACE WARM
 *
 * With WARM not 0 so many files are there from the start, as large as they
 * become, and are written again and again, as if it had run for days.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/contender.h"

static const struct {
	const char	*name;
	void		(*run)(struct contender *);
} ways[] = {
	{"classic", classic_run},
	{"batch", batch_run},
	{"floor", floor_run},
};

static struct sockaddr_in
address_of(const char *host, const char *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)atoi(port))};

	if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
		errx(2, "%s: not an IPv4 address", host);
	return in;
}

static int
open_input(const struct sockaddr_in *address, int buffer)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s == -1)
		err(2, "socket");
	if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &buffer,
	    sizeof(buffer)) == -1)
		setsockopt(s, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (bind(s, (const struct sockaddr *)address, sizeof(*address)) == -1)
		err(2, "bind");
	return s;
}

static int
open_output(const struct sockaddr_in *group, const char *interface)
{
	struct ip_mreqn by = {.imr_ifindex = (int)if_nametoindex(interface)};
	int size = 4 << 20;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s == -1)
		err(2, "socket");
	setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)) ==
	    -1 || connect(s, (const struct sockaddr *)group,
	    sizeof(*group)) == -1)
		err(2, "output");
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
warm_path(const struct contender *contender, unsigned n, char path[static 4096])
{
	snprintf(path, 4096, "%s/%u.warm", contender->directory, n);
}

static void
make_warm(const struct contender *contender, unsigned n)
{
	static const uint8_t zeros[1 << 20];
	uint64_t done;
	char path[4096];
	int fd;

	warm_path(contender, n, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		err(2, "%s", path);
	/* Files are as large, and a write more. */
	for (done = 0; done < ROTATE_BYTES + 4 * sizeof(zeros);
	    done += sizeof(zeros))
		if (write(fd, zeros, sizeof(zeros)) != (ssize_t)sizeof(zeros))
			err(2, "%s", path);
	close(fd);
}

static int
next_warm(struct contender *contender)
{
	char path[4096];
	int fd;

	warm_path(contender, contender->files++ % contender->warm, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		err(1, "%s", path);
	return fd;
}

int
contender_next_file(struct contender *contender)
{
	char path[4096], done[4096 + 8];
	int fd;

	if (contender->warm > 0)
		return next_warm(contender);
	if (contender->files > 0) {
		snprintf(path, sizeof(path), "%s/%u.part",
		    contender->directory, contender->files);
		snprintf(done, sizeof(done), "%s/%u.done",
		    contender->directory, contender->files);
		if (rename(path, done) == -1)
			err(1, "%s", path);
	}
	contender->files++;
	snprintf(path, sizeof(path), "%s/%u.part", contender->directory,
	    contender->files);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1)
		err(1, "%s", path);
	return fd;
}

int
main(int argc, char **argv)
{
	struct contender contender = {0};
	struct sockaddr_in address;
	unsigned n;
	size_t i;

	if (argc != 11)
		errx(2, "for use by bench/run");
	address = address_of(argv[2], argv[3]);
	contender.group = address_of(argv[4], argv[5]);
	contender.directory = argv[7];
	contender.warm = (unsigned)atoi(argv[10]);
	for (n = 0; n < contender.warm; n++)
		make_warm(&contender, n);
	contender.output = open_output(&contender.group, argv[9]);
	contender.counters = map_counters(argv[8]);
	contender.input = open_input(&address, atoi(argv[6]));
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].name, argv[1]) != 0)
			continue;
		/* From here on nothing is lost at start-up. */
		puts("ready");
		fflush(stdout);
		ways[i].run(&contender);
	}
	errx(2, "%s: no such contender", argv[1]);
}
