/* SPDX-License-Identifier: ISC */
/*
 * Decimators that are killed: what one of them has taken from the ring its
 * successor neither counts again nor leaves out.
 *
 * First a share is taken one instruction at a time; at each of them the page
 * must say what a successor can go on from.  Then decimators are killed
 * where it hits them, under a load that laps them now and then.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/util.h"
#include "decimator/sending.h"
#include "decimator/stream.h"
#include "tests/unit/single_step.h"
#include "tests/unit/reader_support.h"

#define KILLS	200U

/*** At each instruction. ***/

static _Noreturn void
take_a_share(struct reader_fixture *f)
{
	single_step_here();
	_exit(reader_step(f->reader) == READER_BROKEN);
}

static void
page_is_whole_at_each_instruction(void **state)
{
	struct reader_fixture *f = *state;
	unsigned steps = 0;
	uint64_t before;
	pid_t pid;

	message_add(&f->message, "more", METHOD_PICK, 3, 1);
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	assert_non_null(f->reader);
	before = check_page(f, 2);
	fake_put_numbers(&f->w, 0, 20);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0)
		take_a_share(f);
	single_step_begin(pid);
	while (single_step(pid)) {
		(void)check_page(f, 2);
		steps++;
	}
	assert_int_equal(check_page(f, 2), before + 20);
	/* It was really watched. */
	assert_in_range(steps, 1000, 10000000);
}

/*** Anywhere. ***/

static uint64_t
generation(const struct reader_fixture *f)
{
	return atomic_load(&f->w.segment.page->progress.generation);
}

static _Noreturn void
serve(const struct reader_fixture *f)
{
	struct reader *reader;

	/* Not left over when the test fails. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	reader = open_reader(&f->message, &f->w, f->sink, NULL);
	while (reader != NULL && reader_step(reader) != READER_BROKEN)
		continue;
	_exit(1);
}

/* Lets it take so many shares, with datagrams coming in all the while. */
static void
load(struct reader_fixture *f, unsigned shares, unsigned datagrams)
{
	uint64_t until = generation(f) + shares;
	time_t deadline = time(NULL) + 60;

	while (generation(f) < until) {
		fake_put_numbers(&f->w, f->w.sequence, datagrams);
		sched_yield();
		assert_true(time(NULL) < deadline);
	}
}

static void
killed_often(void **state)
{
	struct reader_fixture *f = *state;
	struct stream_counts counts;
	unsigned i;
	pid_t pid;
	int status;

	reader_close(f->reader);
	for (i = 0; i < KILLS; i++) {
		pid = fork();
		assert_true(pid != -1);
		if (pid == 0)
			serve(f);
		load(f, 1 + i % 5, 1 + 37 * (i % 7));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		(void)check_page(f, 1);
		/* Some find a ring that has gone round. */
		if (i % 20 == 0)
			fake_put_numbers(&f->w, f->w.sequence,
			    RING_NUMBERS + i);
	}
	f->reader = open_reader(&f->message, &f->w, f->sink, NULL);
	assert_non_null(f->reader);
	catch_up(f->reader);
	assert_accounted(&f->w, 0);
	counts = fake_counts(&f->w, 0);
	assert_true(counts.in > KILLS);
	assert_true(counts.missed > 0);
}

/*** What has been sent. ***/

/* A second stream, each datagram of which goes to an archive as well. */
static void
add_archived(struct reader_fixture *f)
{
	struct stream_config *config;

	message_add(&f->message, "kept", METHOD_PICK, 1, 1);
	config = &f->message.stream[1];
	config->archived = config->feeds = 1;
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	assert_non_null(f->reader);
}

#ifdef HAVE_LINUX
/* Takes what has come; it must go on with the number *next. */
static void
take_in_order(struct sink *sink, uint64_t *next)
{
	int64_t number;

	while ((number = sink_number(sink)) != -1) {
		if (number != (int64_t)*next)
			fail_msg("%lld instead of %llu", (long long)number,
			    (unsigned long long)*next);
		(*next)++;
	}
}

/* What a successor would find in the page as it is now, from a copy of it. */
static void
check_sent(const struct reader_fixture *f, int copy, uint64_t away,
    uint64_t archived)
{
	uint8_t *page = (uint8_t *)f->w.segment.page;
	const struct segment segment = {.base = page,
	    .page = f->w.segment.page};
	struct sent_mark mark = {0, 0};
	struct stream_counts counts;
	struct sending sending;

	assert_int_equal(pwrite(copy, page, DECIMATOR_AREA, 0),
	    DECIMATOR_AREA);
	assert_true(sending_open(&sending, &segment, copy));
	assert_true(sending_recall(&sending, 1, f->message.stream[1].id, true,
	    &counts, &mark));
	if (mark.sequence + mark.datum != archived || counts.out != away ||
	    counts.out + counts.errors != archived || counts.unarchived != 0)
		fail_msg("%llu away and %llu archived, but out %llu, errors "
		    "%llu, mark %llu.%llu", (unsigned long long)away,
		    (unsigned long long)archived,
		    (unsigned long long)counts.out,
		    (unsigned long long)counts.errors,
		    (unsigned long long)mark.sequence,
		    (unsigned long long)mark.datum);
	sending_close(&sending);
}

static void
sent_is_known_at_each_instruction(void **state)
{
	struct reader_fixture *f = *state;
	uint64_t away = 0, archived = 0;
	int copy = memfd_create("copy", MFD_CLOEXEC);
	unsigned steps = 0;
	pid_t pid;

	add_archived(f);
	fake_put_numbers(&f->w, 0, 5);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0)
		take_a_share(f);
	single_step_begin(pid);
	while (single_step(pid)) {
		take_in_order(&f->sink[1], &away);
		take_in_order(&f->sink[2], &archived);
		check_sent(f, copy, away, archived);
		steps++;
	}
	assert_int_equal(archived, 5);
	assert_int_equal(away, 5);
	assert_in_range(steps, 1000, 10000000);
	close(copy);
}

