/* SPDX-License-Identifier: ISC */
/*
 * The schema of a decimated stream's output.  Used by the supervisor.
 *
 * With `only' it is the channel's schema without the fields that are left out.
 * Types are written out where they are first met in what remains, under their
 * full names, because the place where the channel's schema defines them may be
 * gone.  A record that lacks fields is another type than the whole one, and is
 * named after its place too.
 *
 * A summary's schema is that of decimator/reduce.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "schema/schema_priv.h"
#include "common/util.h"

static json_t	*derive(struct schema_context *c, struct schema_node *node,
		    bool once);

/* The path at hand as a part of a name; to be freed. */
static char *
path_name(const struct schema_context *c)
{
	char *name = xasprintf("%.*s", (int)c->path_size,
	    c->path != NULL ? c->path : ""), *p;

	for (p = name; *p != '\0'; p++)
		if (*p == '.')
			*p = '_';
	return name;
}

/*** The channel's schema with fewer fields. ***/

/* The definition's own text, its name complete. */
static json_t *
copy_named(const struct schema_node *node)
{
	json_t *copy = json_copy(node->json);

	json_object_del(copy, "namespace");
	json_object_set_new(copy, "name", json_string(node->name));
	return copy;
}

static json_t *
derive_field(struct schema_context *c, const struct schema_child *child,
    bool once)
{
	json_t *field = json_copy(child->json);

	json_object_set_new(field, "type", derive(c, child->node, once));
	return field;
}

/* A record without some of its fields has the name of its place, which is no
 * other type's. */
static void
name_part(struct schema_context *c, const struct schema_node *node,
    json_t *record)
{
	struct schema_node *part = schema_node_new(c, SCHEMA_RECORD);
	char *path = path_name(c);
	char *name = xasprintf("%s_%s", node->name,
	    path[0] != '\0' ? path : "part");
	char *longer;

	while (!schema_node_name(c, part, xstrdup(name))) {
		longer = xasprintf("%s_", name);
		free(name);
		name = longer;
	}
	json_object_set_new(record, "name", json_string(name));
	free(name);
	free(path);
}

/* At the top of every datum, fields may be missing. */
static json_t *
derive_record(struct schema_context *c, struct schema_node *node, bool once)
{
	json_t *record = copy_named(node), *fields = json_array();
	bool whole = !once || schema_plan_keep(c) == KEEP_ALL;
	size_t i, before;

	if (whole)
		node->derived = true;
	for (i = 0; i < node->children; i++) {
		before = schema_enter(c, node->child[i].name);
		if (whole || schema_plan_keep(c) != KEEP_NONE)
			json_array_append_new(fields, derive_field(c,
			    &node->child[i], once));
		schema_leave(c, before);
	}
	json_object_set_new(record, "fields", fields);
	/* That of all datums keeps its name, if it is not in them as well. */
	if (!whole && (c->path_size > 0 || node->derived))
		name_part(c, node, record);
	return record;
}

static json_t *
derive_union(struct schema_context *c, const struct schema_node *node)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < node->children; i++)
		json_array_append_new(array, derive(c, node->child[i].node,
		    false));
	return array;
}

static json_t *
derive(struct schema_context *c, struct schema_node *node, bool once)
{
	json_t *copy;

	switch (node->type) {
	case SCHEMA_RECORD:
	case SCHEMA_ENUM:
	case SCHEMA_FIXED:
		if (node->derived &&
		    (!once || schema_plan_keep(c) != KEEP_SOME))
			return json_string(node->name);
		if (node->type == SCHEMA_RECORD)
			return derive_record(c, node, once);
		node->derived = true;
		return copy_named(node);
	case SCHEMA_UNION:
		return derive_union(c, node);
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
		copy = json_copy(node->json);
		json_object_set_new(copy, node->type == SCHEMA_ARRAY ?
		    "items" : "values", derive(c, node->child[0].node, false));
		return copy;
	default:
		return json_deep_copy(node->json);
	}
}

/*** Summaries. ***/

/* What statistics are made of. */
enum of_kind {
	OF_NUMBERS,
	OF_NULLABLE,
	OF_SAMPLES,	/* of arrays, which may be empty */
	OF_KINDS,
};

struct summary {
	const char	*time_path;	/* or NULL */
	json_t		*time;		/* its type */
	bool		 time_union;
	bool		 defined[DATUM_TYPES][OF_KINDS];	/* statistics */
	size_t		 fields;
};

static void
add_field(json_t *fields, const char *name, json_t *type)
{
	json_array_append_new(fields, json_pack("{s:s, s:o}", "name", name,
	    "type", type));
}

static json_t *
record_of(const char *prefix, const char *suffix, json_t *fields)
{
	char *name = xasprintf("%s%s%s", prefix, suffix[0] != '\0' ? "_" : "",
	    suffix);
	json_t *record = json_pack("{s:s, s:s, s:s, s:o}", "type", "record",
	    "name", name, "namespace", "mcrelay", "fields", fields);

	free(name);
	return record;
}

static json_t *
optional(json_t *type, bool nullable)
{
	return nullable ? json_pack("[s, o]", "null", type) : type;
}

