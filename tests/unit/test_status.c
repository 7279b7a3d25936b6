/* SPDX-License-Identifier: ISC */
/*
 * How the status is written down; that of a channel whose counters cannot be
 * read: those that were read before, and that they are old.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/sandbox.h"
#include "common/util.h"
#include "supervisor/json_text.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"

#define STREAM_ID	7

static struct stream_conf	stream = {.name = "s"};
static struct listen_config	listen_to;
static struct channel_conf	conf = {.listen = &listen_to, .inputs = 1,
	    .decimate = &stream, .decimates = 1};
static struct channel		channel = {.conf = &conf};
static struct supervisor	supervisor;

static int
setup(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN,
	    .config = {.archive.enabled = 1}};
	bool locked;

	assert_int_equal(segment_create(&channel.segment, &spec, &locked), 0);
	parts_init(&channel.parts);
	snprintf(channel.slot[0], sizeof(channel.slot[0]), "s");
	channel.slot_id[0] = STREAM_ID;
	TAILQ_INIT(&supervisor.channels);
	TAILQ_INSERT_TAIL(&supervisor.channels, &channel, link);
	return 0;
}

static int
teardown(void **state ATTR_UNUSED)
{
	segment_close(&channel.segment);
	memset(&channel.counts, 0, sizeof(channel.counts));
	memset(&channel.streams, 0, sizeof(channel.streams));
	return 0;
}

/* All counters of the worker and of the decimator become this. */
static void
count_to(uint64_t count)
{
	struct worker_state *state = channel.segment.state;
	struct decimated_domain *progress = &channel.segment.page->progress;
	struct archive_state *archive = archive_begin(&state->archive);
	struct page_stream *slot = &decimated_begin(progress)->stream[0];

	archive->counts.rejected = count;
	archive->counts.rejected_by[DATUM_ERRORS - 1] = count;
	archive_commit(&state->archive);
	ingest_begin(&state->ingest)->counts.received = count;
	ingest_commit(&state->ingest);
	slot->id = STREAM_ID;
	slot->counts.in = count;
	decimated_commit(progress);
}

static json_int_t
number(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	assert_non_null(value);
	return json_integer_value(value);
}

static void
check(bool current, json_int_t worker, json_int_t decimator)
{
	json_t *status = status_json(&supervisor);
	const json_t *one = json_array_get(json_object_get(status,
	    "channels"), 0);
	const json_t *ledger = json_object_get(one, "ledger");

	assert_true(json_is_boolean(json_object_get(one,
	    "counters_current")));
	assert_int_equal(json_is_true(json_object_get(one,
	    "counters_current")), current);
	assert_int_equal(number(ledger, "received"), worker);
	assert_int_equal(number(ledger, "rejected"), worker);
	assert_int_equal(number(json_object_get(one, "rejected_by"),
	    datum_error_name(DATUM_ERRORS - 1)), worker);
	assert_int_equal(number(json_object_get(json_object_get(one,
	    "decimate"), "s"), "in"), decimator);
	json_decref(status);
}

static void
test_unreadable(void **state ATTR_UNUSED)
{
	struct worker_state *worker = channel.segment.state;
	struct decimated_domain *progress = &channel.segment.page->progress;
	uint64_t begun;

	count_to(3);
	check(true, 3, 3);
	count_to(5);
	begun = atomic_load(&worker->ingest.begun);
	atomic_store(&worker->ingest.begun, begun + 2);
	/* What the archive says could be read, but would not go with it. */
	check(false, 3, 5);
	atomic_store(&worker->ingest.begun, begun);
	check(true, 5, 5);
	count_to(6);
	begun = atomic_load(&progress->begun);
	atomic_store(&progress->begun, begun - 1);
	check(false, 6, 5);
	atomic_store(&progress->begun, begun);
	check(true, 6, 6);
}

/* Numbers that no JSON reader takes are cut off. */
static void
test_garbage(void **state ATTR_UNUSED)
{
	count_to(UINT64_MAX);
	check(true, INT64_MAX, INT64_MAX);
}

static void
check_sandbox(uint32_t parts, const char *state, size_t missing)
{
	const json_t *one, *sandbox;
	json_t *status;

	channel.child.sandbox = parts;
	status = status_json(&supervisor);
	one = json_array_get(json_object_get(status, "channels"), 0);
	sandbox = json_object_get(one, "sandbox");
	assert_string_equal(json_string_value(json_object_get(sandbox,
	    "state")), state);
	assert_int_equal(json_array_size(json_object_get(sandbox,
	    "missing")), missing);
	json_decref(status);
}

/* Of a process that is there; one of an older version has said nothing. */
static void
test_sandbox(void **state ATTR_UNUSED)
{
	json_t *status = status_json(&supervisor);

	assert_null(json_object_get(json_array_get(json_object_get(status,
	    "channels"), 0), "sandbox"));
	json_decref(status);
	channel.child.ready_ns = 1;
	check_sandbox(0, "none", 4);
	check_sandbox(SANDBOX_ALL & ~(uint32_t)SANDBOX_CALLS, "partial", 1);
	check_sandbox(SANDBOX_MEMORY, "partial", 3);
	check_sandbox(SANDBOX_ALL, "full", 0);
	channel.child.ready_ns = 0;
}

/* What is written is what a reader of JSON reads. */
static void
test_text(void **state ATTR_UNUSED)
{
	static const char all[] = "\001\b\t\n\f\r\037 \"\\/\177"
	    "Gr\xc3\xb6\xc3\x9f""e \xe2\x82\xac \xf0\x9f\x98\x80";
	struct growing out = {.text = NULL};
	json_t *expected, *read;

	json_text_open(&out, NULL, '{');
	json_text_string(&out, all, all);
	json_text_string(&out, "gone", "\xff");
	json_text_open(&out, "empty", '{');
	json_text_close(&out, '}');
	json_text_open(&out, "list", '[');
	json_text_string(&out, NULL, "\xc0\x80");
	json_text_string(&out, NULL, "");
	json_text_truth(&out, NULL, true);
	json_text_number(&out, NULL, 0);
	json_text_number(&out, NULL, UINT64_MAX);
	json_text_value(&out, NULL, json_pack("[f]", 0.5));
	json_text_close(&out, ']');
	json_text_truth(&out, "last", false);
	json_text_close(&out, '}');
	read = json_loadb(out.text, out.size, 0, NULL);
	expected = json_pack("{s:s, s:{}, s:[s, b, i, I, [f]], s:b}", all,
	    all, "empty", "list", "", 1, 0, (json_int_t)INT64_MAX, 0.5,
	    "last", 0);
	assert_non_null(read);
	assert_true(json_equal(read, expected));
	json_decref(read);
	json_decref(expected);
	free(out.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test_setup_teardown(test_unreadable, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sandbox, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
