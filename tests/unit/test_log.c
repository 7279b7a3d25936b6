/* SPDX-License-Identifier: ISC */
/*
 * Logging to a reader who does not read.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
full_pipe_does_not_block(void **state)
{
	int fds[2], saved = dup(STDERR_FILENO), i;

	(void)state;
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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_pipe_does_not_block),
	};

	log_init("test", NULL, LOG_TARGET_STDERR, LOG_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
