/* SPDX-License-Identifier: ISC */
/*
 * What can be said of a schema only when all of it is known: how small its
 * datums are, whether they end, whether defaults are of their types.
 * Supervisor and tools.
 */
#include <inttypes.h>
#include <string.h>

#include "common/datum.h"
#include "common/util.h"
#include "schema/schema_priv.h"

/* Sizes beyond this do not matter any more. */
#define SIZE_CAP	(UINT64_C(1) << 32)

/* A double holds each below, and who reads it into one cannot tell this from
 * the next. */
#define DOUBLE_INTEGER_END	(INT64_C(1) << 53)

/* Defaults nested deeper than this are not looked at. */
#define DEFAULT_DEPTH	64

/* From what is known of its children so far. */
static uint64_t
smallest_of(const struct schema_node *node)
{
	uint64_t size = 0;
	size_t i;

	switch (node->type) {
	case SCHEMA_NULL:
		return 0;
	case SCHEMA_FLOAT:
		return 4;
	case SCHEMA_DOUBLE:
		return 8;
	case SCHEMA_FIXED:
		return node->size;
	case SCHEMA_RECORD:
		for (i = 0; i < node->children; i++) {
			if (node->child[i].node->smallest == SCHEMA_ENDLESS)
				return SCHEMA_ENDLESS;
			size += node->child[i].node->smallest;
			size = size < SIZE_CAP ? size : SIZE_CAP;
		}
		return size;
	case SCHEMA_UNION:
		size = SCHEMA_ENDLESS;
		for (i = 0; i < node->children; i++)
			if (node->child[i].node->smallest < size)
				size = node->child[i].node->smallest;
		return size == SCHEMA_ENDLESS ? size : size + 1;
	default:
		return 1;
	}
}

static bool
walked(const struct schema_node *node)
{
	size_t i;

	switch (node->type) {
	case SCHEMA_NULL:
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
	case SCHEMA_FIXED:
		return false;
	case SCHEMA_RECORD:
		for (i = 0; i < node->children; i++)
			if (node->child[i].node->walked)
				return true;
		return false;
	default:
		return true;
	}
}

/* From what is known of its children so far: records that are used more than
 * once are called, arrays and maps have a frame even when they are empty; what
 * is stepped over as a whole needs nothing. */
static uint32_t
depth_of(const struct schema_node *node)
{
	uint32_t depth = 0;
	size_t i;

	if (node->smallest == SCHEMA_ENDLESS || !node->walked)
		return 0;
	switch (node->type) {
	case SCHEMA_ARRAY:
		return node->child[0].node->walked;
	case SCHEMA_MAP:
		return 1;
	case SCHEMA_RECORD:
		for (i = 0; i < node->children; i++)
			depth = MAX_OF(depth, node->child[i].node->depth);
		depth += node->uses > 1;
		return MIN_OF(depth, DATUM_DEPTH_MAX + 1U);
	case SCHEMA_UNION:
		depth = node->child[0].node->depth;
		for (i = 1; i < node->children; i++)
			depth = MIN_OF(depth, node->child[i].node->depth);
		return depth;
	default:
		return 0;
	}
}

/* One pass over all types; whether anything was learnt. */
static bool
learn(struct schema_node *node, bool forward)
{
	bool learnt = false;
	uint64_t smallest;

	for (; node != NULL; node = forward ? node->next : node->previous) {
		smallest = smallest_of(node);
		if (smallest != node->smallest ||
		    walked(node) != node->walked ||
		    depth_of(node) != node->depth) {
			node->smallest = smallest;
			node->walked = walked(node);
			node->depth = depth_of(node);
			learnt = true;
		}
	}
	return learnt;
}

/*
 * From "no datum ends" and "nothing needs a look" to the truth.  Types know
 * their children after one pass backward (those defined inside them) or
 * forward (those named).
 */
static bool
find_sizes(struct schema_context *c)
{
	struct schema_node *node;
	unsigned pass;
	bool learnt;

	for (node = c->first; node != NULL; node = node->next)
		node->smallest = SCHEMA_ENDLESS;
	for (pass = 0; pass < 4 * SCHEMA_DEPTH_MAX; pass++) {
		learnt = learn(c->last, false);
		if (!learn(c->first, true) && !learnt)
			return true;
	}
	return schema_error(c, "its types refer to each other in too "
	    "complicated a way");
}

static bool
default_matches_all(const struct schema_node *node, json_t *value,
    unsigned depth);

static bool
default_text_matches(const struct schema_node *node, json_t *value)
{
	const char *text = json_string_value(value), *p;
	json_t *symbol;
	size_t i, length = 0;

	if (text == NULL)
		return false;
	if (node->type == SCHEMA_STRING)
		return true;
	if (node->type == SCHEMA_ENUM) {
		json_array_foreach(node->symbols, i, symbol)
			if (strcmp(json_string_value(symbol), text) == 0)
				return true;
		return false;
	}
	/* Bytes are written as characters up to U+00FF. */
	for (p = text; *p != '\0'; p++) {
		if ((uint8_t)*p > 0xc3)
			return false;
		length += ((uint8_t)*p & 0xc0) != 0x80;
	}
	return node->type == SCHEMA_BYTES || length == node->size;
}

