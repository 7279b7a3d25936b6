/* SPDX-License-Identifier: ISC */
/*
 * Answers for people.  mcrelayctl only.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/ledger.h"
#include "common/printable.h"
#include "tools/ctl/show.h"
#include "tools/ctl/table.h"

static void
add_counts(struct table *table, const json_t *ledger)
{
	table_count(table, member_count(ledger, "received"));
	table_count(table, member_count(ledger, "kernel_dropped"));
	table_count(table, member_count(ledger, "relayed"));
	table_count(table, member_count(ledger, "relay_errors"));
	table_count(table, member_count(ledger, "archived"));
	table_count(table, member_count(ledger, "rejected"));
	table_count(table, member_count(ledger, "archive_shed"));
	table_count(table, member_count(ledger, "pending"));
}

/* What the shards of a channel have together. */
static void
add_sum(struct table *table, const json_t *sharded)
{
	char shards[TABLE_CELL_SIZE];

	snprintf(shards, sizeof(shards), "%lld shards",
	    member_count(sharded, "shards"));
	table_cell(table, member_text(sharded, "name"));
	table_cell(table, shards);
	table_cell(table, "-");
	table_cell(table, "-");
	table_cell(table, "-");
	add_counts(table, json_object_get(sharded, "ledger"));
}

static void
add_channel(struct table *table, const json_t *channel)
{
	table_cell(table, member_text(channel, "name"));
	table_cell(table, member_text(channel, "state"));
	if (member_count(channel, "pid") != 0)
		table_count(table, member_count(channel, "pid"));
	else
		table_cell(table, "-");
	table_duration(table, member_count(channel, "uptime_s"));
	table_count(table, member_count(channel, "restarts"));
	add_counts(table, json_object_get(channel, "ledger"));
}

/* Where hosts take turns. */
static void
add_turn(FILE *to, const json_t *lease)
{
	const char *holder = member_text(lease, "holder");
	const double seen_s = (double)member_count(lease, "seen_ms") / 1000;
	const long long standbys = member_count(lease, "standbys");

	if (lease == NULL)
		return;
	if (strcmp(member_text(lease, "role"), "active") == 0)
		fprintf(to, "  this host relays it, and %lld other%s would\n",
		    standbys, standbys == 1 ? "" : "s");
	else if (holder[0] != '\0')
		fprintf(to, "  host %s has it, as was told %.1f s ago\n",
		    holder, seen_s);
	else
		fprintf(to, "  no host has it, as was told %.1f s ago\n",
		    seen_s);
}

/* Below the line of a channel; the heads have none. */
static void
add_notes(FILE *to, size_t row, const void *data)
{
	const json_t *channels = data, *reasons, *reason;
	size_t i;

	if (row == 0)
		return;
	add_turn(to, json_object_get(json_array_get(channels, row - 1),
	    "lease"));
	reasons = json_object_get(json_array_get(channels, row - 1),
	    "reasons");
	for (i = 0; i < json_array_size(reasons); i++) {
		reason = json_array_get(reasons, i);
		fprintf(to, "  %s since %s: %s\n",
		    member_text(reason, "what"), member_text(reason, "since"),
		    member_text(reason, "detail"));
	}
}

/* No channel is told of these: they may be any program's. */
static void
show_bad_checksums(const json_t *status)
{
	long long count = member_count(status, "udp_bad_checksums");

	if (count > 0)
		printf("%lld datagrams with bad checksums "
		    "were thrown away by the kernel, whoever they were for\n",
		    count);
}

static void
show_drained(const json_t *status)
{
	const json_t *fleet = json_object_get(status, "fleet");
	char since[TABLE_CELL_SIZE];

	if (!json_is_true(json_object_get(fleet, "drained")))
		return;
	printf("this host has been drained for %s, and takes no channel that "
	    "another can have: mcrelayctl undrain\n", table_duration_text(
	    member_count(fleet, "drained_s"), since));
}

void
show_status(const json_t *status)
{
	static const char *const heads[] = {"CHANNEL", "STATE", "PID",
	    "UPTIME", "RESTARTS", "RECEIVED", "DROPPED", "RELAYED", "ERRORS",
	    "ARCHIVED", "REJECTED", "SHED", "PENDING"};
	struct table table = {NITEMS(heads), 0, NULL};
	const json_t *channels = json_object_get(status, "channels");
	const json_t *sharded = json_object_get(status, "sharded");
	size_t i;

	for (i = 0; i < NITEMS(heads); i++)
		table_cell(&table, heads[i]);
	for (i = 0; i < json_array_size(channels); i++)
		add_channel(&table, json_array_get(channels, i));
	for (i = 0; i < json_array_size(sharded); i++)
		add_sum(&table, json_array_get(sharded, i));
	table_print_notes(&table, stdout, add_notes, channels);
	show_old_counters(channels, stdout);
	show_drained(status);
	show_bad_checksums(status);
}

void
show_old_counters(const json_t *channels, FILE *to)
{
	const json_t *channel;
	size_t i;

	for (i = 0; i < json_array_size(channels); i++) {
		channel = json_array_get(channels, i);
		if (json_is_false(json_object_get(channel,
		    "counters_current")))
			fprintf(to, "%s: its counters change too fast to be "
			    "read; these are earlier ones\n",
			    member_text(channel, "name"));
	}
}

