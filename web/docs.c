/* SPDX-License-Identifier: ISC */
/*
 * Finding fields in a schema's text, for what it says of them.  mcrelay-web
 * only.  At worst a field has no text, or that of another: nothing is decoded
 * by this.
 */
#include <string.h>

#include "web/docs.h"

/* A schema's own limit is below. */
#define DEPTH_MAX	256

static const char *
text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* By its last part: namespaces are for who has two of a name. */
static const char *
short_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL ? dot + 1 : name;
}

static void
collect(json_t *types, json_t *type, unsigned depth)
{
	const char *name = text_of(type, "name");
	json_t *fields = json_object_get(type, "fields");
	size_t i;

	if (depth == DEPTH_MAX)
		return;
	for (i = 0; i < json_array_size(type); i++)
		collect(types, json_array_get(type, i), depth + 1);
	if (!json_is_object(type))
		return;
	if (name != NULL &&
	    json_object_get(types, short_name(name)) == NULL)
		json_object_set(types, short_name(name), type);
	for (i = 0; i < json_array_size(fields); i++)
		collect(types, json_object_get(json_array_get(fields, i),
		    "type"), depth + 1);
	collect(types, json_object_get(type, "items"), depth + 1);
	collect(types, json_object_get(type, "values"), depth + 1);
	if (!json_is_string(json_object_get(type, "type")))
		collect(types, json_object_get(type, "type"), depth + 1);
}

void
docs_open(struct docs *docs, const char *schema)
{
	docs->top = json_loads(schema, JSON_DECODE_ANY, NULL);
	docs->types = json_object();
	collect(docs->types, docs->top, 0);
}

void
docs_close(struct docs *docs)
{
	json_decref(docs->types);
	json_decref(docs->top);
}

/* The record that a type is, or NULL. */
static const json_t *
record_of(const struct docs *docs, const json_t *type)
{
	unsigned depth;

	for (depth = 0; depth < DEPTH_MAX && type != NULL; depth++) {
		if (json_is_string(type))
			type = json_object_get(docs->types,
			    short_name(json_string_value(type)));
		else if (json_object_get(type, "fields") != NULL)
			return type;
		else
			type = json_object_get(type, "type");
	}
	return NULL;
}

static const json_t *
member(const json_t *record, const char *name, size_t size)
{
	const json_t *fields = json_object_get(record, "fields"), *field;
	const char *found;
	size_t i;

	for (i = 0; i < json_array_size(fields); i++) {
		field = json_array_get(fields, i);
		found = text_of(field, "name");
		if (found != NULL && strlen(found) == size &&
		    memcmp(found, name, size) == 0)
			return field;
	}
	return NULL;
}

const json_t *
docs_field(const struct docs *docs, const char *path)
{
	const json_t *field = docs->top, *type = docs->top;
	size_t size;

	while (*path != '\0' && field != NULL) {
		size = strcspn(path, ".");
		field = member(record_of(docs, type), path, size);
		type = json_object_get(field, "type");
		path += size + (path[size] == '.');
	}
	return field;
}
