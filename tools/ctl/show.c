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
#include "common/util.h"
#include "tools/ctl/show.h"

#define CELL_SIZE	80
#define COLUMNS_MAX	16

/* A table: all cells of a row one after the other, the heading first. */
struct table {
	size_t	  columns;
	size_t	  cells;
	char	**cell;
};

static void
add_cell(struct table *table, const char *text)
{
	table->cell = xrealloc(table->cell,
	    (table->cells + 1) * sizeof(*table->cell));
	table->cell[table->cells++] = xstrdup(text);
}

static void
add_count(struct table *table, long long count)
{
	char text[CELL_SIZE];

	snprintf(text, sizeof(text), "%lld", count);
	add_cell(table, text);
}

/* How printf is to set a column: text to the left, numbers to the right, no
 * blanks at the end. */
static int
column_width(const struct table *table, size_t column)
{
	bool number = false;
	size_t i, width = 0;
	const char *text;

	for (i = column; i < table->cells; i += table->columns) {
		text = table->cell[i];
		width = MAX_OF(width, strlen(text));
		number = number || (text[0] >= '0' && text[0] <= '9');
	}
	if (number)
		return (int)width;
	return column + 1 == table->columns ? 0 : -(int)width;
}

/* Prints the table and empties it. */
static void
print_table(struct table *table)
{
	int width[COLUMNS_MAX];
	size_t i, column;

	for (column = 0; column < table->columns; column++)
		width[column] = column_width(table, column);
	for (i = 0; i < table->cells; i++) {
		column = i % table->columns;
		printf("%*s%s", width[column], table->cell[i],
		    column + 1 == table->columns ? "\n" : "  ");
		free(table->cell[i]);
	}
	free(table->cell);
	memset(table, 0, sizeof(*table));
}

static long long
integer(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "-";
}

/* "3d04h", "2h05m", "1m30s": two units are enough. */
static void
add_duration(struct table *table, long long seconds)
{
	char text[CELL_SIZE];

	if (seconds >= 86400)
		snprintf(text, sizeof(text), "%lldd%02lldh", seconds / 86400,
		    seconds / 3600 % 24);
	else if (seconds >= 3600)
		snprintf(text, sizeof(text), "%lldh%02lldm", seconds / 3600,
		    seconds / 60 % 60);
	else if (seconds >= 60)
		snprintf(text, sizeof(text), "%lldm%02llds", seconds / 60,
		    seconds % 60);
	else
		snprintf(text, sizeof(text), "%llds", seconds);
	add_cell(table, text);
}

static void
add_channel(struct table *table, const json_t *channel)
{
	const json_t *ledger = json_object_get(channel, "ledger");

	add_cell(table, text_of(channel, "name"));
	add_cell(table, text_of(channel, "state"));
	if (integer(channel, "pid") != 0)
		add_count(table, integer(channel, "pid"));
	else
		add_cell(table, "-");
	add_duration(table, integer(channel, "uptime_s"));
	add_count(table, integer(channel, "restarts"));
	add_count(table, integer(ledger, "received"));
	add_count(table, integer(ledger, "kernel_dropped"));
	add_count(table, integer(ledger, "relayed"));
	add_count(table, integer(ledger, "relay_errors"));
	add_count(table, integer(ledger, "archived"));
	add_count(table, integer(ledger, "rejected"));
	add_count(table, integer(ledger, "archive_shed"));
	add_count(table, integer(ledger, "pending"));
}

void
show_status(const json_t *status)
{
	static const char *const heads[] = {"CHANNEL", "STATE", "PID",
	    "UPTIME", "RESTARTS", "RECEIVED", "DROPPED", "RELAYED", "ERRORS",
	    "ARCHIVED", "REJECTED", "SHED", "PENDING"};
	struct table table = {NITEMS(heads), 0, NULL};
	const json_t *channels = json_object_get(status, "channels");
	size_t i;

	for (i = 0; i < NITEMS(heads); i++)
		add_cell(&table, heads[i]);
	for (i = 0; i < json_array_size(channels); i++)
		add_channel(&table, json_array_get(channels, i));
	print_table(&table);
}

