/* SPDX-License-Identifier: ISC */
/*
 * Metrics of a status that no daemon of this version would give: hostile names,
 * members that are missing or of another type, states of a later one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "common/ledger.h"
#include "common/util.h"
#include "metrics/exposition.h"
#include "metrics/metrics.h"

/* As a string; the caller's. */
static char *
text_of(const char *json, bool openmetrics, unsigned groups)
{
	struct metrics_choice choice = {.openmetrics = openmetrics,
	    .groups = groups};
	struct document *status = json == NULL ? NULL : document_read(json,
	    strlen(json));
	char *text, *whole;
	size_t size;

	assert_true(json == NULL || status != NULL);
	text = metrics_text(status == NULL ? NULL : status->node, &choice,
	    &size);
	assert_null(memchr(text, '\0', size));
	whole = xasprintf("%.*s", (int)size, text);
	free(text);
	document_free(status);
	return whole;
}

static void
has(const char *text, const char *line)
{
	if (strstr(text, line) == NULL)
		fail_msg("not there: %s\nin: %s", line, text);
}

static void
has_not(const char *text, const char *line)
{
	if (strstr(text, line) != NULL)
		fail_msg("there: %s\nin: %s", line, text);
}

static void
test_names(void **state ATTR_UNUSED)
{
	char *text = text_of("{\"channels\": [{\"name\": \"a\\\\b\\\"c\\nd}\", "
	    "\"ledger\": {\"received\": 7}}]}", false, METRICS_LEDGER);

	has(text, "mcrelay_received_total{channel=\"a\\\\b\\\"c\\nd}\"} 7\n");
	free(text);
}

static void
test_down(void **state ATTR_UNUSED)
{
	char *text = text_of(NULL, false, METRICS_ALL);

	assert_string_equal(text, "# HELP mcrelay_up whether mcrelayd answers"
	    "\n# TYPE mcrelay_up gauge\nmcrelay_up 0\n");
	free(text);
}

/* What is not there is no sample, and no family; what is there is. */
static void
test_missing(void **state ATTR_UNUSED)
{
	char *text = text_of("{\"version\": 5, \"pid\": \"x\", \"channels\": "
	    "[7, {}, {\"name\": 3}, {\"name\": \"a\", \"ledger\": [], "
	    "\"reasons\": [4, {\"what\": 4}], \"outputs\": [1, {\"relayed\": "
	    "2}], \"decimate\": {\"s\": 1}, \"restarts\": -1, \"ring\": 4, "
	    "\"counters_current\": true}]}", false, METRICS_ALL);

	has(text, "mcrelay_up 1\n");
	has(text, "mcrelay_output_relayed_total{channel=\"a\",output=\":0\"} "
	    "2\n");
	has(text, "mcrelay_counters_current{channel=\"a\"} 1\n");
	has_not(text, "mcrelay_received");
	has_not(text, "mcrelay_channel_restarts");
	has_not(text, "mcrelay_ring");
	has_not(text, "mcrelay_process");
	free(text);
}

static void
test_later(void **state ATTR_UNUSED)
{
	char *text = text_of("{\"channels\": [{\"name\": \"a\", \"state\": "
	    "\"resting\", \"reasons\": [{\"what\": \"tired\"}]}]}", false,
	    METRICS_STATE);

	has(text, "state=\"resting\"} 1\n");
	has(text, "state=\"running\"} 0\n");
	has(text, "reason=\"tired\"} 1\n");
	has(text, "reason=\"archive_stuck\"} 0\n");
	free(text);
}

static void
test_numbers(void **state ATTR_UNUSED)
{
	char *text = text_of("{\"channels\": [{\"name\": \"a\", "
	    "\"last_datagram_ns\": 1764271200000000042, "
	    "\"outage_budget_ms\": 7, \"away_ms\": 0, "
	    "\"ledger\": {\"received\": 9223372036854775807}}]}", false,
	    METRICS_STATE | METRICS_LEDGER);

	has(text, "seconds{channel=\"a\"} 1764271200.000000042\n");
	has(text, "budget_seconds{channel=\"a\"} 0.007\n");
	has(text, "away_seconds{channel=\"a\"} 0.000\n");
	has(text, "received_total{channel=\"a\"} 9223372036854775807\n");
	free(text);
}

