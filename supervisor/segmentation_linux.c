/* SPDX-License-Identifier: ISC */
/*
 * Sends a run of datagrams at once, to itself.  See segmentation.h.
 * Supervisor.
 */
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <unistd.h>

#include "supervisor/segmentation.h"

#define SEGMENT		100U

/* A socket on loopback, bound; -1 with errno. */
static int
bound(struct sockaddr_in *address)
{
	const struct timeval second = {.tv_sec = 1};
	socklen_t size = sizeof(*address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second))
	    == 0 && bind(fd, (const void *)address, size) == 0 &&
	    getsockname(fd, (void *)address, &size) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
receive(int fd, bool *any)
{
	char data[SEGMENTATION_RUN * SEGMENT + 1];
	unsigned count;
	ssize_t size;

	for (count = 0; count < SEGMENTATION_RUN; count++) {
		size = recv(fd, data, sizeof(data), 0);
		*any = *any || size != -1;
		if (size != SEGMENT)
			break;
	}
	return (int)count;
}

/* Sends a run in one call, and counts what arrives; -1 with errno. */
static int
run_through(int to, const struct sockaddr_in *address, bool *any)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), count = -1;
	int segment = SEGMENT;
	char run[SEGMENTATION_RUN * SEGMENT] = "";

	if (fd == -1)
		return -1;
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment,
	    sizeof(segment)) == 0 && sendto(fd, run, sizeof(run), 0,
	    (const void *)address, sizeof(*address)) != -1)
		count = receive(to, any);
	close(fd);
	return count;
}

int
segmentation_run_through(bool *any)
{
	struct sockaddr_in address;
	int fd = bound(&address), count;

	*any = false;
	if (fd == -1)
		return -1;
	count = run_through(fd, &address, any);
	close(fd);
	return count;
}
