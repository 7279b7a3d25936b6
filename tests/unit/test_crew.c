/* SPDX-License-Identifier: ISC */
/*
 * Duties and the crews that do them: who hangs, who waits for whom, and that
 * no post is lost.
 */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "worker/archive/crew.h"

/* Whoever waits for ever is ended by SIGALRM. */
#define LIMIT_S	20
#define SIZE	2U
#define HANGING	5U
#define POSTS	20000U

/* A duty that does what it is told to. */
struct toy {
	struct duty	 duty;
	int		 gate[2];	/* a byte of it lets a step end */
	struct toy	*joins;
	_Atomic bool	 end;
	_Atomic unsigned steps;
	_Atomic unsigned asked;
	unsigned	 seen;		/* of asked, by its last step */
	uint64_t	 at_ns;
	pthread_t	 thread;	/* of the last step */
};

static int
limit(void **state)
{
	*state = NULL;
	return (int)alarm(LIMIT_S) < 0;
}

static unsigned
threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;
}

/* What the last step has left out, there is no other one for. */
static uint64_t
count(void *argument)
{
	struct toy *toy = argument;
	bool end = atomic_load(&toy->end);

	toy->thread = pthread_self();
	toy->seen = atomic_load(&toy->asked);
	atomic_fetch_add(&toy->steps, 1);
	return end ? DUTY_OVER : DUTY_POSTED;
}

static uint64_t
hang(void *argument)
{
	struct toy *toy = argument;
	char byte;

	atomic_fetch_add(&toy->steps, 1);
	return read(toy->gate[0], &byte, 1) == 1 ? DUTY_OVER : DUTY_AGAIN;
}

/* Hangs at first, and comes again, at once or at its time. */
static uint64_t
hang_once(void *argument)
{
	struct toy *toy = argument;
	char byte;

	if (atomic_fetch_add(&toy->steps, 1) > 0)
		return DUTY_OVER;
	return read(toy->gate[0], &byte, 1) == 1 ? toy->at_ns : DUTY_OVER;
}

static uint64_t
join_another(void *argument)
{
	struct toy *toy = argument;

	toy->thread = pthread_self();
	duty_join(&toy->joins->duty);
	return DUTY_OVER;
}

static uint64_t
once_late(void *argument)
{
	struct toy *toy = argument;

	if (atomic_fetch_add(&toy->steps, 1) == 0)
		return toy->at_ns;
	assert_true(clock_monotonic_ns() >= toy->at_ns);
	return DUTY_OVER;
}

static void
begin(struct toy *toy, struct crew *crew, uint64_t (*step)(void *))
{
	assert_int_equal(duty_start(&toy->duty, crew, step, toy), 0);
}

static void
finish(struct toy *toy)
{
	atomic_store(&toy->end, true);
	duty_post(&toy->duty);
	duty_join(&toy->duty);
}

/* More than the crew has threads. */
static void
test_hanging_duties_hold_up_nobody(void **state ATTR_UNUSED)
{
	struct crew *crew = crew_new(SIZE, NULL);
	struct toy hanging[HANGING] = {0}, fine = {0};
	unsigned before, i, steps;

	begin(&fine, crew, count);
	while (atomic_load(&fine.steps) == 0)
		usleep(1000);
	before = threads();
	for (i = 0; i < HANGING; i++) {
		assert_int_equal(pipe(hanging[i].gate), 0);
		begin(&hanging[i], crew, hang);
	}
	for (i = 0; i < HANGING; i++)
		while (atomic_load(&hanging[i].steps) == 0)
			usleep(1000);
	steps = atomic_load(&fine.steps);
	duty_post(&fine.duty);
	while (atomic_load(&fine.steps) == steps)
		usleep(1000);
	assert_in_range(threads(), before + HANGING - SIZE + 1,
	    before + HANGING);
	for (i = 0; i < HANGING; i++) {
		assert_int_equal(write(hanging[i].gate[1], "", 1), 1);
		duty_join(&hanging[i].duty);
		close(hanging[i].gate[0]);
		close(hanging[i].gate[1]);
	}
	/* Those that are too many end. */
	while (threads() > before) {
		duty_post(&fine.duty);
		usleep(1000);
	}
	finish(&fine);
}

