/* SPDX-License-Identifier: ISC */
/*
 * The schema compiler's front, and the graph of types that its parts work on.
 * Supervisor and tools.  It must end, with a message, on whatever text a user
 * has.
 */
#include <avro.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/message.h"
#include "common/datum.h"
#include "common/hash.h"
#include "schema/schema.h"
#include "schema/schema_priv.h"
#include "common/util.h"

const char *const schema_type_names[SCHEMA_TYPES] = {
	[SCHEMA_NULL] = "null",
	[SCHEMA_BOOLEAN] = "boolean",
	[SCHEMA_INT] = "int",
	[SCHEMA_LONG] = "long",
	[SCHEMA_FLOAT] = "float",
	[SCHEMA_DOUBLE] = "double",
	[SCHEMA_BYTES] = "bytes",
	[SCHEMA_STRING] = "string",
	[SCHEMA_RECORD] = "record",
	[SCHEMA_ENUM] = "enum",
	[SCHEMA_FIXED] = "fixed",
	[SCHEMA_ARRAY] = "array",
	[SCHEMA_MAP] = "map",
	[SCHEMA_UNION] = "union",
};

static char	*message(const struct schema_context *c, const char *fmt,
		    va_list ap) ATTR_PRINTF(2, 0);

static char *
message(const struct schema_context *c, const char *fmt, va_list ap)
{
	char *text, *whole;

	if (vasprintf(&text, fmt, ap) == -1)
		return xstrdup("out of memory");
	if (c->path_size == 0)
		whole = xasprintf("top level: %s", text);
	else
		whole = xasprintf("field %.*s: %s", (int)c->path_size,
		    c->path, text);
	free(text);
	return whole;
}

bool
schema_error(struct schema_context *c, const char *fmt, ...)
{
	va_list ap;

	if (c->result->error != NULL)
		return false;
	va_start(ap, fmt);
	c->result->error = message(c, fmt, ap);
	va_end(ap);
	return false;
}

void
schema_warning(struct schema_context *c, const char *fmt, ...)
{
	struct schema_result *r = c->result;
	va_list ap;

	r->warning = xgrow(r->warning, r->warnings, sizeof(*r->warning));
	va_start(ap, fmt);
	r->warning[r->warnings++] = message(c, fmt, ap);
	va_end(ap);
}

size_t
schema_enter(struct schema_context *c, const char *name)
{
	size_t length = strlen(name), before = c->path_size;

	if (before + length + 1 > c->path_room) {
		c->path_room = 2 * (before + length + 1);
		c->path = xrealloc(c->path, c->path_room);
	}
	if (before > 0 && name[0] != '[' && name[0] != '{')
		c->path[c->path_size++] = '.';
	memcpy(c->path + c->path_size, name, length);
	c->path_size += length;
	return before;
}

void
schema_leave(struct schema_context *c, size_t path_size)
{
	c->path_size = path_size;
}

struct schema_node *
schema_node_new(struct schema_context *c, enum schema_type type)
{
	struct schema_node *node = xcalloc(1, sizeof(*node));

	node->type = type;
	node->previous = c->last;
	if (c->last != NULL)
		c->last->next = node;
	else
		c->first = node;
	c->last = node;
	return node;
}

void
schema_node_add(struct schema_node *node, const char *name,
    struct schema_node *child)
{
	struct schema_child *new;

	node->child = xgrow(node->child, node->children,
	    sizeof(*node->child));
	new = &node->child[node->children++];
	new->name = name;
	new->json = NULL;
	new->fallback = NULL;
	new->node = child;
}

static size_t
name_slot(const char *name)
{
	return hash_text32(name) % SCHEMA_NAME_SLOTS;
}

struct schema_node *
schema_node_find(const struct schema_context *c, const char *name)
{
	struct schema_node *node = c->names[name_slot(name)];

	while (node != NULL && strcmp(node->name, name) != 0)
		node = node->next_name;
	return node;
}

bool
schema_node_name(struct schema_context *c, struct schema_node *node, char *name)
{
	size_t slot = name_slot(name);

	if (schema_node_find(c, name) != NULL) {
		free(name);
		return false;
	}
	node->name = name;
	node->next_name = c->names[slot];
	c->names[slot] = node;
	return true;
}

void
schema_context_free(struct schema_context *c)
{
	struct schema_node *node;

	while ((node = c->first) != NULL) {
		c->first = node->next;
		free(node->name);
		free(node->child);
		free(node);
	}
	json_decref(c->json);
	free(c->path);
}

/* The last word, unless there is a warning of what readers in C refuse. */
static bool
avro_c_agrees(struct schema_context *c, const char *text, size_t size)
{
	avro_schema_t schema;

	if (avro_schema_from_json_length(text, size, &schema) != 0)
		return schema_error(c, "the Avro library refuses the schema: "
		    "%s", avro_strerror());
	avro_schema_decref(schema);
	return true;
}

bool
schema_compile(const char *text, size_t size, const char *time_field,
    struct schema_result *result)
{
	struct schema_context c = { .result = result };
	struct schema_node *top;
	bool good;

	memset(result, 0, sizeof(*result));
	good = (top = schema_parse(&c, text, size)) != NULL &&
	    schema_check(&c, top) &&
	    (c.bare_names || avro_c_agrees(&c, text, size)) &&
	    schema_encode(&c, top, time_field);
	if (good)
		result->canonical = schema_canonical(top);
	schema_context_free(&c);
	return good;
}

/* Whether it says that a field is the last one, as any can be. */
static bool
picks(const struct schema_name *name)
{
	return name->method > 0 && decimate_yields(
	    (enum decimate_method)(name->method - 1), YIELD_LAST);
}

/* Whether all that the plan names is there, and can be reduced so. */
static bool
names_good(const struct schema_plan *plan)
{
	size_t i;

	for (i = 0; i < plan->fields; i++)
		if (!plan->field[i].known || (!plan->field[i].number &&
		    !picks(&plan->field[i])))
			return false;
	for (i = 0; i < plan->onlys; i++)
		if (!plan->only[i].known)
			return false;
	return true;
}

bool
schema_plan(const char *text, size_t size, const char *time_field,
    struct schema_plan *plan, struct schema_result *result)
{
	struct schema_context c = { .result = result, .plan = plan };
	const struct datum_program *program;
	struct schema_node *top;
	bool good;

	memset(result, 0, sizeof(*result));
	good = (top = schema_parse(&c, text, size)) != NULL &&
	    schema_check(&c, top) && schema_encode(&c, top, time_field) &&
	    names_good(plan);
	if (good) {
		program = result->program;
		good = schema_derive(&c, top,
		    program->time_field == DATUM_NONE ? NULL :
		    datum_field_name(program, program->time_field));
	}
	if (!good) {
		free(result->program);
		result->program = NULL;
	}
	schema_context_free(&c);
	return good;
}

void
schema_result_free(struct schema_result *result)
{
	size_t i;

	for (i = 0; i < result->warnings; i++)
		free(result->warning[i]);
	free(result->warning);
	free(result->error);
	free(result->canonical);
	free(result->program);
	free(result->derived);
	memset(result, 0, sizeof(*result));
}
