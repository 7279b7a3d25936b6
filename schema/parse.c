/* SPDX-License-Identifier: ISC */
/*
 * From the text of a schema to a graph of types, with every rule of Avro's
 * specification that can be checked type by type.  Supervisor and tools.
 */
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "schema/schema_priv.h"
#include "common/util.h"

static struct schema_node	*parse_type(struct schema_context *c,
				    json_t *json, const char *space,
				    unsigned depth);

/* A name, or names joined by dots. */
static bool
name_valid(const char *name, bool dots)
{
	bool first = true;

	for (; *name != '\0'; name++) {
		if (dots && *name == '.' && !first)
			first = true;
		else if (*name == '_' || (!first && *name >= '0' &&
		    *name <= '9') || (*name >= 'a' && *name <= 'z') ||
		    (*name >= 'A' && *name <= 'Z'))
			first = false;
		else
			return false;
	}
	return !first;
}

static int
find_type(const char *name)
{
	int type;

	for (type = 0; type < SCHEMA_UNION; type++)
		if (strcmp(name, schema_type_names[type]) == 0)
			return type;
	return -1;
}

/* `name' in the namespace, unless it brings its own. */
static char *
full_name(const char *name, const char *space)
{
	if (strchr(name, '.') != NULL || space[0] == '\0')
		return xstrdup(name);
	return xasprintf("%s.%s", space, name);
}

/* In the order of enum schema_logical. */
static const struct {
	const char		*name;
	enum schema_type	 base[2];
	bool			 instant;
	bool			 timestamp;
	bool			 young;
	uint32_t		 unit_ns;	/* since 1970 */
} logical_types[] = {
	{ "decimal", { SCHEMA_BYTES, SCHEMA_FIXED }, false, false, false, 0 },
	{ "uuid", { SCHEMA_STRING, SCHEMA_FIXED }, false, false, false, 0 },
	{ "duration", { SCHEMA_FIXED, SCHEMA_FIXED }, false, false, false, 0 },
	{ "date", { SCHEMA_INT, SCHEMA_INT }, true, false, false, 0 },
	{ "time-millis", { SCHEMA_INT, SCHEMA_INT }, true, false, false, 0 },
	{ "time-micros", { SCHEMA_LONG, SCHEMA_LONG }, true, false, false, 0 },
	{ "timestamp-millis", { SCHEMA_LONG, SCHEMA_LONG }, true, true,
	    false, NS_PER_MS },
	{ "timestamp-micros", { SCHEMA_LONG, SCHEMA_LONG }, true, true,
	    false, NS_PER_US },
	{ "timestamp-nanos", { SCHEMA_LONG, SCHEMA_LONG }, true, true,
	    true, 1 },
	{ "local-timestamp-millis", { SCHEMA_LONG, SCHEMA_LONG }, true, false,
	    false, NS_PER_MS },
	{ "local-timestamp-micros", { SCHEMA_LONG, SCHEMA_LONG }, true, false,
	    false, NS_PER_US },
	{ "local-timestamp-nanos", { SCHEMA_LONG, SCHEMA_LONG }, true, false,
	    true, 1 },
};

/* By the specification a logical type that does not fit is ignored. */
static void
parse_logical(struct schema_context *c, json_t *json, struct schema_node *node)
{
	json_t *logical = json_object_get(json, "logicalType");
	const char *name = json_string_value(logical);
	size_t i;

	if (logical == NULL)
		return;
	for (i = 0; name != NULL && i < NITEMS(logical_types); i++)
		if (strcmp(name, logical_types[i].name) == 0)
			break;
	if (name == NULL || i == NITEMS(logical_types)) {
		schema_warning(c, "unknown logical type%s%s: some readers "
		    "(DuckDB) refuse files that have one",
		    name != NULL ? " " : "", name != NULL ? name : "");
		return;
	}
	if (node->type != logical_types[i].base[0] &&
	    node->type != logical_types[i].base[1]) {
		schema_warning(c, "logical type %s does not apply to type %s: "
		    "readers ignore or refuse it", name,
		    schema_type_names[node->type]);
		return;
	}
	if (logical_types[i].young)
		schema_warning(c, "logical type %s: many readers do not know "
		    "it (fastavro), refuse the file (DuckDB) or fail at "
		    "values beyond 2^53 (avsc); -micros is understood by all",
		    name);
	node->logical = (enum schema_logical)(LOGICAL_NONE + 1 + i);
	node->instant = logical_types[i].instant;
	node->timestamp = logical_types[i].timestamp;
	node->unit_ns = logical_types[i].unit_ns;
}

