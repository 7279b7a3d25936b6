/* SPDX-License-Identifier: ISC */
/*
 * Log lines to stderr or syslog.  Every process.  Must not allocate: it is
 * called when memory is out, and between fork and exec.
 */
#include <sys/stat.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_priv.h"
#include "common/printable.h"
#include "common/util.h"

#define LINE_SIZE	1024
#define TIME_SIZE	40

static char		tag[128] = "mcrelay";
static enum log_target	target = LOG_TARGET_STDERR;
static int		max_level = LOG_INFO;
static bool		times;	/* on standard error */
static _Thread_local const struct log_voice *voice; /* NULL: the process's */

/* With the blank behind it; "": it is not wanted. */
static void
format_now(char text[static TIME_SIZE])
{
	struct timespec now;
	struct tm tm;
	size_t length;

	text[0] = '\0';
	if (!times || clock_gettime(CLOCK_REALTIME, &now) == -1 ||
	    gmtime_r(&now.tv_sec, &tm) == NULL)
		return;
	length = strftime(text, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + length, TIME_SIZE - length, ".%03dZ ",
	    (int)(now.tv_nsec / 1000000));
}

void
log_init(const char *program, const char *instance, enum log_target to,
    int level)
{
	if (instance != NULL)
		snprintf(tag, sizeof(tag), "%s[%s]", program, instance);
	else
		snprintf(tag, sizeof(tag), "%s", program);
	target = to;
	max_level = level;
	if (to == LOG_TARGET_SYSLOG)
		syslog_open(tag);
}

/* The first time that the C library breaks up it may read files. */
void
log_with_times(void)
{
	char text[TIME_SIZE];
	struct stat status;

	times = isatty(STDERR_FILENO) == 1 ||
	    (fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode));
	format_now(text);
}

bool
log_waits(void)
{
	return syslog_waits();
}

bool
log_flush(void)
{
	return syslog_flush();
}

void
log_close(void)
{
	syslog_close();
}

void
log_as(const struct log_voice *own)
{
	voice = own;
}

void
log_set_level(int level)
{
	max_level = level;
}

/*
 * Relaying must not wait for whoever reads our stderr.  O_NONBLOCK would be
 * seen by all who share it, so we ask first: a pipe that is ready takes up to
 * PIPE_BUF bytes, a file is always ready.
 */
static void
put_stderr(const char *who, const char *line)
{
	static _Atomic unsigned long lost;
	struct pollfd ready = {.fd = voice != NULL ? voice->fd : STDERR_FILENO,
	    .events = POLLOUT};
	char out[LINE_SIZE + 2 * (sizeof(tag) + TIME_SIZE) + 64];
	char now[TIME_SIZE];
	unsigned long count;
	int length = 0;

	if (poll(&ready, 1, 0) == 0) {
		lost++;
		return;
	}
	count = atomic_exchange(&lost, 0);
	format_now(now);
	if (count > 0)
		length = snprintf(out, sizeof(out), "%s%s: %lu lines were not "
		    "logged: nobody read them\n", now, tag, count);
	length += snprintf(out + length, sizeof(out) - (size_t)length,
	    "%s%s: %s\n", now, who, line);
	if (write(ready.fd, out, (size_t)length) == -1)
		lost += count + 1;
}

static void
put(int level, const char *line)
{
	char whole[LINE_SIZE + sizeof(tag) + 2];

	if (target != LOG_TARGET_SYSLOG)
		put_stderr(voice != NULL ? voice->tag : tag, line);
	else if (voice == NULL)
		syslog_put(level, line);
	else {
		snprintf(whole, sizeof(whole), "%s: %s", voice->tag, line);
		syslog_put(level, whole);
	}
}

static void ATTR_PRINTF(3, 0)
vlog(int level, int error, const char *fmt, va_list ap)
{
	char line[LINE_SIZE], safe[LINE_SIZE];
	size_t length;
	int saved = errno;

	if (level > max_level)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	length = strlen(line);
	if (error != 0)
		snprintf(line + length, sizeof(line) - length, ": %s",
		    strerror(error));
	printable(safe, sizeof(safe), line, strlen(line));
	put(level, safe);
	errno = saved;
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_CRIT, errno, fmt, ap);
	va_end(ap);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_CRIT, 0, fmt, ap);
	va_end(ap);
	exit(1);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_WARNING, errno, fmt, ap);
	va_end(ap);
}

void
log_warnx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_WARNING, 0, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_INFO, 0, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_DEBUG, 0, fmt, ap);
	va_end(ap);
}

void
log_said(const char *who, const char *text, size_t size)
{
	char safe[LINE_SIZE], line[LINE_SIZE + sizeof(tag) + 2];

	printable(safe, sizeof(safe), text, size);
	snprintf(line, sizeof(line), "%s: %s", who, safe);
	if (target == LOG_TARGET_SYSLOG)
		syslog_put(LOG_WARNING, line);
	else
		put_stderr(who, safe);
}

void
log_limited(struct log_limit *limit, const char *fmt, ...)
{
	char line[LINE_SIZE];
	uint64_t now = clock_monotonic_ns();
	va_list ap;

	if (now < limit->next_ns) {
		limit->suppressed++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (limit->suppressed > 0)
		log_warnx("%s (and %" PRIu64 " like this before)", line,
		    limit->suppressed);
	else
		log_warnx("%s", line);
	limit->next_ns = now + LOG_LIMIT_NS;
	limit->suppressed = 0;
}