/* What is said of a number of this type. */
static json_t *
statistics(struct summary *s, uint8_t type, enum of_kind kind)
{
	static const char *const types[DATUM_TYPES] = { NULL, "int", "long",
	    "float", "double" };
	static const char *const suffixes[OF_KINDS] = { "", "_null",
	    "_samples" };
	bool nullable = kind != OF_NUMBERS;
	json_t *fields, *record;
	char *name = xasprintf("%s%s", types[type], suffixes[kind]);

	if (s->defined[type][kind]) {
		char *full = xasprintf("mcrelay.Statistics_%s", name);

		record = json_string(full);
		free(full);
		free(name);
		return record;
	}
	s->defined[type][kind] = true;
	fields = json_array();
	add_field(fields, "min", optional(json_string(types[type]), nullable));
	add_field(fields, "min_time", optional(json_deep_copy(s->time),
	    nullable && !s->time_union));
	add_field(fields, "max", optional(json_string(types[type]), nullable));
	add_field(fields, "max_time", optional(json_deep_copy(s->time),
	    nullable && !s->time_union));
	add_field(fields, "mean", optional(json_string("double"), nullable));
	add_field(fields, "rms", optional(json_string("double"), nullable));
	if (nullable)
		add_field(fields, kind == OF_NULLABLE ? "nulls" : "samples",
		    json_string("long"));
	record = record_of("Statistics", name, fields);
	free(name);
	return record;
}

/* The statistics of what is no record, or NULL when it has no number. */
static json_t *
summarise_field(const struct schema_context *c, struct summary *s,
    struct schema_node *node)
{
	struct schema_node *number;
	enum of_kind kind;
	uint8_t type, flags;

	type = schema_number(node, &number, &flags);
	kind = (flags & DATUM_NULLABLE) != 0 ? OF_NULLABLE : OF_NUMBERS;
	if (type == DATUM_OTHER) {
		type = schema_array(c, node, &flags);
		kind = OF_SAMPLES;
		if ((flags & DATUM_SAMPLES) == 0)
			return NULL;
	}
	if (type == DATUM_OTHER || (flags & DATUM_INSTANT) != 0 ||
	    schema_plan_keep(c) == KEEP_NONE || (s->time_path != NULL &&
	    strlen(s->time_path) == c->path_size &&
	    memcmp(s->time_path, c->path, c->path_size) == 0))
		return NULL;
	s->fields++;
	return statistics(s, type, kind);
}

/* A field's statistics, a record of them, or NULL when it has no number. */
static json_t *
summarise(struct schema_context *c, struct summary *s,
    struct schema_node *node)
{
	json_t *fields, *inner;
	size_t i, before;
	char *path;

	if (node->type != SCHEMA_RECORD)
		return summarise_field(c, s, node);
	fields = json_array();
	for (i = 0; i < node->children; i++) {
		before = schema_enter(c, node->child[i].name);
		inner = node->child[i].node->smallest == 0 ? NULL :
		    summarise(c, s, node->child[i].node);
		if (inner != NULL)
			add_field(fields, node->child[i].name, inner);
		schema_leave(c, before);
	}
	if (json_array_size(fields) == 0) {
		json_decref(fields);
		return NULL;
	}
	path = path_name(c);
	inner = record_of("Fields", path, fields);
	free(path);
	return inner;
}

/* The type of the time field. */
static void
find_time(struct schema_context *c, struct schema_node *node,
    struct summary *s)
{
	size_t i, before;

	if (s->time_path != NULL && s->time == NULL &&
	    strlen(s->time_path) == c->path_size &&
	    (c->path_size == 0 ||
	    memcmp(s->time_path, c->path, c->path_size) == 0)) {
		s->time = json_deep_copy(node->json);
		s->time_union = node->type == SCHEMA_UNION;
		return;
	}
	for (i = 0; node->type == SCHEMA_RECORD && s->time_path != NULL &&
	    s->time == NULL && i < node->children; i++) {
		before = schema_enter(c, node->child[i].name);
		if (strncmp(s->time_path, c->path, c->path_size) == 0)
			find_time(c, node->child[i].node, s);
		schema_leave(c, before);
	}
}

static json_t *
derive_summary(struct schema_context *c, struct schema_node *top,
    const char *time_path)
{
	struct summary s = { .time_path = time_path };
	json_t *fields = json_array(), *inner;

	find_time(c, top, &s);
	if (s.time == NULL)
		s.time = json_pack("{s:s, s:s}", "type", "long",
		    "logicalType", "timestamp-micros");
	add_field(fields, "first_time", json_deep_copy(s.time));
	add_field(fields, "last_time", json_deep_copy(s.time));
	add_field(fields, "count", json_string("long"));
	add_field(fields, "missed", json_string("long"));
	inner = summarise(c, &s, top);
	json_decref(s.time);
	if (s.fields == 0) {
		json_decref(fields);
		json_decref(inner);
		schema_error(c, "there is no number to be summarised");
		return NULL;
	}
	add_field(fields, "fields", inner);
	return record_of("Summary", "", fields);
}

bool
schema_derive(struct schema_context *c, struct schema_node *top,
    const char *time_path)
{
	json_t *derived;

	if (c->plan->summary)
		derived = derive_summary(c, top, time_path);
	else if (c->plan->onlys > 0)
		derived = derive(c, top, true);
	else
		return true;
	if (derived == NULL)
		return false;
	c->result->derived = json_dumps(derived, JSON_INDENT(2));
	json_decref(derived);
	return c->result->derived != NULL ||
	    schema_error(c, "the schema of a stream cannot be written");
}
