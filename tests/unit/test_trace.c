/* SPDX-License-Identifier: ISC */
/*
 * Workers that are killed at the exit of the n-th call of each system call
 * that matters, and at the exit of each system call of the recovery that
 * follows: nothing lost, nothing twice.
 *
 * MCRELAY_TEST_LONG=1 in the environment: every n from 1 to 200.
 */
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/ptrace.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/load.h"

#define THREADS_MAX	64
#define ANY_CALL	UINT64_MAX
#define N_MAX		200
/* Automake's. */
#define EXIT_SKIPPED	77
#ifdef HAVE_LINUX
#define SYS_RECEIVE	SYS_recvmmsg
#define SYS_SEND	SYS_sendmmsg
#define SYS_NAME	SYS_renameat2
#else
#define SYS_RECEIVE	SYS_recvmsg
#define SYS_SEND	SYS_sendmsg
#define SYS_NAME	SYS_linkat
#endif
/* For a call that the worker makes no more so often. */
#define PATIENCE_S	2
#define PATIENCE_LONG_S	20

struct tracer {
	struct rig	*rig;
	uint64_t	 call;		/* number, or ANY_CALL */
	unsigned	 left;		/* exits of it until the kill */
	bool		 reached;
	struct {
		pid_t	 tid;
		uint64_t call;		/* that it is in */
	} thread[THREADS_MAX];
	unsigned	 threads;
};

static volatile sig_atomic_t	impatient;

static void
on_alarm(int number ATTR_UNUSED)
{
	impatient = 1;
}

static bool
is_long(void)
{
	return getenv("MCRELAY_TEST_LONG") != NULL;
}

static uint64_t *
call_of(struct tracer *tracer, pid_t tid)
{
	unsigned i;

	for (i = 0; i < tracer->threads; i++)
		if (tracer->thread[i].tid == tid)
			return &tracer->thread[i].call;
	assert_true(tracer->threads < THREADS_MAX);
	tracer->thread[tracer->threads].tid = tid;
	tracer->thread[tracer->threads].call = 0;
	return &tracer->thread[tracer->threads++].call;
}

/* A system call begins or ends; kills when it is the one. */
static void
on_syscall(struct tracer *tracer, pid_t tid)
{
	struct ptrace_syscall_info info;
	uint64_t *call = call_of(tracer, tid);

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		*call = info.entry.nr;
	if (info.op != PTRACE_SYSCALL_INFO_EXIT ||
	    (tracer->call != ANY_CALL && tracer->call != *call))
		return;
	if (--tracer->left == 0) {
		tracer->reached = true;
		kill(tracer->rig->pid, SIGKILL);
	}
}

/* One stop of one thread; false when the process is gone. */
static bool
on_stop(struct tracer *tracer, pid_t tid, int status)
{
	long signal_number = 0;

	if (WIFEXITED(status) || WIFSIGNALED(status))
		return tid != tracer->rig->pid;
	if (WSTOPSIG(status) == (SIGTRAP | 0x80))
		on_syscall(tracer, tid);
	else if (status >> 16 == 0)
		signal_number = WSTOPSIG(status);
	ptrace(PTRACE_SYSCALL, tid, NULL, signal_number);
	return true;
}

/*
 * Runs a worker until the n-th exit of the call, kills it there.  False when
 * it did not get that far in time; it is killed all the same.
 */
static bool
run_until(struct rig *rig, uint64_t call, unsigned n)
{
	struct tracer tracer = {.rig = rig, .call = call, .left = n};
	int gate = rig_fork(rig), status;
	pid_t tid;

	assert_int_equal(ptrace(PTRACE_SEIZE, rig->pid, NULL,
	    PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, rig->pid, NULL, NULL), 0);
	assert_int_equal(write(gate, "", 1), 1);
	close(gate);
	impatient = 0;
	alarm(is_long() ? PATIENCE_LONG_S : PATIENCE_S);
	for (;;) {
		tid = waitpid(-1, &status, __WALL);
		if (tid == -1 && errno == EINTR) {
			if (impatient)
				kill(rig->pid, SIGKILL);
			continue;
		}
		assert_int_not_equal(tid, -1);
		if (!on_stop(&tracer, tid, status))
			break;
	}
	alarm(0);
	rig_forget(rig);
	return tracer.reached;
}