/* Its thread, which was replaced meanwhile, ends; the other one sleeps. */
static void
come_again(uint64_t at_ns)
{
	struct crew *crew = crew_new(1, NULL);
	struct toy hanging = {.at_ns = at_ns}, fine = {0};

	assert_int_equal(pipe(hanging.gate), 0);
	begin(&hanging, crew, hang_once);
	begin(&fine, crew, count);
	while (atomic_load(&fine.steps) == 0)
		usleep(1000);
	assert_int_equal(write(hanging.gate[1], "", 1), 1);
	while (atomic_load(&hanging.steps) < 2)
		usleep(1000);
	duty_join(&hanging.duty);
	finish(&fine);
	close(hanging.gate[0]);
	close(hanging.gate[1]);
}

static void
test_who_hung_comes_again(void **state ATTR_UNUSED)
{
	come_again(DUTY_AGAIN);
	come_again(clock_monotonic_ns() + NS_PER_S / 2);
}

static void
test_a_step_may_wait_for_another_duty(void **state ATTR_UNUSED)
{
	struct crew *crew = crew_new(1, NULL);
	struct toy inner = {.end = true}, outer = {.joins = &inner};

	begin(&outer, crew, join_another);
	begin(&inner, crew, count);
	duty_join(&outer.duty);
	assert_true(inner.duty.over);
	assert_int_equal(inner.steps, 1);
	assert_true(pthread_equal(inner.thread, outer.thread));
}

static void
test_no_post_is_lost(void **state ATTR_UNUSED)
{
	struct crew *crew = crew_new(SIZE, NULL);
	struct toy toy = {0}, alone = {0};
	unsigned i;

	begin(&toy, crew, count);
	begin(&alone, NULL, count);
	for (i = 1; i <= POSTS; i++) {
		atomic_store(&toy.asked, i);
		duty_post(&toy.duty);
		atomic_store(&alone.asked, i);
		duty_post(&alone.duty);
	}
	finish(&toy);
	finish(&alone);
	assert_int_equal(toy.seen, POSTS);
	assert_int_equal(alone.seen, POSTS);
}

/* Comes again by itself, however often it is posted. */
static uint64_t
again(void *argument)
{
	struct toy *toy = argument;

	atomic_fetch_add(&toy->steps, 1);
	return atomic_load(&toy->end) ? DUTY_OVER : DUTY_AGAIN;
}

static void *
post_much(void *argument)
{
	struct toy *toy = argument;
	unsigned i;

	for (i = 0; i < 10 * POSTS; i++)
		duty_post(&toy->duty);
	return NULL;
}

/* Who is ready without a post is posted just before its step begins: it must
 * not be listed twice, or the list has no end. */
static void
test_posts_while_ready(void **state ATTR_UNUSED)
{
	struct crew *crew = crew_new(SIZE, NULL);
	struct toy toy = { 0 };
	pthread_t poster[2];
	unsigned i;

	begin(&toy, crew, again);
	for (i = 0; i < NITEMS(poster); i++)
		assert_int_equal(pthread_create(&poster[i], NULL, post_much,
		    &toy), 0);
	for (i = 0; i < NITEMS(poster); i++)
		pthread_join(poster[i], NULL);
	atomic_store(&toy.end, true);
	duty_join(&toy.duty);
	assert_true(toy.steps > 0);
}

static void
test_timers_come_in_time(void **state ATTR_UNUSED)
{
	struct crew *crew = crew_new(SIZE, NULL);
	struct toy toy[50] = {0};
	uint64_t now = clock_monotonic_ns();
	unsigned i;

	for (i = 0; i < NITEMS(toy); i++) {
		toy[i].at_ns = now + (i * 37 % NITEMS(toy) + 1) * NS_PER_MS;
		begin(&toy[i], crew, once_late);
	}
	for (i = 0; i < NITEMS(toy); i++)
		while (atomic_load(&toy[i].steps) < 2)
			usleep(1000);
	for (i = 0; i < NITEMS(toy); i++) {
		duty_join(&toy[i].duty);
		assert_int_equal(toy[i].steps, 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_hanging_duties_hold_up_nobody,
		    limit),
		cmocka_unit_test_setup(test_who_hung_comes_again, limit),
		cmocka_unit_test_setup(test_a_step_may_wait_for_another_duty,
		    limit),
		cmocka_unit_test_setup(test_no_post_is_lost, limit),
		cmocka_unit_test_setup(test_posts_while_ready, limit),
		cmocka_unit_test_setup(test_timers_come_in_time, limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