/* Each has come to the archive once; to the destination, too, but for those
 * that are counted as errors. */
static void
sent_once(void **state)
{
	struct reader_fixture *f = *state;
	uint64_t archived = 0, away = 0, enough;
	struct stream_counts counts;
	unsigned i;
	pid_t pid;
	int status;

	add_archived(f);
	reader_close(f->reader);
	for (i = 0; i < KILLS; i++) {
		pid = fork();
		assert_true(pid != -1);
		if (pid == 0)
			serve(f);
		fake_put_numbers(&f->w, f->w.sequence, 100);
		enough = archived + i % 50;
		while (archived < enough) {
			take_in_order(&f->sink[2], &archived);
			for (; sink_number(&f->sink[1]) != -1; away++)
				continue;
			if (i % 3 == 0)
				sched_yield();
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		take_in_order(&f->sink[2], &archived);
		f->reader = open_reader(&f->message, &f->w, f->sink, NULL);
		catch_up(f->reader);
		reader_close(f->reader);
		take_in_order(&f->sink[2], &archived);
		for (; sink_number(&f->sink[1]) != -1; away++)
			continue;
	}
	f->reader = open_reader(&f->message, &f->w, f->sink, NULL);
	assert_non_null(f->reader);
	assert_int_equal(archived, f->w.sequence);
	counts = fake_counts(&f->w, 1);
	assert_int_equal(counts.out, away);
	assert_int_equal(counts.out + counts.errors, archived);
	assert_int_equal(counts.unarchived, 0);
}
#endif

/* An archive that was stopped: each refusal speaks of the one before, and is
 * counted whatever becomes of the one in hand. */
static void
check_refused(const struct reader_fixture *f, int copy)
{
	uint8_t *page = (uint8_t *)f->w.segment.page;
	const struct segment segment = {.base = page,
	    .page = f->w.segment.page};
	struct sent_mark mark = {0, 0};
	struct stream_counts counts;
	struct sending sending;
	uint64_t passed;

	assert_int_equal(pwrite(copy, page, DECIMATOR_AREA, 0),
	    DECIMATOR_AREA);
	assert_true(sending_open(&sending, &segment, copy));
	assert_true(sending_recall(&sending, 1, f->message.stream[1].id, true,
	    &counts, &mark));
	passed = mark.sequence + mark.datum;
	if (counts.unarchived + 1 != passed && counts.unarchived != passed)
		fail_msg("%llu passed, %llu of them refused",
		    (unsigned long long)passed,
		    (unsigned long long)counts.unarchived);
	sending_close(&sending);
}

static void
refused_is_known_at_each_instruction(void **state)
{
	struct reader_fixture *f = *state;
	int copy = memfd_create("copy", MFD_CLOEXEC);
	unsigned steps = 0;
	pid_t pid;

	add_archived(f);
	close(f->sink[2].receiver);
	f->sink[2].receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	fake_put_numbers(&f->w, 0, 5);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0)
		take_a_share(f);
	single_step_begin(pid);
	for (; single_step(pid); steps++)
		check_refused(f, copy);
	assert_int_equal(fake_counts(&f->w, 1).unarchived, 4);
	assert_in_range(steps, 1000, 10000000);
	close(copy);
}

int
main(void)
{
#define READER_TEST(f)	cmocka_unit_test_setup_teardown(f, fixture_setup, \
			    fixture_teardown)
	const struct CMUnitTest tests[] = {
		READER_TEST(page_is_whole_at_each_instruction),
		READER_TEST(killed_often),
#ifdef HAVE_LINUX
		READER_TEST(sent_is_known_at_each_instruction),
		READER_TEST(sent_once),
#endif
		READER_TEST(refused_is_known_at_each_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
