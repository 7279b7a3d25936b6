/* SPDX-License-Identifier: ISC */
/*
 * Log lines to the system's log, as syslog(3) sends them, but without waiting
 * for it.  Every process, any thread; allocates nothing.
 *
 * A log daemon that does not read fills its socket up, often with ten lines:
 * what has no room there waits here, and what has none here is counted.  The
 * same socket is connected again when the daemon is another one, so that its
 * descriptor stays the same.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <paths.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/log_priv.h"
#include "common/util.h"

#define WAITING_SIZE	65536U
/* A line with all that comes before it. */
#define DATAGRAM_SIZE	1500U
/* What a process that ends may wait for the log. */
#define LAST_MS		100

/* Lines that wait, oldest first, each after its length. */
struct waiting {
	char		text[WAITING_SIZE];
	size_t		first;
	size_t		end;
	unsigned long	lost;	/* since this was told */
};

static pthread_mutex_t	mutex = PTHREAD_MUTEX_INITIALIZER;
static struct waiting	waiting;
static int		log_fd = -1;
static const char	*log_tag = "";

static bool
connect_log(void)
{
	static const struct sockaddr_un address = {.sun_family = AF_UNIX,
	    .sun_path = _PATH_LOG};

	if (log_fd == -1)
		log_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return log_fd != -1 && connect(log_fd,
	    (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool
send_line(const char *text, size_t size)
{
	bool again;

	if (send(log_fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL) != -1)
		return true;
	/* Else it was never there, or is another one now. */
	again = errno != EAGAIN && errno != EINTR && errno != ENOBUFS &&
	    errno != ENOMEM && connect_log();
	return again && send(log_fd, text, size, MSG_DONTWAIT |
	    MSG_NOSIGNAL) != -1;
}

/* All of it, or as much as there is room for; whether that was any. */
static bool
send_waiting(void)
{
	bool any = false;
	uint16_t size;

	while (waiting.first < waiting.end) {
		memcpy(&size, waiting.text + waiting.first, sizeof(size));
		if (!send_line(waiting.text + waiting.first + sizeof(size),
		    size))
			return any;
		waiting.first += sizeof(size) + size;
		any = true;
	}
	waiting.first = waiting.end = 0;
	return any;
}

static bool
add(const char *text, uint16_t size)
{
	if (sizeof(waiting.text) - waiting.end < sizeof(size) + size) {
		waiting.end -= waiting.first;
		memmove(waiting.text, waiting.text + waiting.first,
		    waiting.end);
		waiting.first = 0;
	}
	if (sizeof(waiting.text) - waiting.end < sizeof(size) + size)
		return false;
	memcpy(waiting.text + waiting.end, &size, sizeof(size));
	memcpy(waiting.text + waiting.end + sizeof(size), text, size);
	waiting.end += sizeof(size) + size;
	return true;
}

static bool
add_line(int level, const char *line)
{
	char text[DATAGRAM_SIZE], date[32];
	time_t now = time(NULL);
	struct tm tm;
	int length;

	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%b %e %T", &tm);
	length = snprintf(text, sizeof(text), "<%d>%s %s[%d]: %s",
	    LOG_DAEMON | level, date, log_tag, (int)getpid(), line);
	return add(text, (uint16_t)MIN_OF((size_t)length, sizeof(text) - 1));
}

/* The next line comes after those that were lost. */
static bool
tell_lost(void)
{
	char line[64];

	if (waiting.lost == 0)
		return true;
	snprintf(line, sizeof(line), "%lu lines were not logged: nobody "
	    "read them", waiting.lost);
	if (!add_line(LOG_WARNING, line))
		return false;
	waiting.lost = 0;
	return true;
}

void
syslog_put(int level, const char *line)
{
	pthread_mutex_lock(&mutex);
	(void)send_waiting();
	if (!tell_lost() || !add_line(level, line))
		waiting.lost++;
	(void)send_waiting();
	pthread_mutex_unlock(&mutex);
}

bool
syslog_flush(void)
{
	bool any;

	pthread_mutex_lock(&mutex);
	any = send_waiting();
	(void)tell_lost();
	any = send_waiting() || any;
	pthread_mutex_unlock(&mutex);
	return any;
}

bool
syslog_waits(void)
{
	bool waits;

	pthread_mutex_lock(&mutex);
	waits = waiting.end > 0 || waiting.lost > 0;
	pthread_mutex_unlock(&mutex);
	return waits;
}

/* Nothing comes after these. */
static void
send_last(void)
{
	uint64_t end = clock_monotonic_ns() + LAST_MS * NS_PER_MS, now;
	struct pollfd ready = {.events = POLLOUT};

	(void)syslog_flush();
	while (syslog_waits() && errno == EAGAIN &&
	    (now = clock_monotonic_ns()) < end) {
		ready.fd = log_fd;
		(void)poll(&ready, 1, (int)((end - now) / NS_PER_MS) + 1);
		(void)syslog_flush();
	}
}

void
syslog_open(const char *tag)
{
	static bool opened;

	/* It reads a file, which a sandbox may not have. */
	tzset();
	pthread_mutex_lock(&mutex);
	log_tag = tag;
	if (log_fd == -1)
		(void)connect_log();
	pthread_mutex_unlock(&mutex);
	if (!opened && atexit(send_last) == 0)
		opened = true;
}

void
syslog_close(void)
{
	pthread_mutex_lock(&mutex);
	if (log_fd != -1)
		close(log_fd);
	log_fd = -1;
	waiting.first = waiting.end = 0;
	waiting.lost = 0;
	pthread_mutex_unlock(&mutex);
}
