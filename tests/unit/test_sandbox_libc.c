/* SPDX-License-Identifier: ISC */
/*
 * The list of system calls has what C libraries make of a worker's work: the
 * program libc_calls with the one of this build, and with musl where there is
 * its compiler.  A call that is not in the list kills it.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/sandbox.h"
#include "common/sandbox_priv.h"

/* Never returns. */
static void
become(const char *program, int directory)
{
	const struct sandbox sandbox = {.program = SANDBOX_WORKER,
	    .directory = directory};
	int filter = memfd_create("filter", 0);
	char filter_text[16], directory_text[16];

	/* By the process that becomes the program: its number is in it. */
	if (!sandbox_seccomp_write(&sandbox, true, filter))
		_exit(77);
	lseek(filter, 0, SEEK_SET);
	snprintf(filter_text, sizeof(filter_text), "%d", filter);
	snprintf(directory_text, sizeof(directory_text), "%d", directory);
	execl(program, program, filter_text, directory_text, NULL);
	_exit(78);
}

/* Ends by abort(), after all the rest. */
static void
check_program(const char *program, int end)
{
	char place[] = "/tmp/mcrelay-libc.XXXXXX";
	int directory, status;
	pid_t pid;

	if (access(program, X_OK) == -1) {
		fprintf(stderr, "SKIPPED %s: not built\n", program);
		skip();
	}
	assert_non_null(mkdtemp(place));
	directory = open(place, O_RDONLY | O_DIRECTORY);
	assert_int_not_equal(directory, -1);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		become(program, directory);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(directory);
	rmdir(place);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		fprintf(stderr, "SKIPPED: this build has no libseccomp\n");
		skip();
	}
	if (!WIFSIGNALED(status) || WTERMSIG(status) != end)
		fail_msg("%s: status %#x", program, (unsigned)status);
}

static void
own_library(void **state ATTR_UNUSED)
{
	check_program("tests/unit/libc_calls", SIGABRT);
}

static void
musl(void **state ATTR_UNUSED)
{
	check_program("tests/unit/libc_calls_musl", SIGABRT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_library),
		cmocka_unit_test(musl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
