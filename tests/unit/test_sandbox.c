/* SPDX-License-Identifier: ISC */
/*
 * A hostile worker tries everything, one attempt at a time, each in a process
 * of its own: without a sandbox, which shows that the attempt is one, as a user
 * that nobody else is, and in sandboxes of more and more parts.  Prints who was
 * refused what.
 */
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/sandbox.h"
#include "common/util.h"
#include "supervisor/privdrop.h"
#include "hostile.h"

/* Instead of an errno. */
#define WORKED		0
#define DIED		(-1)

/* The sandboxes that an attempt is made in; of this build and kernel, which
 * may lack a part.  The first is none. */
static const struct stage {
	const char		*name;
	uint32_t		 parts;
	enum sandbox_program	 program;
	bool			 own_user;	/* for root only */
} stages[] = {
	{"no sandbox", 0, SANDBOX_WORKER, false},
	{"own user", 0, SANDBOX_WORKER, true},
	{"privileges", SANDBOX_PRIVILEGES | SANDBOX_MEMORY, SANDBOX_WORKER,
	    false},
	{"and files", SANDBOX_ALL & ~(uint32_t)SANDBOX_CALLS, SANDBOX_WORKER,
	    false},
	{"all", SANDBOX_ALL, SANDBOX_WORKER, false},
	{"decimator", SANDBOX_ALL, SANDBOX_DECIMATOR, false},
};

#define STAGES		NITEMS(stages)

/* Users that nobody else is. */
#define OWN		64998
#define SIBLING		64999

struct result {
	int		error;
	uint32_t	parts;	/* that were in force */
};

static struct prey	prey;
static int		terminal_master = -1;

/*** The prey. ***/

static void
make_file(const char *name)
{
	int fd = openat(prey.directory, name, O_WRONLY | O_CREAT | O_EXCL,
	    0644);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, "secret\n", 7), 7);
	close(fd);
}

static void
make_files(void)
{
	char path[96];

	snprintf(prey.place, sizeof(prey.place), "/tmp/mcrelay-prey.XXXXXX");
	assert_non_null(mkdtemp(prey.place));
	/* So that it is a file's own rights that are in somebody's way. */
	assert_int_equal(chmod(prey.place, 0755), 0);
	snprintf(path, sizeof(path), "%s/outside", prey.place);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(prey.secret, sizeof(prey.secret), "%s/outside/secret",
	    prey.place);
	snprintf(path, sizeof(path), "%s/archive", prey.place);
	assert_int_equal(mkdir(path, 0755), 0);
	prey.directory = open(path, O_RDONLY | O_DIRECTORY);
	assert_int_not_equal(prey.directory, -1);
	assert_int_equal(symlinkat("../outside/secret", prey.directory,
	    "link"), 0);
}

/* Anew what attempts may have used up or changed. */
static void
renew_files(void)
{
	static const char *const made[] = {"../outside/new", "../outside/own",
	    "../outside/secret", "../outside/victim", "linked", "other",
	    "fifo", "device", "socket", "own"};
	size_t i;

	for (i = 0; i < NITEMS(made); i++)
		unlinkat(prey.directory, made[i], 0);
	unlinkat(prey.directory, "deeper", AT_REMOVEDIR);
	make_file("../outside/secret");
	make_file("../outside/victim");
	make_file("own");
}

static void
remove_files(void)
{
	renew_files();
	unlinkat(prey.directory, "../outside/secret", 0);
	unlinkat(prey.directory, "../outside/victim", 0);
	unlinkat(prey.directory, "own", 0);
	unlinkat(prey.directory, "link", 0);
	unlink(prey.path);
	unlinkat(prey.directory, "../outside", AT_REMOVEDIR);
	unlinkat(prey.directory, "../archive", AT_REMOVEDIR);
	close(prey.directory);
	rmdir(prey.place);
}

static int
listen_at(const void *address, socklen_t size, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	assert_int_equal(bind(fd, address, size), 0);
	assert_int_equal(listen(fd, 1000), 0);
	return fd;
}

static void
make_listeners(void)
{
	struct sockaddr_in tcp = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(tcp);
	int fd = listen_at(&tcp, sizeof(tcp), AF_INET);

	assert_int_equal(getsockname(fd, (void *)&tcp, &size), 0);
	prey.tcp_port = ntohs(tcp.sin_port);
	snprintf(prey.abstract + 1, sizeof(prey.abstract) - 1,
	    "mcrelay-prey-%d", (int)getpid());
	memcpy(name.sun_path, prey.abstract, sizeof(prey.abstract));
	listen_at(&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    1 + strlen(prey.abstract + 1)), AF_UNIX);
	snprintf(prey.path, sizeof(prey.path), "%s/listener", prey.place);
	memset(name.sun_path, 0, sizeof(name.sun_path));
	memcpy(name.sun_path, prey.path, strlen(prey.path));
	listen_at(&name, sizeof(name), AF_UNIX);
}

/* As a child of the supervisor is one, which is executed after it: it can be
 * dumped. */
static bool
become(uid_t user)
{
	const struct privdrop drop = {.uid = user, .gid = (gid_t)user};

	return geteuid() == 0 && privdrop_now(&drop) == 0 &&
	    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

/* Another worker: in its sandbox, but for the one of system calls. */
static pid_t
start_sibling(const struct stage *stage)
{
	const struct sandbox sandbox = {.program = SANDBOX_WORKER,
	    .directory = -1};
	const uint32_t parts = stage->parts & (SANDBOX_PRIVILEGES |
	    SANDBOX_MEMORY | SANDBOX_FILES);
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		setpgid(0, 0);
		if (stage->own_user)
			(void)become(SIBLING);
		sandbox_enter_parts(&sandbox, parts, false);
		raise(SIGSTOP);
		for (;;)
			pause();
	}
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	kill(pid, SIGCONT);
	return pid;
}

