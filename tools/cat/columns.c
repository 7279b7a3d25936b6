/* SPDX-License-Identifier: ISC */
/*
 * The parts of a datum that are shown.  mcrelay-cat.
 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tools/cat/columns.h"
#include "tools/cat/value.h"

/* Records in records, from the top: one that is inside of itself is not
 * taken apart any more. */
struct above {
	const struct tree_type	*type;
	const struct above	*above;
};

static void
begin_place(struct place *place, const struct tree_type *type)
{
	*place = (struct place){ .type = type, .column = NO_COLUMN };
	if (type->type != SCHEMA_UNION || type->children != 2)
		return;
	for (size_t i = 0; i < 2; i++)
		if (type->child[i].type->type == SCHEMA_NULL) {
			place->nullable = true;
			place->null = i;
			place->type = type->child[1 - i].type;
		}
}

static void
open_place(struct place *place)
{
	const struct tree_type *type = place->type;

	if (place->inner != NULL)
		return;
	place->inner = xcalloc(MAX_OF(type->children, (size_t)1),
	    sizeof(*place->inner));
	for (size_t i = 0; i < type->children; i++)
		begin_place(&place->inner[i], type->child[i].type);
}

static bool
is_inside(const struct above *above, const struct tree_type *type)
{
	for (; above != NULL; above = above->above)
		if (above->type == type)
			return true;
	return false;
}

static char *
add_column(struct columns *columns, struct place *place, const char *path)
{
	struct column *column;

	if (columns->count == COLUMNS_MAX)
		return xasprintf("more than %u columns: choose some (-F)",
		    COLUMNS_MAX);
	columns->column = xgrow(columns->column, columns->count,
	    sizeof(*columns->column));
	column = &columns->column[columns->count];
	*column = (struct column){ xstrdup(path), place->type, NULL };
	place->column = columns->count++;
	return NULL;
}

/* All that is below it, or itself. */
static char *
add_all(struct columns *columns, struct place *place, const char *path,
    const struct above *above)
{
	const struct above here = { place->type, above };
	const struct tree_type *type = place->type;
	char *why = NULL, *inner;

	if (type->type != SCHEMA_RECORD || is_inside(above, type) ||
	    type->children == 0)
		return add_column(columns, place, path);
	open_place(place);
	for (size_t i = 0; i < type->children && why == NULL; i++) {
		inner = xasprintf("%s%s%s", path, path[0] != '\0' ? "." : "",
		    type->child[i].name);
		why = add_all(columns, &place->inner[i], inner, &here);
		free(inner);
	}
	return why;
}

/* NULL when the schema has none at that path. */
static struct place *
find_place(struct place *place, const char *path)
{
	const struct tree_type *type;
	size_t length, i;

	for (;; path += length + 1) {
		type = place->type;
		if (type->type != SCHEMA_RECORD)
			return NULL;
		length = strcspn(path, ".");
		for (i = 0; i < type->children; i++)
			if (type->child[i].name_size == length &&
			    memcmp(type->child[i].name, path, length) == 0)
				break;
		if (i == type->children)
			return NULL;
		open_place(place);
		place = &place->inner[i];
		if (path[length] == '\0')
			return place;
	}
}

static bool
has_columns(const struct place *place)
{
	if (place->column != NO_COLUMN)
		return true;
	for (size_t i = 0; place->inner != NULL && i < place->type->children;
	    i++)
		if (has_columns(&place->inner[i]))
			return true;
	return false;
}

static char *
add_field(struct columns *columns, const char *field, bool split)
{
	struct place *place;

	if (columns->top.type->type != SCHEMA_RECORD)
		return strcmp(field, "value") == 0 &&
		    columns->top.column == NO_COLUMN ?
		    add_column(columns, &columns->top, field) :
		    xasprintf("no field %s: the datum is no record, and "
		    "called value", field);
	place = find_place(&columns->top, field);
	if (place == NULL)
		return xasprintf("no field %s in the schema", field);
	if (has_columns(place))
		return xasprintf("field %s is chosen twice", field);
	return split ? add_all(columns, place, field, NULL) :
	    add_column(columns, place, field);
}

char *
columns_choose(struct columns *columns, const struct tree_type *type,
    char *const *field, size_t fields, bool split)
{
	char *why = NULL;

	*columns = (struct columns){0};
	begin_place(&columns->top, type);
	if (fields == 0)
		return add_all(columns, &columns->top,
		    columns->top.type->type == SCHEMA_RECORD ? "" : "value",
		    NULL);
	for (size_t i = 0; i < fields && why == NULL; i++)
		why = add_field(columns, field[i], split);
	return why;
}

static void
free_place(struct place *place)
{
	for (size_t i = 0; place->inner != NULL && i < place->type->children;
	    i++)
		free_place(&place->inner[i]);
	free(place->inner);
}

void
columns_free(struct columns *columns)
{
	free_place(&columns->top);
	for (size_t i = 0; i < columns->count; i++)
		free(columns->column[i].path);
	free(columns->column);
	*columns = (struct columns){0};
}

static void
set_null(struct columns *columns, const struct place *place)
{
	if (place->column != NO_COLUMN)
		columns->column[place->column].at = NULL;
	for (size_t i = 0; place->inner != NULL && i < place->type->children;
	    i++)
		set_null(columns, &place->inner[i]);
}

static const uint8_t *
locate(struct columns *columns, const struct place *place, const uint8_t *at,
    const uint8_t *end)
{
	if (place->nullable &&
	    (uint64_t)value_long(&at, end) == place->null) {
		set_null(columns, place);
		return at;
	}
	if (place->column != NO_COLUMN)
		columns->column[place->column].at = at;
	if (place->inner == NULL)
		return value_skip(place->type, at, end);
	for (size_t i = 0; i < place->type->children; i++)
		at = locate(columns, &place->inner[i], at, end);
	return at;
}

const uint8_t *
columns_locate(struct columns *columns, const uint8_t *at,
    const uint8_t *end)
{
	return locate(columns, &columns->top, at, end);
}
