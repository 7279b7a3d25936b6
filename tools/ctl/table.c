/* SPDX-License-Identifier: ISC */
/*
 * Tables.  mcrelayctl only.
 */
#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/printable.h"
#include "common/util.h"
#include "tools/ctl/table.h"

void
table_cell(struct table *table, const char *text)
{
	table->cell = xgrow(table->cell, table->cells, sizeof(*table->cell));
	table->cell[table->cells++] = printable_copy(text);
}

void
table_head(struct table *table, const char *name)
{
	char text[TABLE_CELL_SIZE];
	size_t i;

	snprintf(text, sizeof(text), "%s", name);
	for (i = 0; text[i] != '\0'; i++)
		text[i] = (char)toupper((unsigned char)text[i]);
	table_cell(table, text);
}

void
table_count(struct table *table, long long count)
{
	char text[TABLE_CELL_SIZE];

	snprintf(text, sizeof(text), "%lld", count);
	table_cell(table, text);
}

const char *
table_duration_text(long long seconds, char text[static TABLE_CELL_SIZE])
{
	if (seconds >= 86400)
		snprintf(text, TABLE_CELL_SIZE, "%lldd%02lldh",
		    seconds / 86400, seconds / 3600 % 24);
	else if (seconds >= 3600)
		snprintf(text, TABLE_CELL_SIZE, "%lldh%02lldm",
		    seconds / 3600, seconds / 60 % 60);
	else if (seconds >= 60)
		snprintf(text, TABLE_CELL_SIZE, "%lldm%02llds", seconds / 60,
		    seconds % 60);
	else
		snprintf(text, TABLE_CELL_SIZE, "%llds", seconds);
	return text;
}

void
table_duration(struct table *table, long long seconds)
{
	char text[TABLE_CELL_SIZE];

	table_cell(table, table_duration_text(seconds, text));
}

/*** Width. ***/

static size_t
longest(const struct table *table, size_t column)
{
	size_t i, width = 0;

	for (i = column; i < table->cells; i += table->columns)
		width = MAX_OF(width, strlen(table->cell[i]));
	return width;
}

static size_t
table_width(const struct table *table)
{
	size_t column, width = 0;

	for (column = 0; column < table->columns; column++)
		width += longest(table, column) + (column > 0 ? 2 : 0);
	return width;
}

static void
remove_column(struct table *table, size_t column)
{
	size_t i, kept = 0;

	for (i = 0; i < table->cells; i++)
		if (i % table->columns == column)
			free(table->cell[i]);
		else
			table->cell[kept++] = table->cell[i];
	table->cells = kept;
	table->columns--;
}

void
table_fit(struct table *table, size_t width, const char *const *least,
    size_t count)
{
	size_t i, column;

	for (i = 0; i < count && table_width(table) > width; i++)
		for (column = 0; column < table->columns; column++)
			if (strcmp(table->cell[column], least[i]) == 0) {
				remove_column(table, column);
				break;
			}
}

/*** Printing. ***/

/* How printf is to set a column: text to the left, numbers to the right, no
 * blanks at the end. */
static int
column_width(const struct table *table, size_t column)
{
	bool number = false;
	size_t i, width = longest(table, column);
	const char *text;

	for (i = column; i < table->cells; i += table->columns) {
		text = table->cell[i];
		text += text[0] == '-';
		number = number || (text[0] >= '0' && text[0] <= '9');
	}
	if (number)
		return (int)width;
	return column + 1 == table->columns ? 0 : -(int)width;
}

void
table_print_notes(struct table *table, FILE *to, table_note *note,
    const void *data)
{
	int width[TABLE_COLUMNS_MAX];
	size_t i, column;

	assert(table->columns <= TABLE_COLUMNS_MAX);
	for (column = 0; column < table->columns; column++)
		width[column] = column_width(table, column);
	for (i = 0; i < table->cells; i++) {
		column = i % table->columns;
		fprintf(to, "%*s%s", width[column], table->cell[i],
		    column + 1 == table->columns ? "\n" : "  ");
		if (note != NULL && column + 1 == table->columns)
			note(to, i / table->columns, data);
		free(table->cell[i]);
	}
	free(table->cell);
	memset(table, 0, sizeof(*table));
}

void
table_print(struct table *table, FILE *to)
{
	table_print_notes(table, to, NULL, NULL);
}

long long
member_count(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

const char *
member_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "-";
}