static int
setup(void **state ATTR_UNUSED)
{
	int slave;

	make_files();
	make_listeners();
	snprintf(prey.readable, sizeof(prey.readable), "secret");
	prey.terminal = -1;
	if (openpty(&terminal_master, &slave, NULL, NULL, NULL) == 0)
		prey.terminal = slave;
	return 0;
}

static int
teardown(void **state ATTR_UNUSED)
{
	remove_files();
	close(terminal_master);
	return 0;
}

/*** Attempts. ***/

static _Noreturn void
run_attempt(const struct attempt *attempt, const struct stage *stage,
    int report)
{
	/* As the two programs do. */
	const struct sandbox sandbox = {
	    .program = stage->program, .directory = stage->program ==
	    SANDBOX_WORKER ? prey.directory : -1,
	    .syslog = stage->program == SANDBOX_DECIMATOR};
	struct result result;

	alarm(20);
	/* What is done to the system is done to one of our own. */
	if (unshare(CLONE_NEWNS) == 0)
		(void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	setsid();
	if (prey.terminal != -1)
		(void)ioctl(prey.terminal, TIOCSCTTY, 0);
	/* So that a file's own rights are in nobody's way. */
	umask(0);
	result.parts = sandbox_enter_parts(&sandbox, stage->parts,
	    false);
	if (stage->own_user && become(OWN))
		result.parts |= REFUSED_BY_USER;
	if (write(report, &result.parts, sizeof(result.parts)) !=
	    sizeof(result.parts))
		_exit(2);
	result.error = attempt->try(&prey);
	if (write(report, &result.error, sizeof(result.error)) !=
	    sizeof(result.error))
		_exit(2);
	_exit(0);
}

static struct result
make_attempt(const struct attempt *attempt, const struct stage *stage)
{
	struct result result = {.error = DIED, .parts = 0};
	int report[2], status;
	bool told;
	pid_t pid;

	renew_files();
	prey.sibling = start_sibling(stage);
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		run_attempt(attempt, stage, report[1]);
	close(report[1]);
	assert_int_equal(read(report[0], &result.parts,
	    sizeof(result.parts)), sizeof(result.parts));
	told = read(report[0], &result.error, sizeof(result.error)) ==
	    sizeof(result.error);
	close(report[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* It has become another program. */
	if (!told && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		result.error = WORKED;
	kill(prey.sibling, SIGKILL);
	assert_int_equal(waitpid(prey.sibling, NULL, 0), prey.sibling);
	return result;
}

static const char *
describe(int error)
{
	if (error == WORKED)
		return "worked";
	return error == DIED ? "killed" : strerrorname_np(error);
}

/* Whether the attempt was refused wherever a part was in force that does. */
static bool
attempt_fails(const struct attempt *attempt, bool *shown)
{
	struct result result;
	bool good = true;
	size_t i;

	printf("%-31s", attempt->what);
	for (i = 0; i < STAGES; i++) {
		result = make_attempt(attempt, &stages[i]);
		if (i == 0)
			*shown = result.error == WORKED;
		printf(" %-10s", describe(result.error));
		if (result.error == WORKED && (attempt->refused_by &
		    result.parts) != 0)
			good = false;
	}
	printf("%s%s\n", *shown ? "" : " (refused anyway)",
	    good ? "" : " NOT REFUSED");
	return good;
}

/* A test of attempts that would fail anyway shows nothing: root's work but
 * where the kernel has something switched off. */
static void
nothing_is_to_be_had(void **state ATTR_UNUSED)
{
	size_t i, bad = 0, shown_count = 0;
	bool shown;

	printf("%-31s", "");
	for (i = 0; i < STAGES; i++)
		printf(" %-10s", stages[i].name);
	printf("\n");
	for (i = 0; i < attempt_count; i++) {
		if (!attempt_fails(&attempts[i], &shown))
			bad++;
		if (shown)
			shown_count++;
	}
	printf("%zu attempts, of which %zu work without a sandbox\n",
	    attempt_count, shown_count);
	assert_int_equal(bad, 0);
	if (geteuid() == 0)
		assert_in_range(shown_count, attempt_count * 3 / 4,
		    attempt_count);
}

/* What is needed works: the archive's own files. */
static void
archive_works(void **state ATTR_UNUSED)
{
	const struct sandbox sandbox = {.program = SANDBOX_WORKER,
	    .directory = prey.directory};
	int status, fd;
	pid_t pid;

	renew_files();
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		sandbox_enter_parts(&sandbox, SANDBOX_ALL, true);
		fd = openat(prey.directory, "new.part", O_RDWR | O_CREAT |
		    O_CLOEXEC | O_TRUNC, 0644);
		if (fd == -1 || ftruncate(fd, 4096) == -1 ||
		    renameat2(prey.directory, "new.part", prey.directory,
		    "new", 1U) == -1 ||
		    openat(prey.directory, ".", O_RDONLY | O_DIRECTORY |
		    O_CLOEXEC) == -1 ||
		    openat(prey.directory, "own", O_RDONLY | O_CLOEXEC) ==
		    -1 || unlinkat(prey.directory, "new", 0) == -1)
			_exit(errno);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_to_be_had),
		cmocka_unit_test(archive_works),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