/* A frequent slip: beside "type" instead of in it. */
static void
parse_logical_misplaced(struct schema_context *c, json_t *field)
{
	const char *type, *name;

	type = json_string_value(json_object_get(field, "type"));
	name = json_string_value(json_object_get(field, "logicalType"));
	if (type != NULL && name != NULL)
		schema_warning(c, "\"logicalType\" beside \"type\" has no "
		    "effect: write \"type\": {\"type\": \"%s\", "
		    "\"logicalType\": \"%s\"}", type, name);
}

/* Only readers that compare datums would need it. */
static void
check_order(struct schema_context *c, json_t *field)
{
	static const char *const orders[] = {"ascending", "descending",
	    "ignore"};
	json_t *order = json_object_get(field, "order");
	size_t i;

	for (i = 0; order != NULL && i < NITEMS(orders); i++)
		if (json_is_string(order) &&
		    strcmp(json_string_value(order), orders[i]) == 0)
			return;
	if (order != NULL)
		schema_warning(c, "\"order\" is not ascending, descending or "
		    "ignore: some readers (avsc, Java, Python) refuse such a "
		    "schema");
}

/* Only readers that have another schema would need them. */
static void
check_aliases(struct schema_context *c, json_t *json)
{
	json_t *aliases = json_object_get(json, "aliases"), *alias;
	bool good = aliases == NULL || json_is_array(aliases);
	size_t i;

	json_array_foreach(aliases, i, alias)
		good = good && json_is_string(alias) &&
		    name_valid(json_string_value(alias), true);
	if (!good)
		schema_warning(c, "\"aliases\" is no array of valid names: "
		    "some readers (avsc, Java) refuse such a schema");
}

/* Gives the node its full name; the namespace for what is inside of it goes
 * to *inner (free() it). */
static bool
parse_name(struct schema_context *c, json_t *json, const char *space,
    struct schema_node *node, char **inner)
{
	const char *type = schema_type_names[node->type];
	json_t *j = json_object_get(json, "name");
	const char *name = json_string_value(j);
	char *full, *dot;

	*inner = NULL;
	if (name == NULL)
		return schema_error(c, "%s without a \"name\"", type);
	if (!name_valid(name, true))
		return schema_error(c, "\"%s\" is not a valid name", name);
	j = json_object_get(json, "namespace");
	if (j != NULL && !json_is_null(j)) {
		if ((space = json_string_value(j)) == NULL ||
		    (space[0] != '\0' && !name_valid(space, true)))
			return schema_error(c,
			    "the \"namespace\" of %s is not a valid one", name);
	}
	if (find_type(name) >= 0)
		return schema_error(c, "%s is the name of a type of Avro",
		    name);
	check_aliases(c, json);
	full = full_name(name, space);
	*inner = xstrdup(full);
	dot = strrchr(*inner, '.');
	*(dot != NULL ? dot : *inner) = '\0';
	if (!schema_node_name(c, node, full))
		return schema_error(c, "\"%s\" is defined twice", name);
	node->uses = 1;
	return true;
}

static bool
parse_field(struct schema_context *c, json_t *json, const char *space,
    struct schema_node *record, json_t *seen, unsigned depth)
{
	const char *name = json_string_value(json_object_get(json, "name"));
	json_t *type = json_object_get(json, "type");
	struct schema_node *node;
	size_t path;
	bool good;

	if (!json_is_object(json))
		return schema_error(c, "a field of %s is not an object",
		    record->name);
	if (name == NULL)
		return schema_error(c, "a field of %s has no \"name\"",
		    record->name);
	if (!name_valid(name, false))
		return schema_error(c, "\"%s\" is not a valid name", name);
	path = schema_enter(c, name);
	good = false;
	if (json_object_get(seen, name) != NULL)
		schema_error(c, "the record has two fields of this name");
	else if (type == NULL)
		schema_error(c, "field without a \"type\"");
	else if ((node = parse_type(c, type, space, depth + 1)) != NULL) {
		check_aliases(c, json);
		parse_logical_misplaced(c, json);
		check_order(c, json);
		schema_node_add(record, name, node);
		record->child[record->children - 1].json = json;
		record->child[record->children - 1].fallback =
		    json_object_get(json, "default");
		json_object_set_new(seen, name, json_true());
		good = true;
	}
	schema_leave(c, path);
	return good;
}

