/* SPDX-License-Identifier: ISC */
/*
 * Talks to the service manager.  Supervisor only.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/notify.h"

/* How long a manager that did not read is left alone. */
#define PAUSE_NS	(1 * NS_PER_S)

static struct {
	struct sockaddr_un	address;
	socklen_t		size;		/* 0: nobody listens */
	uint64_t		silent_until_ns;
	char			state[64];	/* to be said; "": it was */
	char			status[128];	/* said last */
	ev_timer		watchdog;
} notify;

static int
open_socket(void)
{
	struct timeval patience = {.tv_usec = NOTIFY_WAIT_MS * 1000};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	/* Not kept open: the manager may execute itself anew, too. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
	    sizeof(patience));
	if (connect(fd, (const void *)&notify.address, notify.size) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* `fd' goes with it, unless it is -1. */
static bool
tell(const char *text, int fd)
{
	static struct log_limit limit;
	ssize_t put = -1;
	int to;

	if (notify.size == 0 || clock_monotonic_ns() < notify.silent_until_ns)
		return false;
	to = open_socket();
	if (to != -1) {
		put = fd_send(to, text, strlen(text), &fd, fd != -1);
		close(to);
	}
	if (put != -1)
		return true;
	log_limited(&limit, "cannot tell the service manager: %s",
	    strerror(errno));
	notify.silent_until_ns = clock_monotonic_ns() + PAUSE_NS;
	return false;
}

static void
on_watchdog(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	(void)tell("WATCHDOG=1", -1);
}

/* The loop itself says that it turns: whoever is stuck says nothing. */
static void
start_watchdog(struct ev_loop *loop)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	double interval = usec != NULL ? strtod(usec, NULL) / 1e6 / 2. : 0.;

	if (!(interval > 0.) ||
	    (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
		return;
	ev_timer_init(&notify.watchdog, on_watchdog, 0., interval);
	ev_timer_start(loop, &notify.watchdog);
}

void
notify_init(struct ev_loop *loop)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path != NULL ? strlen(path) : 0;

	if (length < 2 || length >= sizeof(notify.address.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return;
	notify.address.sun_family = AF_UNIX;
	memcpy(notify.address.sun_path, path, length);
	notify.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    length);
	/* "@" stands for an abstract name's NUL, and that has no other. */
	if (path[0] == '@')
		notify.address.sun_path[0] = '\0';
	else
		notify.size++;
	start_watchdog(loop);
}

void
notify_done(struct ev_loop *loop)
{
	ev_timer_stop(loop, &notify.watchdog);
	notify.size = 0;
}

bool
notify_active(void)
{
	return notify.size != 0;
}

static void
tell_state(void)
{
	if (notify.state[0] != '\0' && tell(notify.state, -1))
		notify.state[0] = '\0';
}

static void
set_state(const char *text)
{
	snprintf(notify.state, sizeof(notify.state), "%s", text);
	tell_state();
}

void
notify_ready(void)
{
	set_state("READY=1");
}

void
notify_reloading(void)
{
	char text[64];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    clock_monotonic_ns() / NS_PER_US);
	set_state(text);
}

void
notify_stopping(void)
{
	set_state("STOPPING=1");
}

void
notify_status(const char *fmt, ...)
{
	char line[sizeof(notify.status)], text[sizeof(line) + 8];
	va_list ap;

	if (notify.size == 0)
		return;
	tell_state();
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (strcmp(line, notify.status) == 0)
		return;
	snprintf(text, sizeof(text), "STATUS=%s", line);
	if (tell(text, -1))
		memcpy(notify.status, line, sizeof(line));
}

bool
notify_store(const char *name, int fd)
{
	char text[300];

	/* FDPOLL=0: an input that reports an ICMP error is to be kept. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	return tell(text, fd);
}

bool
notify_remove(const char *name)
{
	char text[300];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return tell(text, -1);
}

void
notify_barrier(void)
{
	struct pollfd hangup = {.events = POLLIN};
	int pair[2];

	if (notify.size == 0 || pipe2(pair, O_CLOEXEC) == -1)
		return;
	hangup.fd = pair[0];
	/* The manager closes its copy when its turn comes. */
	if (tell("BARRIER=1", pair[1])) {
		close(pair[1]);
		(void)poll(&hangup, 1, NOTIFY_BARRIER_MS);
	} else
		close(pair[1]);
	close(pair[0]);
}
