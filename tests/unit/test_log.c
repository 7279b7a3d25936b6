/* SPDX-License-Identifier: ISC */
/*
 * Logging to a reader who does not read.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"

#define LINES	5000		/* several times what a pipe holds */
/* Whoever blocks is ended by SIGALRM. */
#define LIMIT_S	20

static char	got[1 << 20];

/* All that is in the pipe. */
static void
drain(int fd)
{
	ssize_t n = read(fd, got, sizeof(got) - 1);

	assert_true(n > 0);
	got[n] = '\0';
}

static void
full_pipe_does_not_block(void **state ATTR_UNUSED)
{
	int fds[2], saved = dup(STDERR_FILENO), i;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	alarm(LIMIT_S);
	for (i = 0; i < LINES; i++)
		log_warnx("line %d of many that nobody reads", i);
	drain(fds[0]);
	log_warnx("the reader is back");
	dup2(saved, STDERR_FILENO);
	assert_non_null(strstr(got, "line 0 of many"));
	assert_null(strstr(got, "line 4999 of many"));
	drain(fds[0]);
	alarm(0);
	assert_non_null(strstr(got, " lines were not logged"));
	assert_non_null(strstr(got, "the reader is back\n"));
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

/*** syslog ***/

/* Where /dev/log leads to in here. */
static struct sockaddr_un	place = {.sun_family = AF_UNIX};

int
connect(int fd, const struct sockaddr *address, socklen_t size)
{
	const struct sockaddr_un *to = (const struct sockaddr_un *)
	    (const void *)address;

	if (address->sa_family == AF_UNIX &&
	    strcmp(to->sun_path, "/dev/log") == 0) {
		address = (const struct sockaddr *)&place;
		size = sizeof(place);
	}
	return (int)syscall(SYS_connect, fd, address, size);
}

static int
log_daemon(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	unlink(place.sun_path);
	assert_true(fd != -1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&place,
	    sizeof(place)), 0);
	return fd;
}

static int
syslog_begin(void **state ATTR_UNUSED)
{
	char directory[] = "/tmp/test_log.XXXXXX";

	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(place.sun_path, sizeof(place.sun_path), "%s/log", directory);
	alarm(LIMIT_S);
	return 0;
}

static int
syslog_end(void **state ATTR_UNUSED)
{
	char *slash = strrchr(place.sun_path, '/');

	alarm(0);
	log_init("test", NULL, LOG_TARGET_STDERR, LOG_INFO);
	log_close();
	unlink(place.sun_path);
	*slash = '\0';
	return rmdir(place.sun_path);
}

/* The next line's text after its tag, or NULL. */
static const char *
hear(int fd)
{
	static char line[4096];
	ssize_t n = recv(fd, line, sizeof(line) - 1, 0);
	char *text;

	if (n <= 0)
		return NULL;
	line[n] = '\0';
	assert_int_equal(strncmp(line, "<28>", 4), 0);	/* daemon.warning */
	text = strstr(line, "]: ");
	assert_non_null(text);
	return text + 3;
}

/* Lines in their order, without a gap but for those that are told; the number
 * of the last. */
static int
hear_all(int fd, int last)
{
	const char *text;
	unsigned long lost = 0;
	int number;

	while ((void)log_flush(), (text = hear(fd)) != NULL) {
		if (sscanf(text, "%lu lines were not logged", &lost) == 1)
			continue;
		assert_int_equal(sscanf(text, "line %d", &number), 1);
		assert_int_equal((unsigned long)(number - last - 1), lost);
		last = number;
		lost = 0;
	}
	/* Told, although nothing is said after them. */
	return last + (int)lost;
}

/* Too many for the socket and for what waits; then some more. */
static void
stalled_syslog_does_not_block(void **state ATTR_UNUSED)
{
	int fd = log_daemon(), i, last = -1;

	log_init("test", NULL, LOG_TARGET_SYSLOG, LOG_INFO);
	for (i = 0; i < LINES; i++)
		log_warnx("line %d of many that nobody reads", i);
	assert_true(log_waits());
	last = hear_all(fd, last);
	assert_int_equal(last, LINES - 1);
	assert_false(log_waits());
	log_warnx("line %d", i);
	assert_int_equal(hear_all(fd, last), LINES);
	close(fd);
}

/* It is another one, and for a while none: nothing is lost. */
static void
syslog_is_found_again(void **state ATTR_UNUSED)
{
	int fd = log_daemon(), i = 0, last = -1, turn;

	log_init("test", NULL, LOG_TARGET_SYSLOG, LOG_INFO);
	for (turn = 0; turn < 3; turn++) {
		log_warnx("line %d", i++);
		last = hear_all(fd, last);
		assert_int_equal(last, i - 1);
		close(fd);
		log_warnx("line %d", i++);
		assert_true(log_waits());
		fd = log_daemon();
	}
	assert_int_equal(hear_all(fd, last), i - 1);
	close(fd);
}

/* As between fork and exec, where its number is given to another. */
static void
closed_log_touches_no_descriptor(void **state ATTR_UNUSED)
{
	int fd = log_daemon(), pair[2], next;
	char byte;

	log_init("test", NULL, LOG_TARGET_SYSLOG, LOG_INFO);
	log_close();
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	log_warnx("line 0");
	assert_int_equal(hear_all(fd, -1), 0);
	next = dup(fd);
	assert_true(next > pair[1] + 1);
	close(next);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	assert_int_equal(recv(pair[1], &byte, 1, 0), -1);
	close(pair[0]);
	close(pair[1]);
	close(fd);
}

#define SYSLOG_TEST(test)						\
	cmocka_unit_test_setup_teardown(test, syslog_begin, syslog_end)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_pipe_does_not_block),
		SYSLOG_TEST(stalled_syslog_does_not_block),
		SYSLOG_TEST(syslog_is_found_again),
		SYSLOG_TEST(closed_log_touches_no_descriptor),
	};

	log_init("test", NULL, LOG_TARGET_STDERR, LOG_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