static unsigned
next_n(unsigned n)
{
	if (is_long() || n < 8)
		return n + 1;
	return n + n / 4;
}

/* How it is received by. */
enum way {
	BY_SOCKETS,
	BY_URING,
	BY_SHARED_URING,
};

/* Small blocks and files, so that each call comes often. */
static void
campaign_of(const char *name, uint64_t call, unsigned n_max,
    unsigned expected, enum archive_write how, unsigned inputs, enum way way)
{
	/* Whatever is made once for each file is made often. */
	struct segment_spec spec = {.ring_size = 4 << 20, .config.archive = {
	    .on_overrun = OVERRUN_BLOCK, .block_size = 8192,
	    .rotate_size = 25000,
	    .flush_interval_ns = 5 * NS_PER_MS, .sync = SYNC_INTERVAL}};
	/* Those that are large enough to go past the page cache. */
	const struct segment_spec direct = {.config.archive = {
	    .on_overrun = OVERRUN_BLOCK, .write = WRITE_DIRECT,
	    .block_size = 70000, .rotate_size = 700000,
	    .flush_interval_ns = NS_PER_S, .sync = SYNC_INTERVAL}};
	struct sigaction action = {.sa_handler = on_alarm};
	unsigned n, kills = 0, reached = 0;
	struct load load;
	struct rig rig;

	if (is_long())
		n_max = N_MAX;
	if (how == WRITE_DIRECT)
		spec = direct;
	spec.config.archive.write = how;
	spec.inputs = inputs;
	/* Few buffers, so that they run out. */
	if (way != BY_SOCKETS)
		spec.config.uring = (struct uring_config){.enabled = 1,
		    .queue_depth = 8, .sq_thread_cpu = -1};
	sigaction(SIGALRM, &action, NULL);
	rig_open(&rig, &spec);
	rig.shared = way == BY_SHARED_URING;
	load_start(&load, &rig);
	for (n = 1; n <= n_max; n = next_n(n), kills++)
		reached += run_until(&rig, call, n);
	rig_start(&rig);
	rig_wait_way(&rig, how, way != BY_SOCKETS);
	load_finish(&load);
	print_message("%s: %u kills, %u at the exit of the n-th, n to %u; "
	    "%llu datagrams, 0 lost, 0 doubled\n", name, kills, reached, n_max,
	    (unsigned long long)atomic_load(&load.sent));
	assert_true(reached >= expected);
	rig_check_catalog(&rig);
	rig_close(&rig);
}

static void
campaign(const char *name, uint64_t call, unsigned n_max, unsigned expected)
{
	campaign_of(name, call, n_max, expected, WRITE_BUFFERED, 1, BY_SOCKETS);
}

static void
test_receive(void **state ATTR_UNUSED)
{
	campaign("receive", SYS_RECEIVE, N_MAX, 20);
}

static void
test_receive_of_two(void **state ATTR_UNUSED)
{
	campaign_of("receive, two inputs", SYS_RECEIVE, N_MAX, 20,
	    WRITE_BUFFERED, 2, BY_SOCKETS);
}

#ifdef HAVE_URING
static void
test_uring(void **state ATTR_UNUSED)
{
	campaign_of("io_uring_enter", SYS_io_uring_enter, N_MAX, 20,
	    WRITE_BUFFERED, 1, BY_URING);
}

static void
test_uring_of_two(void **state ATTR_UNUSED)
{
	campaign_of("io_uring_enter, two inputs", SYS_io_uring_enter, N_MAX,
	    20, WRITE_BUFFERED, 2, BY_URING);
}

