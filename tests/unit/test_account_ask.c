/* SPDX-License-Identifier: ISC */
/*
 * Asking a program for a segment's numbers, by a process for each and by one
 * that serves, and what becomes of one that does not tell them.  That program
 * is this one.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "supervisor/account.h"
#include "supervisor/images.h"

/* How the program behaves that is asked. */
#define BEHAVIOUR	"TEST_ACCOUNT"

static void
open_image(struct image *image, bool served)
{
	size_t i;

	memset(image, 0, sizeof(*image));
	image->server = image->server_process = -1;
	image->unserved = !served;
	for (i = 0; i < IMAGE_PROGRAMS; i++)
		image->fd[i] = -1;
	image->fd[IMAGE_DAEMON] = open("/proc/self/exe",
	    O_RDONLY | O_CLOEXEC);
}

static enum account_answer
ask(struct image *image, json_t **account)
{
	const struct privdrop nobody = {.uid = 0};
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN};
	enum account_answer answer;
	struct segment segment;
	bool locked;

	snprintf(spec.config.name, sizeof(spec.config.name), "one");
	assert_int_equal(segment_create(&segment, &spec, &locked), 0);
	answer = account_ask(image, &nobody, segment.fd, account);
	segment_close(&segment);
	assert_int_equal(*account != NULL, answer == ACCOUNT_GIVEN);
	return answer;
}

static const struct {
	const char		*behaviour;
	enum account_answer	 answer;
} cases[] = {
	{"tells", ACCOUNT_GIVEN},
	{"damaged", ACCOUNT_DAMAGED},
	{"fails", ACCOUNT_NONSENSE},
	{"silent", ACCOUNT_NONSENSE},
	{"nonsense", ACCOUNT_NONSENSE},
	{"crashes", ACCOUNT_NONSENSE},
	{"floods", ACCOUNT_NONSENSE},
	{"hangs", ACCOUNT_LATE},
	{"closes and hangs", ACCOUNT_LATE},
};

static void
check_cases(bool served)
{
	struct image image;
	json_t *account;
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		open_image(&image, served);
		setenv(BEHAVIOUR, cases[i].behaviour, 1);
		if (ask(&image, &account) != cases[i].answer)
			fail_msg("%s", cases[i].behaviour);
		json_decref(account);
		assert_int_equal(image.server != -1, served);
		image_drop(&image);
	}
}

static void
test_asked(void **state ATTR_UNUSED)
{
	check_cases(false);
}

/* Whatever becomes of the process that reads a segment, the one that serves
 * goes on. */
static void
test_served(void **state ATTR_UNUSED)
{
	check_cases(true);
	while (waitpid(-1, NULL, 0) > 0)
		continue;
}

/* One process for all; when the image is dropped it ends. */
static void
test_served_again(void **state ATTR_UNUSED)
{
	struct image image;
	json_t *account;
	int process = -1, i;

	open_image(&image, true);
	setenv(BEHAVIOUR, "tells", 1);
	for (i = 0; i < 100; i++) {
		assert_int_equal(ask(&image, &account), ACCOUNT_GIVEN);
		json_decref(account);
		assert_true(i == 0 || image.server_process == process);
		process = image.server_process;
	}
	image_drop(&image);
	assert_int_not_equal(waitpid(-1, NULL, 0), -1);
	assert_int_equal(waitpid(-1, NULL, 0), -1);
}

/* Whose program cannot serve, or does not, is asked as before. */
static void
test_unserved(void **state ATTR_UNUSED)
{
	static const char *const behaviours[] = {"does not serve", "is deaf",
	    "talks nonsense"};
	struct image image;
	json_t *account;
	size_t i;

	for (i = 0; i < NITEMS(behaviours); i++) {
		open_image(&image, true);
		setenv(BEHAVIOUR, behaviours[i], 1);
		if (ask(&image, &account) != ACCOUNT_GIVEN)
			fail_msg("%s", behaviours[i]);
		json_decref(account);
		assert_true(image.unserved);
		assert_int_equal(image.server, -1);
		/* Nobody is left. */
		while (waitpid(-1, NULL, 0) > 0)
			continue;
		image_drop(&image);
	}
}

/* What it is started with: the segment, and no more than it needs. */
static bool
is_confined(void)
{
	struct rlimit core;

	return getsid(0) == getpid() &&
	    getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 &&
	    fcntl(ACCOUNT_FD, F_GETFD) != -1 &&
	    fcntl(ACCOUNT_FD + 1, F_GETFD) == -1;
}

static int
tell(void)
{
	struct segment segment;
	const char *why;
	json_t *account;

	if (!is_confined() || segment_attach(&segment, ACCOUNT_FD,
	    SEGMENT_DECIMATOR, &why) == -1)
		return 1;
	account = account_of(&segment);
	json_dumpf(account, stdout, 0);
	json_decref(account);
	return fflush(stdout);
}

static int
behave(const char *how)
{
	if (strcmp(how, "tells") == 0)
		return tell();
	if (strcmp(how, "damaged") == 0)
		return ACCOUNT_EXIT_DAMAGED;
	if (strcmp(how, "silent") == 0)
		return 0;
	if (strcmp(how, "nonsense") == 0)
		return printf("{\"sequence\": -1") < 0;
	if (strcmp(how, "crashes") == 0)
		abort();
	while (strcmp(how, "floods") == 0)
		printf("[");
	if (strcmp(how, "closes and hangs") == 0)
		closefrom(0);
	while (strcmp(how, "fails") != 0)
		pause();
	return 1;
}

static int
behave_as_told(void)
{
	return behave(getenv(BEHAVIOUR));
}

/* With a socket in the place of a segment. */
static int
behave_served(const char *how)
{
	if (strcmp(how, "does not serve") == 0)
		return ACCOUNT_EXIT_DAMAGED;
	if (strcmp(how, "talks nonsense") == 0)
		(void)send(ACCOUNT_FD, "?", 1, MSG_NOSIGNAL);
	else if (strcmp(how, "is deaf") != 0)
		return account_serve(behave_as_told);
	for (;;)
		pause();
}

static int
behave_as_program(const char *how)
{
	struct stat stat;

	if (fstat(ACCOUNT_FD, &stat) == 0 && S_ISSOCK(stat.st_mode))
		return behave_served(how);
	for (size_t i = 0; i < NITEMS(cases); i++)
		if (strcmp(how, cases[i].behaviour) == 0)
			return behave(how);
	return tell();
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_served),
		cmocka_unit_test(test_served_again),
		cmocka_unit_test(test_unserved),
	};

	if (argc > 1 && strcmp(argv[1], "--account") == 0)
		return behave_as_program(getenv(BEHAVIOUR));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
