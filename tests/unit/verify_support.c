/* SPDX-License-Identifier: ISC */
/*
 * Running mcrelay-verify within a test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/verify_support.h"
#include "tools/verify/verify.h"

int
verify(char *said, size_t room, char **argv)
{
	char path[] = "/tmp/mcrelay-test-XXXXXX";
	const int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	const int fd = mkstemp(path);
	int argc = 0, status;
	ssize_t size;

	while (argv[argc] != NULL)
		argc++;
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	status = verify_main(argc, argv);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	size = pread(fd, said, room - 1, 0);
	assert_true(size >= 0);
	said[size] = '\0';
	close(fd);
	close(out);
	close(err);
	unlink(path);
	return status;
}
