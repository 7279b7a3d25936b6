/* SPDX-License-Identifier: ISC */
/*
 * A segment's numbers by name: that all of them are told and taken over, and
 * that those of the first release are for ever.
 */
#include <sys/prctl.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/inputs.h"
#include "common/util.h"
#include "supervisor/account.h"

/* What mcrelayd 0.1.0 has told of a segment as number_all() leaves it. */
#ifndef ACCOUNT_FIXTURE
#define ACCOUNT_FIXTURE	"account-0.1.0.json"
#endif

static void
make(struct segment *segment)
{
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN};
	bool locked;

	snprintf(spec.config.name, sizeof(spec.config.name), "one");
	spec.config.outputs = 2;
	spec.config.archive.enabled = 1;
	snprintf(spec.config.slot[0], sizeof(spec.config.slot[0]), "view");
	spec.config.slot_id[0] = 7;
	assert_int_equal(segment_create(segment, &spec, &locked), 0);
}

/* Each counter has a number of its own; what the first release had keeps those
 * that it had there. */
static uint64_t
number_of(const char *name, uint64_t *next)
{
	static const char *const later[] = {"relay_standby", "standby",
	    "merged", "merge_waiting", "sole", "kernel_relayed",
	    "kernel_relay_errors"};
	size_t i;

	for (i = 0; i < NITEMS(later); i++)
		if (strcmp(name, later[i]) == 0)
			return 5000;
	return (*next)++;
}

#define NUMBER(name, kind, unit, catalogued, meaning)			\
	counts->name = number_of(#name, next);

static void
number_ingest(struct ingest_counts *counts, uint64_t *next)
{
	INGEST_COUNTERS(NUMBER)
}

static void
number_output(struct output_counts *counts, uint64_t *next)
{
	OUTPUT_COUNTERS(NUMBER)
}

static void
number_archive(struct archive_counts *counts, uint64_t *next)
{
	size_t i;

	ARCHIVE_COUNTERS(NUMBER)
	for (i = 0; i < DATUM_ERRORS; i++)
		counts->rejected_by[i] = (*next)++;
}

static void
number_ledger(struct ledger *counts, uint64_t *next)
{
	LEDGER_COUNTERS(NUMBER)
}

static void
number_stream(struct stream_counts *counts, uint64_t *next)
{
	STREAM_COUNTERS(NUMBER)
}

static void
number_worker(const struct segment *segment, uint64_t *next)
{
	struct worker_state *state = segment->state;
	struct ingest_state *ingest = inputs_begin(segment);
	struct archive_state *archive = archive_begin(&state->archive);
	struct output_state *output;
	size_t i;

	number_ingest(&ingest->counts, next);
	ingest->last_received_ns = (*next)++;
	inputs_of(segment, ingest)->drops_seen = (uint32_t)(*next)++;
	number_archive(&archive->counts, next);
	for (i = 0; i < ARCHIVE_KINDS; i++)
		number_ledger(&archive->told[i], next);
	for (i = 0; i < 2; i++) {
		output = output_begin(&state->output[i]);
		number_output(&output->counts, next);
		output->sequence = 990 + i;
		output_commit(&state->output[i]);
	}
	ingest->sequence = 1000;
	archive->sequence = 980;
	ingest_commit(&state->ingest);
	archive_commit(&state->archive);
}

static void
number_all(struct segment *segment)
{
	struct decimated_state *decimated =
	    decimated_begin(&segment->page->progress);
	uint64_t next = 1;

	number_worker(segment, &next);
	decimated->position = 1;
	decimated->sequence = 970;
	decimated->stream[0].id = 7;
	number_stream(&decimated->stream[0].counts, &next);
	decimated_commit(&segment->page->progress);
	((struct channel_config *)(uintptr_t)segment->config)->counted_from =
	    3;
	atomic_store(&segment->state->drained, DRAINED_WITH_LOSS);
	atomic_store(&segment->state->paused, RING_NO_RELAY);
}

/* What is not taken over as it is. */
static bool
is_own(const char *key)
{
	static const char *const own[] = {"drained", "paused", "sequence",
	    "message_size",
	    "archive_shed", "relay_errors", "relay_overrun"};
	size_t i;

	for (i = 0; i < NITEMS(own); i++)
		if (strcmp(own[i], key) == 0)
			return true;
	return false;
}

/* What `a' has `b' has as well, but for that. */
static void
compare(const json_t *a, const json_t *b)
{
	const char *key;
	json_t *value;
	size_t i;

	assert_non_null(b);
	json_object_foreach((json_t *)(uintptr_t)a, key, value)
		if (!is_own(key))
			compare(value, json_object_get(b, key));
	for (i = 0; i < json_array_size(a); i++)
		compare(json_array_get(a, i), json_array_get(b, i));
	if (!json_is_object(a) && !json_is_array(a))
		assert_true(json_equal(a, b));
}

static void
test_taken_over(void **state ATTR_UNUSED)
{
	struct segment segment, fresh;
	json_t *account, *again;
	bool archive;

	make(&segment);
	make(&fresh);
	number_all(&segment);
	account = account_of(&segment);
	assert_non_null(account);
	assert_true(account_makes_sense(account));
	assert_true(account_left(account));
	assert_true(account_drained(account));
	assert_int_equal(account_paused(account), RING_NO_RELAY);
	assert_int_equal(account_outputs(account, &archive), 2);
	assert_true(archive);
	/* May be repeated. */
	assert_int_equal(account_apply(&fresh, account, NULL, false), 0);
	account_apply_page(&fresh, account);
	again = account_of(&fresh);
	compare(account, again);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(
	    again, "archive"), "sequence")), 980);
	json_decref(again);
	/* What is left is lost. */
	assert_int_equal(account_apply(&fresh, account, NULL, true), 20);
	again = account_of(&fresh);
	compare(account, again);
	assert_false(account_left(again));
	json_decref(again);
	json_decref(account);
	segment_close(&segment);
	segment_close(&fresh);
}

