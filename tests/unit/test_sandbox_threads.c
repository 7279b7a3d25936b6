/* SPDX-License-Identifier: ISC */
/*
 * What a worker's threads cannot do that others of it can: by whom each system
 * call is refused.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/compiler.h"
#include "common/sandbox.h"
#include "common/util.h"

static char	place[] = "/tmp/mcrelay-threads.XXXXXX";
static int	directory;
static int	datagrams[2];	/* connected to one another */

static int
receive_datagram(void)
{
	struct mmsghdr message = {.msg_hdr.msg_iovlen = 0};
	int received = recvmmsg(datagrams[0], &message, 1, MSG_DONTWAIT, NULL);

	return received == -1 && errno != EAGAIN ? errno : 0;
}

static int
send_datagrams(void)
{
	struct mmsghdr message = {.msg_hdr.msg_iovlen = 0};

	return sendmmsg(datagrams[0], &message, 1, 0) == -1 ? errno : 0;
}

static int
send_datagram(void)
{
	return send(datagrams[0], "", 1, 0) == -1 ? errno : 0;
}

static int
open_own(void)
{
	return openat(directory, "own", O_RDWR) == -1 ? errno : 0;
}

/* The kernel says of which: the pair of sockets is no ring. */
static int
enter_ring(int ring)
{
	return syscall(SYS_io_uring_enter, ring, 0, 0, 0, NULL, 0) == -1 &&
	    errno == EPERM ? EPERM : 0;
}

static int
enter_own_ring(void)
{
	return enter_ring(datagrams[0]);
}

static int
enter_other_ring(void)
{
	return enter_ring(datagrams[1]);
}

static int
write_own(void)
{
	/* In none: it is the call that matters. */
	return pwrite(-1, "", 1, 0) == -1 && errno != EBADF ? errno : 0;
}

static int
remove_own(void)
{
	return unlinkat(directory, "own", 0) == -1 ? errno : 0;
}

static int
rename_own(void)
{
	return renameat(directory, "own", directory, "other") == -1 ?
	    errno : 0;
}

static void *
do_nothing(void *argument)
{
	return argument;
}

static int
begin_thread(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, do_nothing, NULL);

	if (error == 0)
		pthread_join(thread, NULL);
	return error;
}

/* A filter that lets everything through. */
static int
add_filter(void)
{
	struct sock_filter all = {.code = BPF_RET | BPF_K,
	    .k = SECCOMP_RET_ALLOW};
	struct sock_fprog program = {.len = 1, .filter = &all};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ==
	    -1 ? errno : 0;
}

#define NETWORK	(1U << SANDBOX_WITH_NETWORK)
#define FILES	(1U << SANDBOX_WITH_FILES)

static const struct {
	const char	*what;
	int		(*try)(void);
	unsigned	 kinds;		/* of threads that may */
} calls[] = {
	{"receive datagrams", receive_datagram, NETWORK},
	{"send datagrams", send_datagrams, NETWORK},
	{"send a datagram", send_datagram, NETWORK},
	{"open a file of the archive", open_own, FILES},
	{"write at a place of a file", write_own, FILES},
	{"remove a file of the archive", remove_own, FILES},
	{"rename a file of the archive", rename_own, FILES},
	{"enter its own ring", enter_own_ring, NETWORK | FILES},
	{"enter another ring", enter_other_ring, 0},
	{"begin a thread", begin_thread, 0},
	{"add a filter", add_filter, 0},
};

/* 0 or the errno of what was tried, by a thread of that kind; -1: of none. */
static int
try_in_thread(int (*try)(void), int kind)
{
	const struct sandbox sandbox = {.program = SANDBOX_WORKER,
	    .directory = directory, .uring = true};
	int status, fd;
	pid_t pid;

	fd = openat(directory, "own", O_WRONLY | O_CREAT, 0644);

	assert_int_not_equal(fd, -1);
	close(fd);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if ((sandbox_enter_parts(&sandbox, SANDBOX_ALL, false) &
		    SANDBOX_CALLS) == 0)
			_exit(UINT8_MAX);
		if (kind != -1)
			sandbox_thread((enum sandbox_thread)kind,
			    kind == SANDBOX_WITH_NEITHER ? -1 : datagrams[0]);
		_exit(try());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
threads_have_lists_of_their_own(void **state ATTR_UNUSED)
{
	int kind, error;
	size_t i;

	for (i = 0; i < NITEMS(calls); i++) {
		error = try_in_thread(calls[i].try, -1);
		if (error == UINT8_MAX) {
			printf("SKIPPED: no filter of system calls\n");
			skip();
		}
		printf("%-31s %-10s", calls[i].what, error == 0 ? "worked" :
		    strerrorname_np(error));
		assert_int_equal(error, 0);
		for (kind = 0; kind <= SANDBOX_WITH_NEITHER; kind++) {
			error = try_in_thread(calls[i].try, kind);
			printf(" %-10s", error == 0 ? "worked" :
			    strerrorname_np(error));
			assert_int_equal(error,
			    (calls[i].kinds >> kind & 1) != 0 ? 0 : EPERM);
		}
		printf("\n");
	}
}

static int
setup(void **state ATTR_UNUSED)
{
	assert_non_null(mkdtemp(place));
	directory = open(place, O_RDONLY | O_DIRECTORY);
	assert_int_not_equal(directory, -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams), 0);
	return 0;
}

static int
teardown(void **state ATTR_UNUSED)
{
	unlinkat(directory, "own", 0);
	unlinkat(directory, "other", 0);
	close(directory);
	rmdir(place);
	close(datagrams[0]);
	close(datagrams[1]);
	return 0;
}

/* At a ring: by IORING_REGISTER_*, of which only numbers are told. */
static int
try_register(bool buffers, int what, unsigned count)
{
	const struct sandbox sandbox = {.program = SANDBOX_HOST,
	    .directory = -1, .uring = true, .uring_buffers = buffers};
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (sandbox_enter_parts(&sandbox, SANDBOX_CALLS, false) == 0)
			_exit(UINT8_MAX);
		/* What is let through the kernel refuses otherwise: it is
		 * no ring. */
		_exit(syscall(SYS_io_uring_register, datagrams[0], what, NULL,
		    count) == -1 && errno == EPERM ? EPERM : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
rings_get_nothing_but_buffers(void **state ATTR_UNUSED)
{
	enum { FILES_OF_A_RING = 2, ENABLE = 12, COME = 22, GO = 23 };

	if (try_register(true, ENABLE, 0) == UINT8_MAX)
		skip();
	assert_int_equal(try_register(true, ENABLE, 0), 0);
	assert_int_equal(try_register(true, COME, 1), 0);
	assert_int_equal(try_register(true, GO, 1), 0);
	assert_int_equal(try_register(true, FILES_OF_A_RING, 1), EPERM);
	assert_int_equal(try_register(false, ENABLE, 0), 0);
	assert_int_equal(try_register(false, COME, 1), EPERM);
	assert_int_equal(try_register(false, GO, 1), EPERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_have_lists_of_their_own),
		cmocka_unit_test(rings_get_nothing_but_buffers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
