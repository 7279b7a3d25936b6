/* SPDX-License-Identifier: ISC */
/*
 * Errands: what comes back, who does not come back, and what they have.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

#include "common/util.h"
#include "supervisor/dirs.h"
#include "supervisor/errand.h"
#include "supervisor/mounts.h"

/* Whoever waits for ever is ended by SIGALRM. */
#define LIMIT_S	20

static int
limit(void **state)
{
	*state = NULL;
	return (int)alarm(LIMIT_S) < 0;
}

/* Until it is over. */
static bool
finish(struct errand *errand, void *answer, size_t size, int *fd)
{
	bool answered = false;

	while (!errand_done(errand, answer, size, fd, &answered))
		usleep(1000);
	return answered;
}

static unsigned
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned count = 0;

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.' &&
		    atoi(entry->d_name) != dirfd(dir);
	closedir(dir);
	return count;
}

static void
answer_with_file(int answer, int kept, const void *argument)
{
	unsigned count = open_descriptors();

	(void)argument;
	(void)fd_send(answer, &count, sizeof(count), &kept, 1);
}

/* It has standard input and output, the answer and what was kept for it;
 * what it hands over is that. */
static void
test_answer(void **state)
{
	struct errand errand = {.process = -1};
	int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC), fd = -1;
	int other = fcntl(file, F_DUPFD, 200);
	struct stat a, b;
	unsigned count;

	(void)state;
	assert_int_not_equal(other, -1);
	assert_int_equal(errand_start(&errand, 1, answer_with_file, file, NULL),
	    0);
	assert_true(finish(&errand, &count, sizeof(count), &fd));
	assert_int_equal(count, 5);
	assert_int_equal(errand.answer, 0);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fstat(file, &a), 0);
	assert_int_equal(fstat(fd, &b), 0);
	assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	close(fd);
	close(other);
	close(file);
	assert_true(wait(NULL) > 0);
}

static void
end_early(int answer, int kept, const void *argument)
{
	(void)answer, (void)kept, (void)argument;
}

static void
test_no_answer(void **state)
{
	struct errand errand = {.process = -1};
	char byte;
	int fd;

	(void)state;
	assert_int_equal(errand_start(&errand, 1, end_early, -1, NULL), 0);
	assert_false(finish(&errand, &byte, sizeof(byte), &fd));
	assert_int_equal(errand.answer, 0);
	assert_true(wait(NULL) > 0);
}

static void
answer_shortly(int answer, int kept, const void *argument)
{
	(void)kept, (void)argument;
	errand_say(answer);
}

/* At most, of all patience. */
static uint64_t	spent_ns;

static void
on_child(int signal_number ATTR_UNUSED)
{
}

/* The end of those before is no answer of this one, and ends no waiting. */
static void
test_signals(void **state)
{
	const struct sigaction action = {.sa_handler = on_child,
	    .sa_flags = SA_RESTART}, none = {.sa_handler = SIG_DFL};
	unsigned i;
	char byte;

	(void)state;
	spent_ns = clock_monotonic_ns();
	assert_int_equal(sigaction(SIGCHLD, &action, NULL), 0);
	/* So few that there is patience for all, unless the machine is busy. */
	for (i = 0; i < 10; i++) {
		if (!errand_ask("/", answer_shortly, "", &byte, 1))
			assert_true(clock_monotonic_ns() - spent_ns >=
			    90 * NS_PER_MS);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
	while (wait(NULL) > 0)
		continue;
	assert_int_equal(sigaction(SIGCHLD, &none, NULL), 0);
	spent_ns = clock_monotonic_ns() - spent_ns;
}

/* Whether it got to its end is known without waiting. */
static void
test_ended(void **state)
{
	struct errand errand = {.process = -1};
	bool said = false;

	(void)state;
	assert_int_equal(errand_start(&errand, 1, answer_shortly, -1, NULL),
	    0);
	while (!errand_ended(&errand, &said))
		usleep(1000);
	assert_true(said);
	assert_int_equal(errand.answer, 0);
	assert_true(wait(NULL) > 0);
	assert_int_equal(errand_start(&errand, 1, end_early, -1, NULL), 0);
	while (!errand_ended(&errand, &said))
		usleep(1000);
	assert_false(said);
	assert_true(wait(NULL) > 0);
}

static void
never_end(int answer, int kept, const void *argument)
{
	(void)answer, (void)kept, (void)argument;
	for (;;)
		pause();
}

/* All are waited for as long as one would be; whoever is forgotten ends, and
 * another of its kind may begin. */
static void
test_for_ever(void **state)
{
	struct errand errands[3 * ERRANDS_MAX], more;
	uint64_t start, first, all;
	bool answered;
	char byte;
	size_t i;
	int fd, status;

	(void)state;
	for (i = 0; i < NITEMS(errands); i++)
		assert_int_equal(errand_start(&errands[i], i / ERRANDS_MAX,
		    never_end, -1, NULL), 0);
	/* No more of a kind. */
	assert_int_equal(errand_start(&more, 0, never_end, -1, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	start = clock_monotonic_ns();
	assert_false(errand_done(&errands[0], &byte, 1, &fd, &answered));
	first = clock_monotonic_ns() - start;
	for (i = 1; i < NITEMS(errands); i++)
		assert_false(errand_done(&errands[i], &byte, 1, &fd,
		    &answered));
	all = clock_monotonic_ns() - start;
	assert_true(first + spent_ns >= 90 * NS_PER_MS);
	assert_true(all < 10 * (first + spent_ns));
	for (i = 0; i < NITEMS(errands); i++) {
		errand_forget(&errands[i]);
		assert_int_equal(errands[i].answer, 0);
	}
	assert_int_equal(errand_start(&more, 0, never_end, -1, NULL), 0);
	errand_forget(&more);
	for (i = 0; i <= NITEMS(errands); i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFSIGNALED(status) &&
		    WTERMSIG(status) == SIGKILL);
	}
}

static void
test_near(void **state)
{
	(void)state;
	assert_int_equal(mounts_at("/proc"), MOUNT_LOCAL);
	assert_int_equal(mounts_at("/proc/self"), MOUNT_NONE);
	assert_int_equal(mounts_at("/nonexistent"), MOUNT_NONE);
	assert_true(dirs_is_near("/proc/self"));
	assert_true(dirs_is_near("/nonexistent"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* While patience is there. */
		cmocka_unit_test_setup(test_signals, limit),
		cmocka_unit_test_setup(test_for_ever, limit),
		cmocka_unit_test_setup(test_answer, limit),
		cmocka_unit_test_setup(test_no_answer, limit),
		cmocka_unit_test_setup(test_ended, limit),
		cmocka_unit_test_setup(test_near, limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
