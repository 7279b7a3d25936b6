/* SPDX-License-Identifier: ISC */
/*
 * Tables as wide as what is in them, and what they are made from.  mcrelayctl
 * only.
 */
#ifndef MCRELAY_CTL_TABLE_H
#define MCRELAY_CTL_TABLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "common/compiler.h"

#define TABLE_CELL_SIZE		80
#define TABLE_COLUMNS_MAX	16

/* All cells of a row one after the other, the heading first.  Begins with
 * {columns, 0, NULL}. */
struct table {
	size_t	  columns;
	size_t	  cells;
	char	**cell;
};

/* The next cell. */
void	table_cell(struct table *table, const char *text) ATTR_NONNULL;
/* The name of what is in the column, in capitals. */
void	table_head(struct table *table, const char *name) ATTR_NONNULL;
void	table_count(struct table *table, long long count) ATTR_NONNULL;
/* "3d04h", "2h05m", "1m30s": two units are enough; returns `text'. */
const char	*table_duration_text(long long seconds,
		    char text[static TABLE_CELL_SIZE]);
void	table_duration(struct table *table, long long seconds) ATTR_NONNULL;

/* Leaves out columns, in the order of `least', until a line is no longer than
 * `width', or none of them is left. */
void	table_fit(struct table *table, size_t width, const char *const *least,
	    size_t count) ATTR_NONNULL;
/* Prints the table and empties it. */
void	table_print(struct table *table, FILE *to) ATTR_NONNULL;
/* The same with what `note' prints below a row; the first one is row 0. */
typedef void	table_note(FILE *to, size_t row, const void *data);
void	table_print_notes(struct table *table, FILE *to, table_note *note,
	    const void *data);

/* Members of the daemon's answers: 0 and "-" when there is none. */
long long	 member_count(const json_t *object, const char *name);
const char	*member_text(const json_t *object, const char *name);

#endif /* MCRELAY_CTL_TABLE_H */