static void
show_outputs(const json_t *outputs)
{
	struct table table = {4, 0, NULL};
	const json_t *output;
	size_t i;

	if (json_array_size(outputs) == 0)
		return;
	add_cell(&table, "  OUTPUT");
	add_cell(&table, "PORT");
	add_cell(&table, "RELAYED");
	add_cell(&table, "ERRORS");
	for (i = 0; i < json_array_size(outputs); i++) {
		char name[CELL_SIZE];

		output = json_array_get(outputs, i);
		snprintf(name, sizeof(name), "  %s",
		    text_of(output, "address"));
		add_cell(&table, name);
		add_count(&table, integer(output, "port"));
		add_count(&table, integer(output, "relayed"));
		add_count(&table, integer(output, "relay_errors"));
	}
	printf("\n");
	print_table(&table);
}

/* Why datagrams were rejected. */
static void
show_rejected(const json_t *by)
{
	struct table table = {3, 0, NULL};
	char name[CELL_SIZE];
	const json_t *count;
	unsigned i;

	if (json_object_size(by) == 0)
		return;
	add_cell(&table, "  REJECTED");
	add_cell(&table, "COUNT");
	add_cell(&table, "BECAUSE");
	for (i = 0; i < DATUM_ERRORS; i++) {
		count = json_object_get(by, datum_error_name(i));
		if (count == NULL)
			continue;
		snprintf(name, sizeof(name), "  %s", datum_error_name(i));
		add_cell(&table, name);
		add_count(&table, json_integer_value(count));
		add_cell(&table, datum_error_text(i));
	}
	printf("\n");
	print_table(&table);
}

static void
show_streams(json_t *streams)
{
	struct table table = {6, 0, NULL};
	char cell[CELL_SIZE];
	const char *name;
	json_t *stream;

	if (json_object_size(streams) == 0)
		return;
	add_cell(&table, "  STREAM");
	add_cell(&table, "IN");
	add_cell(&table, "OUT");
	add_cell(&table, "MISSED");
	add_cell(&table, "ERRORS");
	add_cell(&table, "UNARCHIVED");
	json_object_foreach(streams, name, stream) {
		snprintf(cell, sizeof(cell), "  %s", name);
		add_cell(&table, cell);
		add_count(&table, integer(stream, "in"));
		add_count(&table, integer(stream, "out"));
		add_count(&table, integer(stream, "missed"));
		add_count(&table, integer(stream, "errors"));
		if (json_object_get(stream, "unarchived") != NULL)
			add_count(&table, integer(stream, "unarchived"));
		else
			add_cell(&table, "-");
	}
	printf("\n");
	print_table(&table);
}

void
show_ledger(const json_t *status)
{
	const json_t *channels = json_object_get(status, "channels");
	const struct ledger_entry *entry;
	struct table table;
	const json_t *channel;
	char name[CELL_SIZE];
	size_t i;

	for (i = 0; i < json_array_size(channels); i++) {
		channel = json_array_get(channels, i);
		printf("%s%s\n", i > 0 ? "\n" : "",
		    text_of(channel, "name"));
		table = (struct table){3, 0, NULL};
		for (entry = ledger_table; entry->name != NULL; entry++) {
			snprintf(name, sizeof(name), "  %s", entry->name);
			add_cell(&table, name);
			add_count(&table, integer(json_object_get(channel,
			    "ledger"), entry->name));
			add_cell(&table, entry->meaning);
		}
		print_table(&table);
		show_rejected(json_object_get(channel, "rejected_by"));
		show_outputs(json_object_get(channel, "outputs"));
		show_streams(json_object_get(channel, "decimate"));
	}
}
