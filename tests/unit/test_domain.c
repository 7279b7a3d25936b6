/* SPDX-License-Identifier: ISC */
/*
 * A domain's commit: what a reader gets is whole, whatever the writer does.
 */
#include <sys/mman.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/domain.h"
#include "common/util.h"

/* So large that a copy takes a while; all words are alike. */
#define WORDS		4096U

struct large_state {
	uint64_t	word[WORDS];
};

SEGMENT_DOMAIN(large);

#define PAGE	4096U

/* On pages of its own, with some behind it. */
#define DOMAIN_SIZE	(ROUND_UP(sizeof(struct large_domain), PAGE) + 2 * PAGE)

static struct large_domain	*domain;
static _Atomic bool		done;

static void
fill(struct large_state *state, uint64_t word)
{
	unsigned i;

	for (i = 0; i < WORDS; i++)
		state->word[i] = word;
}

static bool
is_whole(const struct large_state *state)
{
	unsigned i;

	for (i = 1; i < WORDS; i++)
		if (state->word[i] != state->word[0])
			return false;
	return true;
}

static int
setup(void **state ATTR_UNUSED)
{
	domain = mmap(NULL, DOMAIN_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(domain != MAP_FAILED);
	atomic_store(&done, false);
	return 0;
}

static int
teardown(void **state ATTR_UNUSED)
{
	return munmap(domain, DOMAIN_SIZE);
}

static void
test_one_process(void **state ATTR_UNUSED)
{
	struct large_state seen = {{0}};

	assert_true(large_read(domain, &seen));
	assert_int_equal(seen.word[0], 0);
	fill(large_begin(domain), 1);
	/* Until it is committed nobody sees it. */
	assert_int_equal(large_current(domain)->word[0], 0);
	assert_true(large_read(domain, &seen));
	assert_int_equal(seen.word[0], 0);
	large_commit(domain);
	assert_int_equal(large_current(domain)->word[WORDS - 1], 1);
	assert_true(large_read(domain, &seen));
	assert_int_equal(seen.word[0], 1);
	assert_true(is_whole(&seen));
}

/* A killed writer's commit that never came is begun again. */
static void
test_begun_again(void **state ATTR_UNUSED)
{
	struct large_state seen = {{0}};

	fill(large_begin(domain), 1);
	fill(large_begin(domain), 2);
	large_commit(domain);
	assert_true(large_read(domain, &seen));
	assert_int_equal(seen.word[0], 2);
}

/*** A reader so slow that the writer commits during its copy. ***/

static uint64_t		committed;
static unsigned		at_once;	/* commits whenever it is caught */
static unsigned		faults;		/* that are left; then it is let go */

/* All of it but the page with the generation. */
static void
protect(int protection)
{
	if (mprotect((char *)domain + PAGE, DOMAIN_SIZE - 2 * PAGE,
	    protection) == -1)
		abort();
}

/* The reader has touched a page: now the writer gets its turn, and the reader
 * may go on, a page or two. */
static void
on_fault(int signal_number ATTR_UNUSED, siginfo_t *info,
    void *context ATTR_UNUSED)
{
	uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1);
	unsigned i;

	protect(PROT_READ | PROT_WRITE);
	if (faults == 0)
		return;
	for (i = 0; i < at_once; i++) {
		fill(large_begin(domain), ++committed);
		large_commit(domain);
	}
	if (--faults == 0)
		return;
	protect(PROT_NONE);
	/* What one instruction reads may lie on two pages. */
	if (mprotect((void *)(page - PAGE), 3 * PAGE,
	    PROT_READ | PROT_WRITE) == -1)
		abort();
}

/* Returns what the read does; `seen' is what it is then. */
static bool
read_slowly(unsigned commits, unsigned times, struct large_state *seen)
{
	struct sigaction action = {.sa_sigaction = on_fault,
	    .sa_flags = SA_SIGINFO}, before;
	bool whole;

	committed = 1;
	fill(large_begin(domain), committed);
	large_commit(domain);
	at_once = commits;
	faults = times;
	assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
	protect(PROT_NONE);
	whole = large_read(domain, seen);
	protect(PROT_READ | PROT_WRITE);
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
	return whole;
}

