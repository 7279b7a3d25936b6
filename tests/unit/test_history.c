/* SPDX-License-Identifier: ISC */
/*
 * Histories of streams beside a plain list of all that was added: growth,
 * forgetting, shares, and places in them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "web/history.h"

#define DATUMS		20000U

static uint8_t	bytes[70000];

/* Datum n: its size and bytes are known by its number. */
static uint32_t
size_of(uint64_t number)
{
	return (uint32_t)(number * 2654435761U % 300);
}

static struct history_entry
entry_of(uint64_t number)
{
	return (struct history_entry){.number = number,
	    .time_ns = number * 7, .missed = number % 3, .lost = number % 5,
	    .size = size_of(number)};
}

static bool
add(struct history *history, size_t share, uint64_t number)
{
	struct history_entry entry = entry_of(number);

	memset(bytes, (int)(number % 251), entry.size);
	return history_add(history, share, &entry, bytes);
}

/* What is there is what was added last, whole; returns how much it is. */
static uint64_t
check(const struct history *history, uint64_t next)
{
	struct history_place place = {0, 0};
	struct history_entry entry, wanted;
	uint64_t found = 0, i;

	assert_int_equal(history_catch_up(history, &place),
	    history->forgotten);
	while (history_look(history, &place, &entry)) {
		wanted = entry_of(history->forgotten + found);
		assert_memory_equal(&entry, &wanted, sizeof(entry));
		assert_int_equal(place.index, history->forgotten + found++);
		history_take(history, &place, &entry, bytes);
		for (i = 0; i < entry.size; i++)
			assert_int_equal(bytes[i], entry.number % 251);
	}
	assert_int_equal(history->forgotten + found, next);
	assert_int_equal(history->count, next);
	return found;
}

static void
keeps_the_last(void **state ATTR_UNUSED)
{
	struct history history = {NULL, 0, 0, 0, 0, 0};
	size_t share = 64 * 1024;
	uint64_t i;

	assert_int_equal(check(&history, 0), 0);
	for (i = 0; i < DATUMS; i++) {
		assert_true(add(&history, share, i));
		if (i % 997 == 0)
			(void)check(&history, i + 1);
		assert_true(history.room <= share);
	}
	/* Each takes 190 bytes on the average. */
	assert_in_range(check(&history, DATUMS), share / 250, share / 150);
	history_fit(&history, share);
	assert_int_equal(history.room, share);
	history_fit(&history, share / 8);
	assert_int_equal(history.room, share / 8);
	assert_true(check(&history, DATUMS) > 0);
	for (; i < 2 * DATUMS; i++)
		assert_true(add(&history, share / 8, i));
	(void)check(&history, 2 * DATUMS);
	history_free(&history);
}

static void
refuses_what_is_too_large(void **state ATTR_UNUSED)
{
	struct history history = {NULL, 0, 0, 0, 0, 0};
	struct history_entry large = {.size = 5000};

	assert_false(history_add(&history, 4096, &large, bytes));
	assert_true(add(&history, 4096, 0));
	assert_false(history_add(&history, 4096, &large, bytes));
	history_free(&history);
	/* To the last byte. */
	large.size = 4096 - sizeof(large);
	assert_true(history_add(&history, 4096, &large, bytes));
	assert_true(history_add(&history, 4096, &large, bytes));
	assert_int_equal(history.forgotten, 1);
	large.size++;
	assert_false(history_add(&history, 4096, &large, bytes));
	history_free(&history);
}

/* A reader that is too slow is told how much it has passed over. */
static void
places_catch_up(void **state ATTR_UNUSED)
{
	struct history history = {NULL, 0, 0, 0, 0, 0};
	struct history_place place = {0, 0};
	struct history_entry entry;
	uint64_t read = 0, passed = 0, i;

	for (i = 0; i < DATUMS; i++) {
		assert_true(add(&history, 8192, i));
		if (i % 3 != 0)
			continue;
		passed += history_catch_up(&history, &place);
		assert_true(history_look(&history, &place, &entry));
		assert_int_equal(entry.number, place.index);
		history_skip(&place, &entry);
		read++;
	}
	assert_true(passed > 0);
	assert_int_equal(read + passed, place.index);
	history_free(&history);
}

/* Many that together may not have what each might. */
static void
all_have_a_bound(void **state ATTR_UNUSED)
{
	enum { MANY = 5000 };
	struct history *many = xcalloc(MANY, sizeof(*many));
	size_t share = history_share(MANY), sum = 0, i;
	uint64_t n;

	assert_true(share * MANY <= HISTORY_MAX);
	assert_true(history_share(1) <= HISTORY_MAX);
	assert_true(history_share(1000000) > 0);
	for (n = 0; n < 40; n++)
		for (i = 0; i < MANY; i++)
			(void)add(&many[i], HISTORY_MAX, n);
	for (i = 0; i < MANY; i++)
		sum += many[i].room;
	assert_true(sum <= HISTORY_MAX);
	for (i = 0; i < MANY; i++)
		history_free(&many[i]);
	/* It is all there again. */
	for (n = 0; n < 2 * DATUMS; n++)
		assert_true(add(&many[0], 4 << 20, n));
	assert_int_equal(many[0].room, 4 << 20);
	history_free(&many[0]);
	free(many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_last),
		cmocka_unit_test(refuses_what_is_too_large),
		cmocka_unit_test(places_catch_up),
		cmocka_unit_test(all_have_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
