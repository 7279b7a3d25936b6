/* SPDX-License-Identifier: ISC */
/*
 * Several schema texts as one: where the last one uses a name that another one
 * defines, the definition stands there for the first time, and its name from
 * then on.  Supervisor.  What is wrong with the schema itself is the
 * compiler's to say.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "schema/combine.h"
#include "schema/schema.h"

/* What a schema of SCHEMA_DEPTH_MAX types takes, and its unions. */
#define DEPTH_MAX	(4 * SCHEMA_DEPTH_MAX)

/* A record, enum or fixed of some text. */
struct definition {
	char		*name;		/* in full */
	json_t		*json;		/* borrowed */
	size_t		 part;
	bool		 used;		/* stands in the output */
};

struct combine {
	const struct schema_part *part;
	size_t			 parts;
	size_t			 now;	/* the part that is looked at */
	json_t			**json;	/* of each */
	struct definition	*definition;
	size_t			 definitions;
	char			*error;
};

static bool
fail(struct combine *c, char *error)
{
	if (c->error == NULL)
		c->error = error;
	else
		free(error);
	return false;
}

/*** Names. ***/

static char *
full_name(const char *name, const char *space)
{
	if (strchr(name, '.') != NULL || space[0] == '\0')
		return xstrdup(name);
	return xasprintf("%s.%s", space, name);
}

/* Of a definition that stands in a namespace; NULL: it has no name. */
static char *
defined_name(json_t *json, const char *space)
{
	const char *name = json_string_value(json_object_get(json, "name"));
	json_t *own = json_object_get(json, "namespace");

	if (name == NULL)
		return NULL;
	return full_name(name, json_is_string(own) ? json_string_value(own) :
	    space);
}

/* The namespace of a full name: for what is inside. */
static char *
space_of(const char *full)
{
	const char *dot = strrchr(full, '.');

	return dot == NULL ? xstrdup("") : xasprintf("%.*s",
	    (int)(dot - full), full);
}

static bool
text_is(json_t *json, const char *text)
{
	const char *value = json_string_value(json);

	return value != NULL && strcmp(value, text) == 0;
}

static bool
is_definition(json_t *json)
{
	json_t *type = json_object_get(json, "type");

	return text_is(type, "record") || text_is(type, "error") ||
	    text_is(type, "enum") || text_is(type, "fixed");
}

static struct definition *
find(struct combine *c, const char *name)
{
	for (size_t i = 0; i < c->definitions; i++)
		if (strcmp(c->definition[i].name, name) == 0)
			return &c->definition[i];
	return NULL;
}

/* What a name means in a namespace; NULL: nothing that is known. */
static struct definition *
look_up(struct combine *c, const char *name, const char *space)
{
	char *full = full_name(name, space);
	struct definition *found = find(c, full);

	free(full);
	return found != NULL ? found : find(c, name);
}

/*** What there is. ***/

/* Calls `visit' with each type that is in this one. */
typedef bool	visit(struct combine *c, json_t *json, const char *space,
		    unsigned depth);

static bool
visit_inner(struct combine *c, json_t *json, const char *space,
    unsigned depth, visit *each)
{
	json_t *item, *type = json_object_get(json, "type");
	size_t i;

	if (json_is_array(json)) {
		json_array_foreach(json, i, item)
			if (!each(c, item, space, depth))
				return false;
		return true;
	}
	json_array_foreach(json_object_get(json, "fields"), i, item)
		if (!each(c, json_object_get(item, "type"), space, depth))
			return false;
	return each(c, json_object_get(json, "items"), space, depth) &&
	    each(c, json_object_get(json, "values"), space, depth) &&
	    (json_is_string(type) || each(c, type, space, depth));
}

static bool
collect(struct combine *c, json_t *json, const char *space, unsigned depth)
{
	struct definition *twice;
	char *name, *inner;
	bool good;

	if (!json_is_object(json) && !json_is_array(json))
		return true;
	if (depth == DEPTH_MAX)
		return fail(c, xasprintf("%s: too many types inside types",
		    c->part[c->now].name));
	name = is_definition(json) ? defined_name(json, space) : NULL;
	if (name == NULL)
		return visit_inner(c, json, space, depth + 1, collect);
	twice = find(c, name);
	if (twice != NULL) {
		fail(c, xasprintf("%s: \"%s\" is defined in %s, too",
		    c->part[c->now].name, name,
		    c->part[twice->part].name));
		free(name);
		return false;
	}
	c->definition = xgrow(c->definition, c->definitions,
	    sizeof(*c->definition));
	c->definition[c->definitions++] = (struct definition){ .name = name,
	    .json = json, .part = c->now };
	inner = space_of(name);
	good = visit_inner(c, json, inner, depth + 1, collect);
	free(inner);
	return good;
}

/*** What comes of it. ***/

static json_t	*expand(struct combine *c, json_t *json, const char *space,
		    unsigned depth);