/* With other outputs counters begin anew, but no number of a datagram comes
 * twice. */
static void
test_other_outputs(void **state ATTR_UNUSED)
{
	struct segment segment, fresh;
	json_t *account;

	make(&segment);
	make(&fresh);
	number_all(&segment);
	account = account_of(&segment);
	((struct channel_config *)(uintptr_t)fresh.config)->outputs = 1;
	assert_int_equal(account_apply(&fresh, account, NULL, true), 0);
	assert_int_equal(ingest_current(&fresh.state->ingest)->sequence, 1000);
	assert_int_equal(ingest_current(&fresh.state->ingest)->counts.received,
	    0);
	assert_int_equal(fresh.config->counted_from, 1000);
	json_decref(account);
	segment_close(&segment);
	segment_close(&fresh);
}

/* An older release's names are those of today. */
static void
test_first_release(void **state ATTR_UNUSED)
{
	json_t *fixture = json_load_file(ACCOUNT_FIXTURE, 0, NULL);
	struct segment segment;
	json_t *account;

	assert_non_null(fixture);
	assert_true(account_makes_sense(fixture));
	make(&segment);
	number_all(&segment);
	account = account_of(&segment);
	compare(fixture, account);
	json_decref(account);
	segment_close(&segment);

	make(&segment);
	assert_int_equal(account_apply(&segment, fixture, NULL,
	    true), 20);
	account_apply_page(&segment, fixture);
	account = account_of(&segment);
	compare(fixture, account);
	json_decref(account);
	segment_close(&segment);
	json_decref(fixture);
}

/* Receives, stores and decimates as fast as it can, until it is killed. */
static _Noreturn void
be_busy(const struct segment *segment)
{
	struct worker_state *state = segment->state;
	uint64_t sequence;
	unsigned i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (sequence = 1;; sequence++) {
		ingest_begin(&state->ingest)->sequence = sequence;
		ingest_commit(&state->ingest);
		for (i = 0; i < 2; i++) {
			output_begin(&state->output[i])->sequence = sequence;
			output_commit(&state->output[i]);
		}
		archive_begin(&state->archive)->sequence = sequence;
		archive_commit(&state->archive);
		decimated_begin(&segment->page->progress)->sequence = sequence;
		decimated_commit(&segment->page->progress);
	}
}

/* While all of them are at work, nobody seems to be ahead of another. */
static void
test_at_work(void **state ATTR_UNUSED)
{
	struct segment segment;
	unsigned i, told = 0;
	json_t *account;
	pid_t pid;

	make(&segment);
	pid = fork();
	if (pid == 0)
		be_busy(&segment);
	for (i = 0; i < 5000; i++) {
		account = account_of(&segment);
		if (account == NULL)
			continue;
		told++;
		assert_true(account_makes_sense(account));
		json_decref(account);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_not_equal(told, 0);
	print_message("told %u times of %u\n", told, i);
	segment_close(&segment);
}

static void
test_nonsense(void **state ATTR_UNUSED)
{
	static const char *const texts[] = {"{}", "[]",
	    "{\"sequence\": 1}",
	    "{\"sequence\": 1, \"ingest\": {}, \"outputs\": []}",
	    "{\"sequence\": 1, \"ingest\": {\"received\": \"1\"}, "
	    "\"outputs\": [], \"streams\": []}",
	    "{\"sequence\": 1, \"ingest\": {}, \"outputs\": "
	    "[{\"sequence\": 2}], \"streams\": []}",
	    "{\"sequence\": 1, \"ingest\": {}, \"outputs\": [], "
	    "\"streams\": [], \"archive\": {\"sequence\": 2}}",
	    "{\"sequence\": 1, \"ingest\": {}, \"outputs\": [], "
	    "\"streams\": [], \"counted_from\": 2}",
	    "{\"sequence\": 1, \"ingest\": {}, \"outputs\": [], "
	    "\"streams\": [], \"decimated\": 2}"};
	json_t *account;
	size_t i;

	for (i = 0; i < NITEMS(texts); i++) {
		account = json_loads(texts[i], 0, NULL);
		assert_non_null(account);
		if (account_makes_sense(account))
			fail_msg("%s", texts[i]);
		json_decref(account);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_over),
		cmocka_unit_test(test_other_outputs),
		cmocka_unit_test(test_first_release),
		cmocka_unit_test(test_at_work),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