static void
show_outputs(const json_t *outputs)
{
	struct table table = {4, 0, NULL};
	const json_t *output;
	size_t i;

	if (json_array_size(outputs) == 0)
		return;
	table_cell(&table, "  OUTPUT");
	table_cell(&table, "PORT");
	table_cell(&table, "RELAYED");
	table_cell(&table, "ERRORS");
	for (i = 0; i < json_array_size(outputs); i++) {
		char name[TABLE_CELL_SIZE];

		output = json_array_get(outputs, i);
		snprintf(name, sizeof(name), "  %s",
		    member_text(output, "address"));
		table_cell(&table, name);
		table_count(&table, member_count(output, "port"));
		table_count(&table, member_count(output, "relayed"));
		table_count(&table, member_count(output, "relay_errors"));
	}
	printf("\n");
	table_print(&table, stdout);
}

/* Of several. */
static void
show_inputs(const json_t *inputs)
{
	struct table table = {7, 0, NULL};
	char name[TABLE_CELL_SIZE];
	const json_t *input;
	const char *on;
	size_t i;

	if (json_array_size(inputs) < 2)
		return;
	table_cell(&table, "  INPUT");
	table_cell(&table, "PORT");
	table_cell(&table, "RECEIVED");
	table_cell(&table, "MERGED");
	table_cell(&table, "SOLE");
	table_cell(&table, "DROPPED");
	table_cell(&table, "REFUSED");
	for (i = 0; i < json_array_size(inputs); i++) {
		input = json_array_get(inputs, i);
		on = member_text(input, "interface");
		snprintf(name, sizeof(name), "  %s%s%s%s",
		    member_text(input, "address"), on[0] != '\0' ? "%" : "",
		    on, json_is_true(json_object_get(input, "lost")) ?
		    " (lost)" : "");
		table_cell(&table, name);
		table_count(&table, member_count(input, "port"));
		table_count(&table, member_count(input, "received"));
		table_count(&table, member_count(input, "merged"));
		table_count(&table, member_count(input, "sole"));
		table_count(&table, member_count(input, "kernel_dropped"));
		table_count(&table, member_count(input, "refused_source"));
	}
	printf("\n");
	table_print(&table, stdout);
}

/* Why datagrams were rejected. */
static void
show_rejected(const json_t *by)
{
	struct table table = {3, 0, NULL};
	char name[TABLE_CELL_SIZE];
	const json_t *count;
	unsigned i;

	if (json_object_size(by) == 0)
		return;
	table_cell(&table, "  REJECTED");
	table_cell(&table, "COUNT");
	table_cell(&table, "BECAUSE");
	for (i = 0; i < DATUM_ERRORS; i++) {
		count = json_object_get(by, datum_error_name(i));
		if (count == NULL)
			continue;
		snprintf(name, sizeof(name), "  %s", datum_error_name(i));
		table_cell(&table, name);
		table_count(&table, json_integer_value(count));
		table_cell(&table, datum_error_text(i));
	}
	printf("\n");
	table_print(&table, stdout);
}

static void
show_streams(json_t *streams)
{
	struct table table = {1, 0, NULL};
	const struct ledger_entry *entry;
	char cell[TABLE_CELL_SIZE];
	const char *name;
	json_t *stream;

	if (json_object_size(streams) == 0)
		return;
	for (entry = stream_table; entry->name != NULL; entry++)
		table.columns++;
	table_cell(&table, "  STREAM");
	for (entry = stream_table; entry->name != NULL; entry++)
		table_head(&table, entry->name);
	json_object_foreach(streams, name, stream) {
		snprintf(cell, sizeof(cell), "  %s", name);
		table_cell(&table, cell);
		for (entry = stream_table; entry->name != NULL; entry++)
			if (json_object_get(stream, entry->name) != NULL)
				table_count(&table, member_count(stream,
				    entry->name));
			else
				table_cell(&table, "-");
	}
	printf("\n");
	table_print(&table, stdout);
}

static void
show_counters(const json_t *ledger)
{
	struct table table = {3, 0, NULL};
	const struct ledger_entry *entry;
	char name[TABLE_CELL_SIZE];

	for (entry = ledger_table; entry->name != NULL; entry++) {
		snprintf(name, sizeof(name), "  %s", entry->name);
		table_cell(&table, name);
		table_count(&table, member_count(ledger, entry->name));
		table_cell(&table, entry->meaning);
	}
	table_print(&table, stdout);
}

void
show_ledger(const json_t *status)
{
	const json_t *channels = json_object_get(status, "channels");
	const json_t *sums = json_object_get(status, "sharded");
	const json_t *channel;
	size_t i;

	for (i = 0; i < json_array_size(channels); i++) {
		channel = json_array_get(channels, i);
		if (i > 0)
			printf("\n");
		printable_print(stdout, "%s\n", member_text(channel, "name"));
		show_counters(json_object_get(channel, "ledger"));
		show_rejected(json_object_get(channel, "rejected_by"));
		show_inputs(json_object_get(channel, "inputs"));
		show_outputs(json_object_get(channel, "outputs"));
		show_streams(json_object_get(channel, "decimate"));
	}
	for (i = 0; i < json_array_size(sums); i++) {
		printf("\n");
		printable_print(stdout, "%s, %lld shards\n",
		    member_text(json_array_get(sums, i), "name"),
		    member_count(json_array_get(sums, i), "shards"));
		show_counters(json_object_get(json_array_get(sums, i),
		    "ledger"));
	}
	show_old_counters(channels, stdout);
}

/* JSON in lines: what is harmful between them becomes \u of JSON. */
void
show_schema(const char *text)
{
	const char *whole = text;
	size_t size;

	for (; *text != '\0'; text += size) {
		size = strcspn(text, "\n\t\r");
		printable_print(stdout, "%.*s", (int)size, text);
		for (; strspn(text + size, "\n\t\r") > 0; size++)
			if (text[size] != '\r')
				putchar(text[size]);
	}
	if (whole[0] != '\0' && whole[strlen(whole) - 1] != '\n')
		printf("\n");
}
