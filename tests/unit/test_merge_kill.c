/* SPDX-License-Identifier: ISC */
/*
 * Inputs that are paths of one stream, and a worker killed after every single
 * instruction.
 *
 * A child that goes through a script is single-stepped; after each instruction
 * the segment is copied, a successor takes over on the copy, goes through what
 * the dead one had not taken, and must come out with what somebody who was
 * never killed comes out with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/inputs.h"
#include "common/log.h"
#include "common/util.h"
#include "tests/unit/merge_script.h"
#include "tests/unit/single_step.h"

/* Of ring and pool, what a script that is stepped through uses at most. */
#define USED		4096U

/* A message of two, where there are such ones. */
#ifdef HAVE_LINUX
#define TWO(input, number)	{input, number, 2}
#else
#define TWO(input, number)	{input, number, 1}, {input, (number) + 1, 1}
#endif

/* Two paths with losses, a run, a number that never comes, a new beginning. */
static const struct message_script	stepped[] = {
	{0, 110, 1}, {0, 111, 1}, TWO(0, 114), {1, 110, 1},
	TWO(1, 112), {0, 117, 1}, {1, 114, 1}, TWO(1, 116),
	{1, 119, 1}, {0, 3, 1}, {1, 120, 1}, TWO(1, 3), {0, 5, 1},
};
static const int	outcome[] = {
	110, 111, 112, 113, 114, 115, 116, 117, 119,
	120, 3, 4, 5,
};

static void
copy_used(struct segment *to, const struct segment *from)
{
	uint64_t start_at = ring_start(RING_SIZE);
	uint32_t i;

	memcpy(to->base, from->base, (size_t)(from->slots - from->base));
	for (i = 0; i < from->rx_slots; i++)
		memcpy(to->slots + (size_t)i * SLOT_SIZE,
		    from->slots + (size_t)i * SLOT_SIZE, 64);
	memcpy(to->merge->copy, from->merge->copy, sizeof(from->merge->copy));
	memcpy(to->merge + 1, from->merge + 1, USED);
	memcpy(ring_at(&to->ring, start_at), ring_at(&from->ring, start_at),
	    USED);
}

static void
check_successor(struct world *successor, const struct segment *left)
{
	static int numbers[NUMBERS_MAX];
	unsigned i;

	copy_used(&successor->segment, left);
	script_start(successor, false);
	script_go_through(successor);
	assert_int_equal(script_result(&successor->segment, numbers),
	    NITEMS(outcome));
	for (i = 0; i < NITEMS(outcome); i++)
		assert_int_equal(numbers[i], outcome[i]);
	script_check(&successor->segment);
	assert_true(successor->segment.merge->copy[0].head < USED);
}

static void
check_sole(const struct segment *segment)
{
	struct input_state input[INPUTS_MAX];

	assert_true(inputs_read(segment, input));
	/* ...11, 15, 5; 12, 13, 16, 19, 20, 4: 10, 14, 17, 3 by both. */
	assert_int_equal(input[0].counts.sole, 3);
	assert_int_equal(input[1].counts.sole, 6);
}

/*
 * Most instructions copy what is known of the numbers, or look for them.  So a
 * short run is killed at some of them only, a long one (MCRELAY_TEST_LONG) at
 * each.
 */
#define EACH_OF_SHORT	7U

static void
test_kill(void **state ATTR_UNUSED)
{
	const unsigned each = getenv("MCRELAY_TEST_LONG") != NULL ? 1 :
	    EACH_OF_SHORT;
	static struct world world, successor;
	unsigned steps = 0, kills = 0;
	pid_t pid;

	script_set(stepped, NITEMS(stepped));
	script_make(&world.segment, SENDER_SEQUENCE_U8);
	script_make(&successor.segment, SENDER_SEQUENCE_U8);
	pid = fork();
	if (pid == 0) {
		script_start(&world, false);
		single_step_here();
		script_go_through(&world);
		_exit(0);
	}
	single_step_begin(pid);
	while (single_step(pid)) {
		if (steps++ % each != 0)
			continue;
		check_successor(&successor, &world.segment);
		kills++;
	}
	check_successor(&successor, &world.segment);
	check_sole(&successor.segment);
	print_message("killed after %u of %u instructions\n", kills, steps);
	assert_true(steps > 1000);
	segment_close(&world.segment);
	segment_close(&successor.segment);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill),
	};

	log_set_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