/* One commit leaves alone what was in force: the first copy is whole. */
static void
test_one_commit(void **state ATTR_UNUSED)
{
	struct large_state seen = {{0}};

	assert_true(read_slowly(1, 1, &seen));
	assert_int_equal(committed, 2);
	assert_true(is_whole(&seen));
	assert_int_equal(seen.word[0], 1);
}

/* The second overwrites it, so the read begins again. */
static void
test_two_commits(void **state ATTR_UNUSED)
{
	struct large_state seen = {{0}};

	assert_true(read_slowly(2, 1, &seen));
	assert_int_equal(committed, 3);
	assert_true(is_whole(&seen));
	assert_int_equal(seen.word[0], 3);
}

/* A reader that is never quick enough says so, and keeps what it had. */
static void
test_too_slow(void **state ATTR_UNUSED)
{
	struct large_state seen, kept = {{0}};

	fill(&kept, 7);
	seen = kept;
	assert_false(read_slowly(2, UINT_MAX, &seen));
	assert_true(committed > 100);
	assert_memory_equal(&seen, &kept, sizeof(seen));
}

/*** A writer in another thread. ***/

static void *
commit_on(void *argument ATTR_UNUSED)
{
	uint64_t i;

	for (i = 1; !atomic_load(&done); i++) {
		fill(large_begin(domain), i);
		large_commit(domain);
	}
	return NULL;
}

static void *
garble(void *argument ATTR_UNUSED)
{
	while (!atomic_load(&done))
		atomic_fetch_add(&domain->generation, 3);
	return NULL;
}

/* Reads for a second and longer until there was one that was whole. */
static unsigned
read_on(void)
{
	struct large_state seen = {{0}}, before = {{0}};
	uint64_t end_ns = clock_monotonic_ns() + NS_PER_S;
	unsigned whole = 0;

	do {
		if (large_read(domain, &seen)) {
			whole += seen.word[0] > before.word[0];
			before = seen;
		}
		/* Whole, or what it was before. */
		assert_true(is_whole(&seen));
		assert_memory_equal(&seen, &before, sizeof(seen));
	} while (clock_monotonic_ns() < end_ns);
	return whole;
}

static void
test_fast_writer(void **state ATTR_UNUSED)
{
	pthread_t thread;
	unsigned whole;

	assert_int_equal(pthread_create(&thread, NULL, commit_on, NULL), 0);
	whole = read_on();
	atomic_store(&done, true);
	pthread_join(thread, NULL);
	assert_true(whole > 0);
}

/* It may not hold a reader, and what was read before is kept. */
static void
test_hostile_writer(void **state ATTR_UNUSED)
{
	struct large_state seen, kept = {{0}};
	uint64_t begin_ns = clock_monotonic_ns();
	pthread_t thread;
	unsigned i;

	fill(&kept, 7);
	seen = kept;
	assert_int_equal(pthread_create(&thread, NULL, garble, NULL), 0);
	for (i = 0; i < 20; i++)
		(void)!large_read(domain, &seen);
	atomic_store(&done, true);
	pthread_join(thread, NULL);
	assert_true(clock_monotonic_ns() - begin_ns < 20 * NS_PER_S);
	/* It says that it is overwriting everything, and stays there. */
	atomic_store(&domain->begun, atomic_load(&domain->generation) + 2);
	seen = kept;
	assert_false(large_read(domain, &seen));
	assert_memory_equal(&seen, &kept, sizeof(seen));
	atomic_store(&domain->begun, atomic_load(&domain->generation) - 1);
	assert_false(large_read(domain, &seen));
	assert_memory_equal(&seen, &kept, sizeof(seen));
}

#define DOMAIN_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DOMAIN_TEST(test_one_process),
		DOMAIN_TEST(test_begun_again),
		DOMAIN_TEST(test_one_commit),
		DOMAIN_TEST(test_two_commits),
		DOMAIN_TEST(test_too_slow),
#ifndef __SANITIZE_THREAD__	/* A race, found out by the generation. */
		DOMAIN_TEST(test_fast_writer),
		DOMAIN_TEST(test_hostile_writer),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
