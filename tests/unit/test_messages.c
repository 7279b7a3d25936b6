/* SPDX-License-Identifier: ISC */
/*
 * Messages that are received and sent many at a time; where it is done one by
 * one, also what is left in memory by who was killed at each of the system's
 * calls.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/messages.h"
#include "common/util.h"

#define SLOTS	6
#define ROOM	8	/* for each payload */

/* As a worker has it, in memory that is not its own. */
struct area {
	struct mmsghdr		message[SLOTS];
	struct iovec		iov[SLOTS];
	struct sockaddr_in6	name[SLOTS];
	uint8_t			payload[SLOTS][ROOM];
};

static struct area *area;
static int	source, sink;

#ifndef HAVE_LINUX
/* What becomes of so many calls of recvmsg() from now on: the last one finds
 * nothing, or ends the process, before or after it has been made. */
static struct {
	unsigned calls;
	enum { FINDS_NOTHING, KILLED_BEFORE, KILLED_AFTER } last;
} fate;

/* In place of the C library's. */
ssize_t
recvmsg(int fd, struct msghdr *header, int flags)
{
	bool last = fate.calls > 0 && --fate.calls == 0;
	ssize_t got;

	if (last && fate.last == FINDS_NOTHING) {
		errno = EAGAIN;
		return -1;
	}
	if (last && fate.last == KILLED_BEFORE)
		raise(SIGKILL);
	got = syscall(SYS_recvmsg, fd, header, flags);
	if (last)
		raise(SIGKILL);
	return got;
}
#endif

static void
reset(void)
{
	unsigned i;

	memset(area, 0, sizeof(*area));
	for (i = 0; i < SLOTS; i++) {
		area->iov[i] = (struct iovec){area->payload[i], ROOM};
		area->message[i] = (struct mmsghdr){.msg_len = MESSAGE_NONE,
		    .msg_hdr = {.msg_name = &area->name[i],
		    .msg_namelen = sizeof(area->name[i]),
		    .msg_iov = &area->iov[i], .msg_iovlen = 1}};
	}
}

static int
setup(void **state ATTR_UNUSED)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(area, MAP_FAILED);
	reset();
	sink = socket(AF_INET, SOCK_DGRAM, 0);
	source = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(sink, (void *)&address, size), 0);
	assert_int_equal(getsockname(sink, (void *)&address, &size), 0);
	return connect(source, (void *)&address, size);
}

static int
teardown(void **state ATTR_UNUSED)
{
	munmap(area, sizeof(*area));
	close(source);
	close(sink);
	return 0;
}

/* Each of as many bytes as its number says, and all of them that. */
static void
send_numbers(unsigned count)
{
	uint8_t data[SLOTS];
	unsigned i;

	for (i = 0; i < count; i++) {
		memset(data, (int)i, sizeof(data));
		assert_int_equal(send(source, data, i, 0), i);
	}
}

static void
assert_number(unsigned i)
{
	unsigned n;

	assert_true(messages_has(&area->message[i], &area->name[i]));
	assert_int_equal(messages_length(&area->message[i]), i);
	for (n = 0; n < i; n++)
		assert_int_equal(area->payload[i][n], i);
	assert_int_equal(area->name[i].sin6_family, AF_INET);
}

static void
test_receive(void **state ATTR_UNUSED)
{
	unsigned i;

	send_numbers(4);
	assert_int_equal(messages_receive(sink, area->message, 3), 3);
	for (i = 0; i < 3; i++)
		assert_number(i);
	assert_false(messages_has(&area->message[3], &area->name[3]));
	reset();
	/* No more than there are. */
	assert_int_equal(messages_receive(sink, area->message, SLOTS), 1);
	assert_int_equal(area->message[0].msg_len, 3);
	assert_int_equal(messages_receive(sink, area->message, SLOTS), -1);
	assert_int_equal(errno, EAGAIN);
}

/* More than there is room for, and nobody wants to know from whom. */
static void
test_truncated(void **state ATTR_UNUSED)
{
	uint8_t data[ROOM + 1] = {7};

	area->message[0].msg_hdr.msg_name = NULL;
	area->message[0].msg_hdr.msg_namelen = 0;
	assert_int_equal(send(source, data, sizeof(data), 0), sizeof(data));
	assert_int_equal(messages_receive(sink, area->message, 2), 1);
	assert_int_equal(area->message[0].msg_len, ROOM);
	assert_int_equal(area->message[0].msg_hdr.msg_flags & MSG_TRUNC,
	    MSG_TRUNC);
	assert_int_equal(area->payload[0][0], 7);
}

/* Those before the one that cannot go have gone. */
static void
test_send(void **state ATTR_UNUSED)
{
	static uint8_t large[70000];
	unsigned i;

	for (i = 0; i < SLOTS; i++) {
		area->message[i].msg_hdr.msg_name = NULL;
		area->message[i].msg_hdr.msg_namelen = 0;
		area->iov[i].iov_len = i;
		memset(area->payload[i], (int)i, i);
	}
	area->iov[3] = (struct iovec){large, sizeof(large)};
	assert_int_equal(messages_send(source, area->message, SLOTS), 3);
	for (i = 0; i < 3; i++)
		assert_int_equal(area->message[i].msg_len, i);
	assert_int_equal(messages_send(source, area->message + 3, 2), -1);
	assert_int_equal(errno, EMSGSIZE);
	reset();
	assert_int_equal(messages_receive(sink, area->message, SLOTS), 3);
	for (i = 0; i < 3; i++)
		assert_number(i);
}

#ifndef HAVE_LINUX
/* The checksum of one that was looked at may turn out to be wrong: then it is
 * not there any more. */
static void
test_gone(void **state ATTR_UNUSED)
{
	send_numbers(2);
	fate.calls = 4;
	fate.last = FINDS_NOTHING;
	assert_int_equal(messages_receive(sink, area->message, 2), 1);
	assert_number(0);
	assert_false(messages_has(&area->message[1], &area->name[1]));
	assert_ptr_equal(area->message[1].msg_hdr.msg_name, &area->name[1]);
	assert_int_equal(area->message[1].msg_hdr.msg_namelen,
	    sizeof(area->name[1]));
}

/* What the dead one has is what is in the socket no more. */
static void
kill_at(unsigned call, bool after)
{
	unsigned i = 0;
	int status;
	char byte;
	pid_t pid;

	reset();
	send_numbers(SLOTS);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		fate.calls = call;
		fate.last = after ? KILLED_AFTER : KILLED_BEFORE;
		_exit(messages_receive(sink, area->message, SLOTS));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (i < SLOTS && messages_has(&area->message[i], &area->name[i]))
		assert_number(i++);
	assert_int_equal(i, call / 2 - (call % 2 == 0 && !after ? 1 : 0));
	while (recv(sink, &byte, 1, MSG_DONTWAIT) != -1)
		i++;
	assert_int_equal(i, SLOTS);
}

static void
test_killed(void **state ATTR_UNUSED)
{
	unsigned call;

	for (call = 1; call <= 2 * SLOTS; call++) {
		kill_at(call, false);
		kill_at(call, true);
	}
}
#endif

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_receive),
		TEST(test_truncated),
		TEST(test_send),
#ifndef HAVE_LINUX
		TEST(test_gone),
		TEST(test_killed),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
