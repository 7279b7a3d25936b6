/* SPDX-License-Identifier: ISC */
/*
 * The descriptors and signals that a program is started with.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/message.h"
#include "supervisor/spawn.h"

#define PASSED_MAX	(OUTPUTS_MAX + 5)

static char	self[PATH_MAX];

/*
 * What the program does that is started: 0 when descriptor 3 + i is file i
 * of those named in $EXPECTED, nothing else is open, no signal blocked.
 */
static int
be_the_program(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGPIPE, SIGTERM,
	    SIGCHLD, SIGUSR1, SIGUSR2};
	char *at = getenv("EXPECTED"), *end;
	sigset_t blocked;
	struct stat st;
	uintmax_t inode;
	int fd = MESSAGE_FD;
	size_t i;

	for (; inode = strtoumax(at, &end, 10), end != at; at = end, fd++)
		if (fstat(fd, &st) == -1 || st.st_ino != inode ||
		    fcntl(fd, F_GETFD) != 0)
			return 1;
	for (; fd < 1000; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			return 2;
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (i = 0; i < NITEMS(signals); i++)
		if (sigismember(&blocked, signals[i]) ||
		    signal(signals[i], SIG_DFL) != SIG_DFL)
			return 3;
	return getppid() == (pid_t)atol(getenv("PARENT")) ? 0 : 4;
}

/* Sources right where the targets are, in the wrong order. */
static void
make_sources(int *fds, size_t count)
{
	char expected[PASSED_MAX * 24] = "", text[24];
	struct stat st;
	int pair[2];
	size_t i;

	for (i = 0; i < count; i += 2) {
		assert_int_equal(socketpair(AF_UNIX,
		    SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
		fds[count - 1 - i] = pair[0];
		if (i + 1 < count)
			fds[count - 2 - i] = pair[1];
		else
			close(pair[1]);
	}
	for (i = 0; i < count; i++) {
		assert_int_equal(fstat(fds[i], &st), 0);
		snprintf(text, sizeof(text), "%ju ", (uintmax_t)st.st_ino);
		strcat(expected, text);
	}
	setenv("EXPECTED", expected, 1);
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("PARENT", text, 1);
}

static const struct privdrop	ours;

static void
program_gets_its_descriptors(void **state ATTR_UNUSED)
{
	char directory[PATH_MAX], name[PATH_MAX];
	struct spawn_settings settings = {.launcher = -1};
	int fds[PASSED_MAX], status;
	size_t count, i;
	pid_t pid;

	snprintf(directory, sizeof(directory), "%s", self);
	snprintf(name, sizeof(name), "%s", self);
	settings.directory = dirname(directory);
	signal(SIGPIPE, SIG_IGN);
	for (count = 1; count <= PASSED_MAX; count++) {
		/* In the environment that the launcher has. */
		make_sources(fds, count);
		pid = spawn_program(&settings, basename(name), "program",
		    &ours, STDERR_FILENO, fds, count);
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		for (i = 0; i < count; i++)
			close(fds[i]);
		assert_int_equal(status, 0);
		spawn_end(&settings);
	}
	signal(SIGPIPE, SIG_DFL);
}

static void
program_is_missing(void **state ATTR_UNUSED)
{
	struct spawn_settings settings = {.directory = "/nonexistent",
	    .launcher = -1};
	int status;
	pid_t pid;

	assert_int_equal(spawn_check(&settings, "nothing"), -1);
	pid = spawn_program(&settings, "nothing", NULL,
	    &ours, STDERR_FILENO, NULL, 0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 127);
	spawn_end(&settings);
}

#ifdef HAVE_LINUX
/* The only one. */
static pid_t
child_of_ours(void)
{
	char path[64];
	FILE *f;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	assert_non_null(f = fopen(path, "r"));
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	return pid;
}

/* One launcher for many programs, until it is let go. */
static void
launcher_ends_when_let_go(void **state ATTR_UNUSED)
{
	struct spawn_settings settings = {.directory = "/nonexistent",
	    .launcher = -1};
	int status, i, launcher = -1;
	pid_t pid;

	while (waitpid(-1, &status, 0) > 0)
		continue;
	for (i = 0; i < 3; i++) {
		pid = spawn_program(&settings, "nothing", NULL,
	    &ours, STDERR_FILENO, NULL, 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(launcher == -1 || launcher == settings.launcher);
		launcher = settings.launcher;
	}
	assert_int_equal(waitpid(-1, &status, WNOHANG), 0);
	spawn_end(&settings);
	assert_int_equal(settings.launcher, -1);
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_int_equal(status, 0);
}

/* What it was asked for fails, once; the next one is another launcher's. */
static void
launcher_is_killed(void **state ATTR_UNUSED)
{
	struct spawn_settings settings = {.directory = "/nonexistent",
	    .launcher = -1};
	siginfo_t info;
	pid_t pid;

	pid = spawn_program(&settings, "nothing", NULL,
	    &ours, STDERR_FILENO, NULL, 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(kill(child_of_ours(), SIGKILL), 0);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED), 0);
	assert_int_equal(spawn_program(&settings, "nothing", NULL,
	    &ours, STDERR_FILENO, NULL, 0),
	    -1);
	pid = spawn_program(&settings, "nothing", NULL,
	    &ours, STDERR_FILENO, NULL, 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	spawn_end(&settings);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED), 0);
}

/* The same of one that is stopped, which is not waited for for ever. */
static void
launcher_is_stopped(void **state ATTR_UNUSED)
{
	struct spawn_settings settings = {.directory = "/nonexistent",
	    .launcher = -1};
	siginfo_t info;
	pid_t pid;

	pid = spawn_program(&settings, "nothing", NULL,
	    &ours, STDERR_FILENO, NULL, 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(kill(child_of_ours(), SIGSTOP), 0);
	alarm(60);
	assert_int_equal(spawn_program(&settings, "nothing", NULL,
	    &ours, STDERR_FILENO, NULL, 0), -1);
	alarm(0);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED), 0);
	assert_int_equal(info.si_code, CLD_KILLED);
	pid = spawn_program(&settings, "nothing", NULL,
	    &ours, STDERR_FILENO, NULL, 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	spawn_end(&settings);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED), 0);
}
#endif

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(program_gets_its_descriptors),
		cmocka_unit_test(program_is_missing),
#ifdef HAVE_LINUX
		cmocka_unit_test(launcher_ends_when_let_go),
		cmocka_unit_test(launcher_is_killed),
		cmocka_unit_test(launcher_is_stopped),
#endif
	};

	if (argc > 1 && strcmp(argv[1], "program") == 0)
		return be_the_program();
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) == -1)
		return 1;
	log_init("test_spawn", NULL, LOG_TARGET_STDERR, LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
