/* SPDX-License-Identifier: ISC */
/*
 * Small helpers with more than one user.  Every process.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
clock_boottime_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

uint64_t
clock_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size != 0 ? size : 1);

	if (p == NULL)
		fatal("cannot allocate %zu bytes", size);
	return p;
}

void *
xcalloc(size_t count, size_t size)
{
	void *p = calloc(count != 0 ? count : 1, size != 0 ? size : 1);

	if (p == NULL)
		fatal("cannot allocate %zu times %zu bytes", count, size);
	return p;
}

void *
xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size != 0 ? size : 1);

	if (p == NULL)
		fatal("cannot allocate %zu bytes", size);
	return p;
}

void *
xgrow(void *array, size_t count, size_t size)
{
	if ((count & (count - 1)) != 0)
		return array;
	return xrealloc(array, MAX_OF((size_t)1, 2 * count) * size);
}

char *
xstrdup(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		fatal("cannot allocate %zu bytes", strlen(s) + 1);
	return p;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	if (vasprintf(&p, fmt, ap) == -1)
		fatal("cannot allocate a message");
	va_end(ap);
	return p;
}

/* -1: one is opened each time. */
static int	names_socket = -1;

void
format_address_ask(int socket)
{
	names_socket = socket;
}

static bool
interface_name(uint32_t index, char name[static IF_NAMESIZE])
{
	struct ifreq request = {.ifr_ifindex = (int)index};

	if (names_socket == -1)
		return if_indextoname(index, name) != NULL;
	if (ioctl(names_socket, SIOCGIFNAME, &request) == -1)
		return false;
	memcpy(name, request.ifr_name, IF_NAMESIZE);
	return true;
}

static size_t
format_v6(const struct sockaddr_in6 *in6, char *text)
{
	char host[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
	int length;

	inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
	if (in6->sin6_scope_id != 0 &&
	    interface_name(in6->sin6_scope_id, name))
		length = snprintf(text, ADDRESS_TEXT_SIZE, "[%s%%%s]:%u", host,
		    name, ntohs(in6->sin6_port));
	else
		length = snprintf(text, ADDRESS_TEXT_SIZE, "[%s]:%u", host,
		    ntohs(in6->sin6_port));
	return (size_t)length;
}

size_t
format_address(const struct sockaddr *sa, char text[static ADDRESS_TEXT_SIZE])
{
	const struct sockaddr_in *in = (const void *)sa;
	char host[INET_ADDRSTRLEN];

	if (sa->sa_family == AF_INET6)
		return format_v6((const void *)sa, text);
	if (sa->sa_family != AF_INET)
		return (size_t)snprintf(text, ADDRESS_TEXT_SIZE, "unknown");
	inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
	return (size_t)snprintf(text, ADDRESS_TEXT_SIZE, "%s:%u", host,
	    ntohs(in->sin_port));
}

void
format_utc(uint64_t realtime_ns, char text[static UTC_TEXT_SIZE])
{
	time_t seconds = (time_t)(realtime_ns / NS_PER_S);
	struct tm tm;
	size_t length;

	gmtime_r(&seconds, &tm);
	length = strftime(text, UTC_TEXT_SIZE, "%Y%m%dT%H%M%S", &tm);
	snprintf(text + length, UTC_TEXT_SIZE - length, ".%06uZ",
	    (unsigned)(realtime_ns % NS_PER_S / NS_PER_US));
}

socklen_t
sockaddr_size(const struct sockaddr *sa)
{
	return sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
	    sizeof(struct sockaddr_in);
}

int
thread_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

void
fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		fatal("descriptor %d", fd);
}

void
fd_set_cloexec(int fd, int on)
{
	if (fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) == -1)
		fatal("descriptor %d", fd);
}

bool
fd_wait_readable(int fd, unsigned ms)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	uint64_t end_ns = clock_monotonic_ns() + ms * NS_PER_MS, now_ns;
	int ready;

	do {
		now_ns = clock_monotonic_ns();
		ready = poll(&poller, 1, now_ns >= end_ns ? 0 :
		    (int)((end_ns - now_ns) / NS_PER_MS) + 1);
		if (ready == -1 && errno == EINTR)
			ready = 0;
	} while (ready == 0 && now_ns < end_ns);
	return ready == 1;
}

ssize_t
fd_send(int socket, const void *data, size_t size, const int *fds,
    size_t fd_count)
{
	union {
		char		buffer[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
		struct cmsghdr	align;
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data,
	    .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *cmsg;

	if (fd_count > FD_PASS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (fd_count > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buffer;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL);
}

static void
close_all(const int *fds, size_t count)
{
	while (count > 0)
		close(fds[--count]);
}

ssize_t
fd_receive(int socket, void *data, size_t size, int *fds, size_t *fd_count)
{
	union {
		char		buffer[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
		struct cmsghdr	align;
	} control;
	struct iovec iov = {.iov_base = data, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control.buffer,
	    .msg_controllen = sizeof(control.buffer)};
	struct cmsghdr *cmsg;
	ssize_t got;

	*fd_count = 0;
	got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	if (got <= 0)
		return got;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		*fd_count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(cmsg), *fd_count * sizeof(int));
	}
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		close_all(fds, *fd_count);
		*fd_count = 0;
		errno = EMSGSIZE;
		return -1;
	}
	return got;
}

bool
text_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}