static bool
parse_record(struct schema_context *c, json_t *json, const char *space,
    struct schema_node *node, unsigned depth)
{
	json_t *fields = json_object_get(json, "fields"), *field, *seen;
	bool good = true;
	size_t i;

	if (!json_is_array(fields))
		return schema_error(c, "record %s without an array of "
		    "\"fields\"", node->name);
	seen = json_object();
	json_array_foreach(fields, i, field)
		if (!(good = parse_field(c, field, space, node, seen, depth)))
			break;
	json_decref(seen);
	return good;
}

static bool
parse_enum(struct schema_context *c, json_t *json, struct schema_node *node)
{
	json_t *symbols = json_object_get(json, "symbols"), *symbol, *seen;
	json_t *fallback = json_object_get(json, "default");
	bool good = true;
	const char *name;
	size_t i;

	if (!json_is_array(symbols) || json_array_size(symbols) == 0)
		return schema_error(c, "enum %s without an array of "
		    "\"symbols\"", node->name);
	seen = json_object();
	json_array_foreach(symbols, i, symbol) {
		if ((name = json_string_value(symbol)) == NULL)
			good = schema_error(c, "a symbol of enum %s is not a "
			    "string", node->name);
		else if (!name_valid(name, false))
			good = schema_error(c, "symbol \"%s\" is not a valid "
			    "name", name);
		else if (json_object_get(seen, name) != NULL)
			good = schema_error(c, "symbol %s occurs twice", name);
		if (!good)
			break;
		json_object_set_new(seen, name, json_true());
	}
	if (good && fallback != NULL && (!json_is_string(fallback) ||
	    json_object_get(seen, json_string_value(fallback)) == NULL))
		good = schema_error(c, "the default of enum %s is not one of "
		    "its symbols", node->name);
	json_decref(seen);
	node->symbols = symbols;
	return good;
}

static bool
parse_fixed(struct schema_context *c, json_t *json, struct schema_node *node)
{
	json_t *size = json_object_get(json, "size");

	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return schema_error(c, "fixed %s without a \"size\"",
		    node->name);
	if (json_integer_value(size) > DATUM_SIZE_MAX)
		return schema_error(c, "fixed %s is larger than a datagram "
		    "(%u bytes)", node->name, DATUM_SIZE_MAX);
	node->size = (uint32_t)json_integer_value(size);
	return true;
}

static bool
parse_named(struct schema_context *c, json_t *json, const char *space,
    struct schema_node *node, unsigned depth)
{
	char *inner;
	bool good;

	good = parse_name(c, json, space, node, &inner);
	if (good && node->type == SCHEMA_RECORD)
		good = parse_record(c, json, inner, node, depth);
	else if (good && node->type == SCHEMA_ENUM)
		good = parse_enum(c, json, node);
	else if (good)
		good = parse_fixed(c, json, node);
	free(inner);
	return good;
}

/* Arrays and maps. */
static bool
parse_items(struct schema_context *c, json_t *json, const char *space,
    struct schema_node *node, unsigned depth)
{
	bool array = node->type == SCHEMA_ARRAY;
	const char *key = array ? "items" : "values";
	json_t *type = json_object_get(json, key);
	struct schema_node *child;
	size_t path;

	if (type == NULL)
		return schema_error(c, "%s without \"%s\"",
		    schema_type_names[node->type], key);
	path = schema_enter(c, array ? "[]" : "{}");
	child = parse_type(c, type, space, depth + 1);
	schema_leave(c, path);
	if (child == NULL)
		return false;
	schema_node_add(node, NULL, child);
	return true;
}

/* What may be in a union only once: the full name, or the type's. */
static const char *
branch_name(const struct schema_node *node)
{
	return node->name != NULL ? node->name : schema_type_names[node->type];
}

