/* SPDX-License-Identifier: ISC */
/*
 * Reads what the kernel says of itself, in /proc and /sys.  The doctor's;
 * whatever is in there, it is text of bounded size here.
 *
 * With MCRELAY_DOCTOR_ROOT, for tests, what is below that directory is read
 * in place of the file of the same name.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"

/* A /proc/net/udp of many thousands of sockets. */
#define TEXT_MAX	(16U * 1024 * 1024)

/* The path to read, to be freed. */
static char * ATTR_PRINTF(1, 0)
path_of(const char *fmt, va_list ap)
{
	const char *root = getenv("MCRELAY_DOCTOR_ROOT");
	char path[PATH_MAX], *other;

	vsnprintf(path, sizeof(path), fmt, ap);
	if (root != NULL) {
		other = xasprintf("%s%s", root, path);
		if (faccessat(AT_FDCWD, other, F_OK, AT_SYMLINK_NOFOLLOW) ==
		    0)
			return other;
		free(other);
	}
	return xstrdup(path);
}

static char *
read_all(int fd)
{
	size_t size = 0, room = 4096;
	char *text = xmalloc(room);
	ssize_t got;

	for (;;) {
		got = read(fd, text + size, room - size - 1);
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		size += (size_t)got;
		if (size + 1 == room && room < TEXT_MAX)
			text = xrealloc(text, room *= 2);
	}
	text[size] = '\0';
	if (got == 0 || size + 1 >= TEXT_MAX)
		return text;
	free(text);
	return NULL;
}

static char * ATTR_PRINTF(1, 0)
text_of(const char *fmt, va_list ap)
{
	char *path = path_of(fmt, ap), *text;
	int fd, saved;

	/* What should be a file may be something that one waits for. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	saved = errno;
	free(path);
	errno = saved;
	if (fd == -1)
		return NULL;
	text = read_all(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return text;
}

char *
look_text(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = text_of(fmt, ap);
	va_end(ap);
	return text;
}

bool
look_number(int64_t *value, const char *fmt, ...)
{
	char *text, *rest;
	bool is = false;
	va_list ap;

	va_start(ap, fmt);
	text = text_of(fmt, ap);
	va_end(ap);
	if (text != NULL) {
		errno = 0;
		*value = strtoll(text, &rest, 10);
		is = rest != text && errno == 0;
	}
	free(text);
	return is;
}

char *
look_link(const char *fmt, ...)
{
	char target[PATH_MAX], *path;
	ssize_t length;
	va_list ap;

	va_start(ap, fmt);
	path = path_of(fmt, ap);
	va_end(ap);
	length = readlink(path, target, sizeof(target) - 1);
	free(path);
	if (length == -1)
		return NULL;
	target[length] = '\0';
	return xstrdup(target);
}

bool
look_exists(const char *fmt, ...)
{
	char *path;
	bool is;
	va_list ap;

	va_start(ap, fmt);
	path = path_of(fmt, ap);
	va_end(ap);
	is = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	free(path);
	return is;
}

const char *
look_size(uint64_t bytes, char text[static LOOK_SIZE_TEXT])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB",
	    "TiB", "PiB"};
	double value = (double)bytes;
	size_t i = 0;

	while (value >= 1024 && i + 1 < NITEMS(units)) {
		value /= 1024;
		i++;
	}
	snprintf(text, LOOK_SIZE_TEXT, "%.*f %s", value < 100 &&
	    value != (double)(uint64_t)value ? 1 : 0, value, units[i]);
	return text;
}

void
look_again_later(void)
{
	struct timespec left = {.tv_sec = 1};

	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		;
}