/* Heads name samples in the one format, families in the other. */
static void
test_heads(void **state ATTR_UNUSED)
{
	static const char status[] = "{\"version\": \"1\", \"channels\": "
	    "[{\"name\": \"a\", \"ledger\": {\"received_bytes\": 1}}]}";
	char *text = text_of(status, false, METRICS_LEDGER);

	has(text, "# TYPE mcrelay_received_bytes_total counter\n");
	has(text, "# TYPE mcrelay_build_info gauge\n");
	has_not(text, "# UNIT");
	has_not(text, "# EOF");
	free(text);
	text = text_of(status, true, METRICS_LEDGER);
	has(text, "# TYPE mcrelay_received_bytes counter\n"
	    "# UNIT mcrelay_received_bytes bytes\n"
	    "mcrelay_received_bytes_total{channel=\"a\"} 1\n");
	has(text, "# TYPE mcrelay_build info\n");
	has(text, "\n# EOF\n");
	free(text);
}

/* Every row of the tables, and no unit that its name does not end in. */
static void
test_tables(void **state ATTR_UNUSED)
{
	json_t *ledger = json_object(), *status;
	const struct ledger_entry *entry;
	char *json, *text, *line;

	for (entry = ledger_table; entry->name != NULL; entry++)
		json_object_set_new(ledger, entry->name, json_integer(5));
	status = json_pack("{s:[{s:s, s:o}]}", "channels", "name", "a",
	    "ledger", ledger);
	json = json_dumps(status, 0);
	text = text_of(json, true, METRICS_LEDGER);
	for (entry = ledger_table; entry->name != NULL; entry++) {
		line = xasprintf("\nmcrelay_%s%s{channel=\"a\"} 5\n",
		    entry->name, entry->kind == LEDGER_COUNTER ? "_total" :
		    "");
		has(text, line);
		free(line);
		line = xasprintf("# HELP mcrelay_%s %s\n", entry->name,
		    entry->meaning);
		has(text, line);
		free(line);
		line = xasprintf("# UNIT mcrelay_%s bytes\n", entry->name);
		assert_int_equal(strstr(text, line) != NULL,
		    entry->unit == LEDGER_BYTES);
		free(line);
	}
	free(text);
	free(json);
	json_decref(status);
}

static void
test_groups(void **state ATTR_UNUSED)
{
#define CHECK_GROUP(constant, name, ...)				\
	assert_int_equal(metrics_group(#name), METRICS_##constant);
	METRICS_GROUPS(CHECK_GROUP)
	assert_int_equal(metrics_group("other"), 0);
}

/* Of no channel. */
static void
test_host(void **state ATTR_UNUSED)
{
	char *text = text_of("{\"udp_bad_checksums\": 7}", false,
	    METRICS_STATE);

	has(text, "\nmcrelay_udp_bad_checksums_total 7\n");
	free(text);
}

/* With TLS only. */
static void
test_certificate(void **state ATTR_UNUSED)
{
	char *text = text_of("{\"web\": {\"certificate_expires\": 1800000000}}",
	    false, METRICS_STATE);

	has(text, "mcrelay_web_certificate_expiry_timestamp_seconds "
	    "1800000000\n");
	free(text);
	text = text_of("{\"web\": {}}", false, METRICS_STATE);
	assert_null(strstr(text, "certificate"));
	free(text);
}

/* Those that are there are some of all. */
static void
test_decimators(void **state ATTR_UNUSED)
{
	char *text = text_of("{\"decimators\": [{\"number\": 1, "
	    "\"restarts\": 5}, {\"number\": 3, \"restarts\": 6, "
	    "\"deaths\": {\"hung\": 7}}]}", false, METRICS_STATE);

	has(text, "mcrelay_decimator_restarts_total{decimator=\"1\"} 5\n");
	has(text, "mcrelay_decimator_restarts_total{decimator=\"3\"} 6\n");
	has(text, "mcrelay_decimator_deaths_total{decimator=\"3\","
	    "how=\"hung\"} 7\n");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_decimators),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