static json_t *
expand_all(struct combine *c, json_t *list, const char *space, unsigned depth)
{
	json_t *out = json_array(), *item;
	size_t i;

	json_array_foreach(list, i, item)
		json_array_append_new(out, expand(c, item, space, depth));
	return out;
}

static json_t *
expand_fields(struct combine *c, json_t *list, const char *space,
    unsigned depth)
{
	json_t *out = json_array(), *item, *field;
	size_t i;

	json_array_foreach(list, i, item) {
		field = json_copy(item);
		if (json_is_object(field) &&
		    json_object_get(field, "type") != NULL)
			json_object_set_new(field, "type", expand(c,
			    json_object_get(item, "type"), space, depth));
		json_array_append_new(out, field);
	}
	return out;
}

static json_t *
expand_object(struct combine *c, json_t *json, const char *space,
    unsigned depth)
{
	static const char *const keys[] = {"items", "values"};
	json_t *out = json_copy(json), *inner;
	size_t i;

	for (i = 0; i < NITEMS(keys); i++)
		if ((inner = json_object_get(json, keys[i])) != NULL)
			json_object_set_new(out, keys[i], expand(c, inner,
			    space, depth));
	if (json_is_array(json_object_get(json, "fields")))
		json_object_set_new(out, "fields", expand_fields(c,
		    json_object_get(json, "fields"), space, depth));
	inner = json_object_get(json, "type");
	if (inner != NULL && !is_definition(json))
		json_object_set_new(out, "type", expand(c, inner, space,
		    depth));
	return out;
}

/* A definition where it stands, or where it is used first, which may be in
 * another namespace. */
static json_t *
expand_definition(struct combine *c, struct definition *definition,
    const char *around, unsigned depth)
{
	char *space = space_of(definition->name);
	const char *dot = strrchr(definition->name, '.');
	json_t *out;

	definition->used = true;
	out = expand_object(c, definition->json, space, depth);
	json_object_set_new(out, "name", json_string(dot == NULL ?
	    definition->name : dot + 1));
	if (strcmp(space, around) == 0)
		json_object_del(out, "namespace");
	else
		json_object_set_new(out, "namespace", json_string(space));
	free(space);
	return out;
}

static json_t *
expand_name(struct combine *c, json_t *json, const char *space,
    unsigned depth)
{
	struct definition *found = look_up(c, json_string_value(json), space);

	/* One of the same text is as the compiler takes it. */
	if (found == NULL || found->part == c->parts - 1)
		return json_incref(json);
	if (found->used)
		return strchr(found->name, '.') != NULL ?
		    json_string(found->name) : json_incref(json);
	return expand_definition(c, found, space, depth);
}

static json_t *
expand(struct combine *c, json_t *json, const char *space, unsigned depth)
{
	struct definition *found = NULL;
	char *name;

	if (depth >= DEPTH_MAX) {
		fail(c, xstrdup("too many types inside types"));
		return json_null();
	}
	if (json_is_string(json))
		return expand_name(c, json, space, depth + 1);
	if (json_is_array(json))
		return expand_all(c, json, space, depth + 1);
	if (!json_is_object(json))
		return json_incref(json);
	name = is_definition(json) ? defined_name(json, space) : NULL;
	if (name != NULL)
		found = find(c, name);
	free(name);
	if (found == NULL)
		return expand_object(c, json, space, depth + 1);
	if (found->used)
		return json_string(found->name);
	return expand_definition(c, found, space, depth + 1);
}

/*** The whole. ***/

/* The text of a part, without a byte order mark. */
static json_t *
load(struct combine *c, const struct schema_part *part)
{
	const char *text = part->text;
	size_t size = part->size;
	json_error_t error;
	json_t *json;

	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		size -= 3;
	}
	json = json_loadb(text, size, JSON_DECODE_ANY |
	    JSON_REJECT_DUPLICATES, &error);
	if (json == NULL)
		fail(c, xasprintf("%s: line %d, column %d: %s", part->name,
		    error.line, error.column, error.text));
	return json;
}

static char *
combine(struct combine *c)
{
	char *text = NULL;
	json_t *out;

	for (c->now = 0; c->now < c->parts; c->now++) {
		c->json[c->now] = load(c, &c->part[c->now]);
		if (c->json[c->now] == NULL ||
		    !collect(c, c->json[c->now], "", 0))
			return NULL;
	}
	out = expand(c, c->json[c->parts - 1], "", 0);
	if (c->error == NULL)
		text = json_dumps(out, JSON_ENCODE_ANY | JSON_INDENT(2));
	json_decref(out);
	return text;
}

char *
schema_combine(const struct schema_part *part, size_t parts, char **error)
{
	struct combine c = { .part = part, .parts = parts,
	    .json = xcalloc(parts, sizeof(*c.json)) };
	char *text = combine(&c);

	for (size_t i = 0; i < parts; i++)
		json_decref(c.json[i]);
	free(c.json);
	for (size_t i = 0; i < c.definitions; i++)
		free(c.definition[i].name);
	free(c.definition);
	*error = c.error;
	return text;
}