static void
test_uring_direct(void **state ATTR_UNUSED)
{
	campaign_of("io_uring_enter, direct", SYS_io_uring_enter, N_MAX, 20,
	    WRITE_DIRECT, 1, BY_URING);
}

static void
test_uring_recovery(void **state ATTR_UNUSED)
{
	campaign_of("any call, io_uring", ANY_CALL, 160, 20, WRITE_BUFFERED,
	    2, BY_URING);
}

static void
test_shared_uring(void **state ATTR_UNUSED)
{
	campaign_of("io_uring_enter, shared", SYS_io_uring_enter, N_MAX, 20,
	    WRITE_BUFFERED, 2, BY_SHARED_URING);
}

static void
test_shared_uring_recovery(void **state ATTR_UNUSED)
{
	if (!is_long())
		skip();
	campaign_of("any call, shared io_uring", ANY_CALL, 160, 20,
	    WRITE_BUFFERED, 1, BY_SHARED_URING);
}
#endif

static void
test_send(void **state ATTR_UNUSED)
{
	campaign("send", SYS_SEND, N_MAX, 20);
}

static void
test_pwritev(void **state ATTR_UNUSED)
{
	campaign("pwritev", SYS_pwritev, N_MAX, 20);
}

static void
test_pwritev_direct(void **state ATTR_UNUSED)
{
	campaign_of("pwritev, direct", SYS_pwritev, N_MAX, 15, WRITE_DIRECT,
	    1, BY_SOCKETS);
}

static void
test_madvise(void **state ATTR_UNUSED)
{
	campaign_of("madvise, mmap", SYS_madvise, N_MAX, 15, WRITE_MMAP, 1,
	    BY_SOCKETS);
}

static void
test_fallocate(void **state ATTR_UNUSED)
{
	campaign_of("fallocate, mmap", SYS_fallocate, N_MAX, 15, WRITE_MMAP,
	    1, BY_SOCKETS);
}

static void
test_munmap(void **state ATTR_UNUSED)
{
	campaign_of("munmap, mmap", SYS_munmap, 12, 5, WRITE_MMAP, 1,
	    BY_SOCKETS);
}

static void
test_openat(void **state ATTR_UNUSED)
{
	campaign("openat", SYS_openat, 12, 3);
}

static void
test_fdatasync(void **state ATTR_UNUSED)
{
	campaign("fdatasync", SYS_fdatasync, 12, 5);
}

static void
test_ftruncate(void **state ATTR_UNUSED)
{
	campaign("ftruncate", SYS_ftruncate, 12, 5);
}

static void
test_name(void **state ATTR_UNUSED)
{
	campaign("name", SYS_NAME, 12, 5);
}

/* Each system call from the start on, the one after the last kill. */
static void
test_recovery(void **state ATTR_UNUSED)
{
	campaign("any call", ANY_CALL, 160, 20);
}

static void
test_recovery_of_two(void **state ATTR_UNUSED)
{
	campaign_of("any call, two inputs", ANY_CALL, 160, 20, WRITE_BUFFERED,
	    2, BY_SOCKETS);
}

int
main(void)
{
#ifdef SANITIZED
	print_message("skipped: sanitizers trace the process themselves\n");
	return EXIT_SKIPPED;
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_receive_of_two),
#ifdef HAVE_URING
		cmocka_unit_test(test_uring),
		cmocka_unit_test(test_uring_of_two),
		cmocka_unit_test(test_uring_direct),
		cmocka_unit_test(test_uring_recovery),
		cmocka_unit_test(test_shared_uring),
		cmocka_unit_test(test_shared_uring_recovery),
#endif
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_pwritev),
		cmocka_unit_test(test_pwritev_direct),
		cmocka_unit_test(test_madvise),
		cmocka_unit_test(test_fallocate),
		cmocka_unit_test(test_munmap),
		cmocka_unit_test(test_openat),
		cmocka_unit_test(test_fdatasync),
		cmocka_unit_test(test_ftruncate),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_recovery_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