static struct schema_node *
parse_union(struct schema_context *c, json_t *json, const char *space,
    unsigned depth)
{
	struct schema_node *node = schema_node_new(c, SCHEMA_UNION), *child;
	json_t *seen = json_object(), *branch;
	const char *name;
	size_t i;

	if (json_array_size(json) == 0)
		schema_error(c, "union without branches");
	json_array_foreach(json, i, branch) {
		if ((child = parse_type(c, branch, space, depth + 1)) == NULL)
			break;
		name = branch_name(child);
		if (child->type == SCHEMA_UNION)
			schema_error(c, "union directly inside a union");
		else if (json_object_get(seen, name) != NULL)
			schema_error(c, "%s occurs twice in a union", name);
		json_object_set_new(seen, name, json_true());
		schema_node_add(node, NULL, child);
	}
	json_decref(seen);
	return c->result->error == NULL ? node : NULL;
}

static struct schema_node *
parse_reference(struct schema_context *c, const char *name, const char *space)
{
	struct schema_node *node;
	const int type = find_type(name);
	char *full;

	if (type >= 0 && type < SCHEMA_PRIMITIVES)
		return schema_node_new(c, (enum schema_type)type);
	if (type >= 0)
		return schema_error(c, "type %s must be an object with its "
		    "parts", name), NULL;
	node = schema_node_find(c, full = full_name(name, space));
	if (node == NULL && (node = schema_node_find(c, name)) != NULL) {
		c->bare_names = true;
		schema_warning(c, "%s is the name of a type without a "
		    "namespace: some readers (avrocat, avsc) refuse it here, "
		    "where it means %s", name, full);
	}
	if (node == NULL)
		schema_error(c, "unknown type \"%s\"", name);
	else
		node->uses++;
	free(full);
	return node;
}

static struct schema_node *
parse_object(struct schema_context *c, json_t *json, const char *space,
    unsigned depth)
{
	json_t *j = json_object_get(json, "type");
	const char *name = json_string_value(j);
	struct schema_node *node;
	int type;
	bool good = true;

	if (name == NULL) {
		schema_error(c, j == NULL ? "an object without a \"type\"" :
		    "the \"type\" inside a type must be a string");
		return NULL;
	}
	if ((type = find_type(name)) < SCHEMA_PRIMITIVES) {
		node = parse_reference(c, name, space);
		good = node != NULL;
		if (good && type < 0)
			schema_warning(c, "{\"type\": \"%s\"}: some readers "
			    "(avsc, Java, Python) refuse a name in an object: "
			    "write \"%s\"", name, name);
	} else {
		node = schema_node_new(c, (enum schema_type)type);
		/* Its own fields may name it. */
		node->json = json;
		if (type < SCHEMA_ARRAY)
			good = parse_named(c, json, space, node, depth);
		else
			good = parse_items(c, json, space, node, depth);
	}
	if (!good)
		return NULL;
	if (type >= 0)
		parse_logical(c, json, node);
	return node;
}

static struct schema_node *
parse_type(struct schema_context *c, json_t *json, const char *space,
    unsigned depth)
{
	struct schema_node *node = NULL;

	if (depth > SCHEMA_DEPTH_MAX) {
		schema_error(c, "types nested more than %d deep",
		    SCHEMA_DEPTH_MAX);
		return NULL;
	}
	if (json_is_string(json))
		node = parse_reference(c, json_string_value(json), space);
	else if (json_is_array(json))
		node = parse_union(c, json, space, depth);
	else if (json_is_object(json))
		node = parse_object(c, json, space, depth);
	else
		schema_error(c, "a type must be a string, an object or an "
		    "array");
	/* A type that is named again was defined before. */
	if (node != NULL && node->json == NULL)
		node->json = json;
	return node;
}

struct schema_node *
schema_parse(struct schema_context *c, const char *text, size_t size)
{
	json_error_t error;

	if (size > SCHEMA_SIZE_MAX) {
		schema_error(c, "the schema is larger than %u bytes",
		    SCHEMA_SIZE_MAX);
		return NULL;
	}
	c->json = json_loadb(text, size,
	    JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
	if (c->json == NULL) {
		c->result->error = xasprintf("line %d, column %d: %s",
		    error.line, error.column, error.text);
		return NULL;
	}
	return parse_type(c, c->json, "", 0);
}
