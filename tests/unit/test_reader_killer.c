/* SPDX-License-Identifier: ISC */
/*
 * Decimators that are killed by what they read: a datagram that ends two of
 * them is left out, and nothing else is.
 */
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/util.h"
#include "decimator/stream.h"
#include "tests/unit/reader_support.h"

void	__real_stream_push(struct stream *stream, const uint8_t *data,
	    size_t size, uint64_t received_ns);
void	__wrap_stream_push(struct stream *stream, const uint8_t *data,
	    size_t size, uint64_t received_ns);

/* Numbers of datagrams that no process survives but this one. */
#define KILLERS	4U
static uint64_t	killer[KILLERS];
static unsigned	killers;

void
__wrap_stream_push(struct stream *stream, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	uint64_t number;
	unsigned i;

	memcpy(&number, data, sizeof(number));
	for (i = 0; i < killers; i++)
		if (number == killer[i])
			kill(getpid(), SIGKILL);
	__real_stream_push(stream, data, size, received_ns);
}

static _Noreturn void
serve_all(const struct reader_fixture *f)
{
	struct reader *reader;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	reader = open_reader(&f->message, &f->w, f->sink, NULL);
	while (reader_step(reader) != READER_IDLE)
		continue;
	_exit(0);
}

/* Until one gets through; how many did not. */
static unsigned
count_deaths(const struct reader_fixture *f)
{
	unsigned deaths = 0;
	int status;
	pid_t pid;

	do {
		pid = fork();
		assert_true(pid != -1);
		if (pid == 0)
			serve_all(f);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return deaths;
		assert_true(WIFSIGNALED(status));
	} while (++deaths < 100);
	fail_msg("a decimator ends again and again");
	return deaths;
}

/* All others are taken, once; what it counts is what is left out. */
static void
check_killers(struct reader_fixture *f, const uint64_t *numbers,
    unsigned count, unsigned most)
{
	uint64_t before = check_page(f, 1);
	struct stream_counts counts = fake_counts(&f->w, 0), after;

	reader_close(f->reader);
	f->reader = NULL;
	fake_put_numbers(&f->w, 0, 200);
	memcpy(killer, numbers, count * sizeof(*numbers));
	killers = count;
	assert_in_range(count_deaths(f), 2, most);
	killers = 0;
	after = fake_counts(&f->w, 0);
	assert_int_equal(after.skipped - counts.skipped, count);
	assert_int_equal(after.in - counts.in, 200 - count);
	assert_int_equal(after.missed, counts.missed);
	assert_int_equal(check_page(f, 1), before + 200);
}

static void
killer_is_skipped(void **state)
{
	static const uint64_t first[] = {0}, middle[] = {100},
	    last[] = {199}, several[] = {0, 1, 77, 199};

	check_killers(*state, first, 1, 2);
	check_killers(*state, middle, 1, 3);
	check_killers(*state, last, 1, 3);
	check_killers(*state, several, KILLERS, 3 * KILLERS);
}

/* Whoever was killed for another reason, at different places, or twice with
 * something done in between, costs nothing. */
static void
kill_alone_skips_nothing(void **state)
{
	struct reader_fixture *f = *state;
	static const uint64_t places[] = {100, 100, 150, 150, 180};
	uint64_t before = check_page(f, 1);
	unsigned i;
	int status;
	pid_t pid;

	reader_close(f->reader);
	f->reader = NULL;
	fake_put_numbers(&f->w, 0, 200);
	for (i = 0; i < NITEMS(places); i++) {
		killer[0] = places[i];
		killers = 1;
		pid = fork();
		assert_true(pid != -1);
		if (pid == 0)
			serve_all(f);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		if (i == 1)
			/* It has come up to there. */
			assert_int_equal(check_page(f, 1), before + 100);
	}
	killers = 0;
	assert_int_equal(count_deaths(f), 0);
	assert_int_equal(fake_counts(&f->w, 0).skipped, 0);
	assert_int_equal(check_page(f, 1), before + 200);
}

/* A number of a window by time. */
static void
put_at(struct reader_fixture *f, uint64_t number, uint64_t ms)
{
	uint64_t data[NUMBERED_SIZE / sizeof(uint64_t)] = {number};

	fake_put_at(&f->w, data, sizeof(data), 0, ms * NS_PER_MS);
}

/* A gap before what a predecessor has sent is in what that has sent. */
static void
gap_is_not_in_later_windows(void **state)
{
	struct reader_fixture *f = *state;
	static const struct {
		uint64_t ms;
		unsigned missed;	/* before it */
	} come[] = {{100, 0}, {200, 3}, {1100, 0}, {1200, 0}, {2100, 0},
	    {2200, 0}};
	uint64_t data[NUMBERED_SIZE / sizeof(uint64_t)];
	unsigned i;
	int status;
	pid_t pid;

	message_add(&f->message, "timed", METHOD_PICK, 0, 1);
	f->message.stream[1].interval_ns = NS_PER_S;
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	assert_non_null(f->reader);
	reader_close(f->reader);
	f->reader = NULL;
	for (i = 0; i < NITEMS(come); i++) {
		f->w.sequence += come[i].missed;
		put_at(f, i, come[i].ms);
	}
	killer[0] = NITEMS(come) - 1;
	killers = 1;
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0)
		serve_all(f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	killers = 0;
	assert_int_equal(sink_get(&f->sink[1], data, sizeof(data)),
	    sizeof(data));
	assert_int_equal(data[0], 3);
	f->reader = open_reader(&f->message, &f->w, f->sink, NULL);
	put_at(f, NITEMS(come), 3100);
	catch_up(f->reader);
	assert_int_equal(sink_get(&f->sink[1], data, sizeof(data)),
	    sizeof(data));
	assert_int_equal(data[0], NITEMS(come) - 1);
}

int
main(void)
{
#define READER_TEST(f)	cmocka_unit_test_setup_teardown(f, fixture_setup, \
			    fixture_teardown)
	const struct CMUnitTest tests[] = {
		READER_TEST(killer_is_skipped),
		READER_TEST(kill_alone_skips_nothing),
		READER_TEST(gap_is_not_in_later_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