static bool
default_matches(const struct schema_node *node, json_t *value, unsigned depth)
{
	if (depth > DEFAULT_DEPTH)
		return true;
	switch (node->type) {
	case SCHEMA_NULL:
		return json_is_null(value);
	case SCHEMA_BOOLEAN:
		return json_is_boolean(value);
	case SCHEMA_INT:
		return json_is_integer(value) &&
		    json_integer_value(value) >= INT32_MIN &&
		    json_integer_value(value) <= INT32_MAX;
	case SCHEMA_LONG:
		return json_is_integer(value);
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		return json_is_number(value);
	case SCHEMA_UNION:
		return default_matches(node->child[0].node, value, depth + 1);
	case SCHEMA_RECORD:
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
		return default_matches_all(node, value, depth + 1);
	default:
		return default_text_matches(node, value);
	}
}

/* Records, arrays, maps. */
static bool
default_matches_all(const struct schema_node *node, json_t *value,
    unsigned depth)
{
	const struct schema_child *child = node->child;
	const char *key;
	json_t *item;
	size_t i;

	if (node->type == SCHEMA_ARRAY) {
		if (!json_is_array(value))
			return false;
		json_array_foreach(value, i, item)
			if (!default_matches(child->node, item, depth))
				return false;
		return true;
	}
	if (!json_is_object(value))
		return false;
	if (node->type == SCHEMA_MAP) {
		json_object_foreach(value, key, item)
			if (!default_matches(child->node, item, depth))
				return false;
		return true;
	}
	for (i = 0; i < node->children; i++, child++) {
		item = json_object_get(value, child->name);
		if (item == NULL ? child->fallback == NULL :
		    !default_matches(child->node, item, depth))
			return false;
	}
	return true;
}

static bool
default_far(const struct schema_node *node, json_t *value, unsigned depth);

/* Whether that holds for anything in a record, array or map. */
static bool
default_far_inside(const struct schema_node *node, json_t *value,
    unsigned depth)
{
	const struct schema_child *child = node->child;
	const char *key;
	json_t *item;
	size_t i;

	if (node->type == SCHEMA_ARRAY)
		json_array_foreach(value, i, item)
			if (default_far(child->node, item, depth))
				return true;
	if (node->type == SCHEMA_MAP)
		json_object_foreach(value, key, item)
			if (default_far(child->node, item, depth))
				return true;
	for (i = 0; node->type == SCHEMA_RECORD && i < node->children; i++)
		if (default_far(child[i].node, json_object_get(value,
		    child[i].name), depth))
			return true;
	return false;
}

/* Whether numbers of JavaScript cannot hold it, or one in it. */
static bool
default_far(const struct schema_node *node, json_t *value, unsigned depth)
{
	if (depth > DEFAULT_DEPTH)
		return false;
	if (node->type == SCHEMA_UNION)
		return default_far(node->child[0].node, value, depth + 1);
	if (node->type != SCHEMA_LONG)
		return default_far_inside(node, value, depth + 1);
	return json_integer_value(value) >= DOUBLE_INTEGER_END ||
	    json_integer_value(value) <= -DOUBLE_INTEGER_END;
}

static void
check_defaults(struct schema_context *c)
{
	const struct schema_child *child;
	const struct schema_node *node;
	size_t i;

	for (node = c->first; node != NULL; node = node->next) {
		if (node->type != SCHEMA_RECORD)
			continue;
		for (i = 0; i < node->children; i++) {
			child = &node->child[i];
			if (child->fallback == NULL)
				continue;
			if (default_far(child->node, child->fallback, 0))
				schema_warning(c, "the default of field %s of "
				    "record %s is 2^53 or beyond: some "
				    "readers (avsc) refuse such a schema",
				    child->name, node->name);
			if (!default_matches(child->node, child->fallback, 0))
				schema_warning(c, "the default of field %s of "
				    "record %s is not of its type: some "
				    "readers (avsc, Java) refuse such a "
				    "schema",
				    child->name, node->name);
		}
	}
}

/* An array or map that could only be empty, a branch that could never be
 * taken: better known now than with the first datum. */
static bool
check_depth(struct schema_context *c)
{
	const struct schema_node *node, *child;
	uint32_t own;
	size_t i;

	for (node = c->first; node != NULL; node = node->next) {
		if (node->type != SCHEMA_ARRAY && node->type != SCHEMA_MAP &&
		    node->type != SCHEMA_UNION)
			continue;
		own = node->type != SCHEMA_UNION;
		for (i = 0; i < node->children; i++) {
			child = node->child[i].node;
			if (own + child->depth > DATUM_DEPTH_MAX)
				return schema_error(c, "records nested more "
				    "than %u deep in an array, map or union: "
				    "%s", DATUM_DEPTH_MAX - own,
				    child->name != NULL ? child->name :
				    schema_type_names[child->type]);
		}
	}
	return true;
}

bool
schema_check(struct schema_context *c, struct schema_node *top)
{
	const struct schema_node *node;

	if (!find_sizes(c))
		return false;
	for (node = c->first; node != NULL; node = node->next)
		if (node->smallest == SCHEMA_ENDLESS && node->name != NULL)
			return schema_error(c, "record %s contains itself "
			    "without end; only a union with another branch, "
			    "an array or a map can end it", node->name);
	if (top->smallest == 0)
		return schema_error(c, "a datum of this schema has no bytes");
	if (top->smallest > DATUM_SIZE_MAX)
		return schema_error(c, "no datum of this schema fits into a "
		    "datagram: the smallest has %s%" PRIu64 " bytes",
		    top->smallest >= SIZE_CAP ? "more than " : "",
		    top->smallest);
	check_defaults(c);
	return check_depth(c);
}
