/* SPDX-License-Identifier: ISC */
/*
 * From a schema to nodes.  mcrelay-gen.  avro-c has already found the schema
 * good; what is refused here is what no datum can be made for.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tools/gen/node.h"

/* How often a record may be inside itself before recursion has to end. */
#define NESTING_MAX	3
/* Places in a datum: named types that hold each other can multiply. */
#define NODES_MAX	20000
#define DEPTH_MAX	200

struct named {
	avro_schema_t	 schema;	/* a record or fixed */
	const json_t	*json;
};

struct builder {
	avro_schema_t	 above[DEPTH_MAX];	/* from the root to here */
	size_t		 depth;
	size_t		 nodes;
	struct named	*named;
	size_t		 nameds;
	char		*error;		/* set: give up */
};

static struct node	*build(struct builder *builder, avro_schema_t schema,
			    const json_t *json, const char *path);

void
node_free(struct node *node)
{
	if (node == NULL)
		return;
	for (size_t i = 0; i < node->children; i++)
		node_free(node->child[i]);
	free(node->child);
	free(node->path);
	free(node);
}

/* A type may be wrapped: {"type": {"type": ...}}. */
static const json_t *
unwrap(const json_t *json)
{
	const json_t *inner;

	while ((inner = json_object_get(json, "type")) != NULL &&
	    (json_is_object(inner) || json_is_array(inner)))
		json = inner;
	return json;
}

static const json_t *
named_json(const struct builder *builder, avro_schema_t schema)
{
	for (size_t i = 0; i < builder->nameds; i++)
		if (builder->named[i].schema == schema)
			return builder->named[i].json;
	return NULL;
}

static void
remember(struct builder *builder, avro_schema_t schema, const json_t *json)
{
	if (named_json(builder, schema) != NULL)
		return;
	builder->named = xgrow(builder->named, builder->nameds,
	    sizeof(*builder->named));
	builder->named[builder->nameds++] = (struct named){ schema, json };
}

static size_t
nesting(const struct builder *builder, avro_schema_t schema)
{
	size_t found = 0;

	for (size_t i = 0; i < builder->depth; i++)
		found += builder->above[i] == schema;
	return found;
}

static void
set_logical(struct node *node, const json_t *json)
{
	static const struct {
		const char	*name;
		avro_type_t	 type;
		enum node_rule	 rule;
		uint64_t	 unit_ns;
	} logical[] = {
		{ "timestamp-millis", AVRO_INT64, RULE_CLOCK, NS_PER_MS },
		{ "timestamp-micros", AVRO_INT64, RULE_CLOCK, NS_PER_US },
		{ "timestamp-nanos", AVRO_INT64, RULE_CLOCK, 1 },
		{ "local-timestamp-millis", AVRO_INT64, RULE_CLOCK,
		    NS_PER_MS },
		{ "local-timestamp-micros", AVRO_INT64, RULE_CLOCK,
		    NS_PER_US },
		{ "local-timestamp-nanos", AVRO_INT64, RULE_CLOCK, 1 },
		{ "date", AVRO_INT32, RULE_CLOCK, 86400 * NS_PER_S },
		{ "time-millis", AVRO_INT32, RULE_CLOCK_DAY, NS_PER_MS },
		{ "time-micros", AVRO_INT64, RULE_CLOCK_DAY, NS_PER_US },
		{ "uuid", AVRO_STRING, RULE_UUID, 0 },
		{ "decimal", AVRO_BYTES, RULE_DECIMAL, 0 },
		{ "decimal", AVRO_FIXED, RULE_DECIMAL, 0 },
	};
	const char *name;

	name = json_string_value(json_object_get(json, "logicalType"));
	for (size_t i = 0; name != NULL && i < NITEMS(logical); i++)
		if (node->type == logical[i].type &&
		    strcmp(name, logical[i].name) == 0) {
			node->rule = logical[i].rule;
			node->unit_ns = logical[i].unit_ns;
		}
}

static struct node *
new_node(struct builder *builder, avro_type_t type, const char *path)
{
	struct node *node = xcalloc(1, sizeof(*node));
	const char *dot;

	builder->nodes++;
	node->type = type;
	node->path = xstrdup(path);
	dot = strrchr(node->path, '.');
	node->name = dot != NULL ? dot + 1 : node->path;
	return node;
}

static void
add_child(struct node *node, struct node *child)
{
	node->child = xgrow(node->child, node->children, sizeof(*node->child));
	node->child[node->children++] = child;
}

/* False when a field cannot end. */
static bool
add_fields(struct builder *builder, struct node *node, avro_schema_t schema,
    const json_t *json)
{
	const size_t fields = avro_schema_record_size(schema);
	const json_t *field_json;
	struct node *child;
	const char *name;
	char *path;

	json = json_object_get(json, "fields");
	for (size_t i = 0; i < fields; i++) {
		name = avro_schema_record_field_name(schema, (int)i);
		field_json = json_array_get(json, i);
		path = node->path[0] == '\0' ? xstrdup(name) :
		    xasprintf("%s.%s", node->path, name);
		child = build(builder,
		    avro_schema_record_field_get_by_index(schema, (int)i),
		    json_object_get(field_json, "type"), path);
		free(path);
		if (child == NULL)
			return false;
		add_child(node, child);
	}
	return true;
}

/* False when no branch can end. */
static bool
add_branches(struct builder *builder, struct node *node,
    avro_schema_t schema, const json_t *json)
{
	const size_t branches = avro_schema_union_size(schema);
	bool possible = false;

	for (size_t i = 0; i < branches; i++) {
		add_child(node, build(builder,
		    avro_schema_union_branch(schema, (int)i),
		    json_array_get(json, i), node->path));
		possible = possible || node->child[i] != NULL;
	}
	return possible;
}

static bool
fill(struct builder *builder, struct node *node, avro_schema_t schema,
    const json_t *json)
{
	int64_t size;

	switch (node->type) {
	case AVRO_RECORD:
		remember(builder, schema, json);
		return add_fields(builder, node, schema, json);
	case AVRO_UNION:
		return add_branches(builder, node, schema, json);
	case AVRO_ARRAY:
		add_child(node, build(builder,
		    avro_schema_array_items(schema),
		    json_object_get(json, "items"), node->path));
		return true;
	case AVRO_MAP:
		add_child(node, build(builder, avro_schema_map_values(schema),
		    json_object_get(json, "values"), node->path));
		return true;
	case AVRO_ENUM:
		node->size = (size_t)avro_schema_enum_number_of_symbols(
		    schema);
		return true;
	case AVRO_FIXED:
		size = avro_schema_fixed_size(schema);
		if (size < 0 || size > DATAGRAM_MAX) {
			snprintf(builder->error, OPTIONS_ERROR_SIZE,
			    "a fixed of %lld bytes does not fit into a "
			    "datagram", (long long)size);
			return false;
		}
		node->size = (size_t)size;
		remember(builder, schema, json);
		set_logical(node, json);
		return true;
	default:
		set_logical(node, json);
		return true;
	}
}

/* NULL when no value can end, or when builder->error was set. */
static struct node *
build(struct builder *builder, avro_schema_t schema, const json_t *json,
    const char *path)
{
	struct node *node;
	bool good;

	json = unwrap(json);
	if (is_avro_link(schema)) {
		schema = avro_schema_link_target(schema);
		json = named_json(builder, schema);
	}
	if (builder->error[0] != '\0' ||
	    (is_avro_record(schema) &&
	    nesting(builder, schema) >= NESTING_MAX))
		return NULL;
	if (builder->nodes >= NODES_MAX || builder->depth >= DEPTH_MAX) {
		snprintf(builder->error, OPTIONS_ERROR_SIZE,
		    "the schema is too large or too deep");
		return NULL;
	}
	node = new_node(builder, avro_typeof(schema), path);
	builder->above[builder->depth++] = schema;
	good = fill(builder, node, schema, json);
	builder->depth--;
	if (good && builder->error[0] == '\0')
		return node;
	node_free(node);
	return NULL;
}

struct node *
node_build(avro_schema_t schema, const json_t *json,
    char error[static OPTIONS_ERROR_SIZE])
{
	struct builder builder = { .error = error };
	struct node *root;

	error[0] = '\0';
	root = build(&builder, schema, json, "");
	free(builder.named);
	if (root == NULL && error[0] == '\0')
		snprintf(error, OPTIONS_ERROR_SIZE,
		    "a datum of this schema would contain itself without end");
	return root;
}

static bool
is_integer(const struct node *node)
{
	return node->type == AVRO_INT32 || node->type == AVRO_INT64;
}

static bool
follows_wave(const struct node *node)
{
	return node->rule == RULE_WAVE && (is_integer(node) ||
	    node->type == AVRO_FLOAT || node->type == AVRO_DOUBLE);
}

/* A name such as counter, packetCounter, sequence_number, seq, frame_seq. */
static bool
names_counter(const char *name)
{
	const size_t length = strlen(name);

	return strcasestr(name, "counter") != NULL ||
	    strcasestr(name, "sequence") != NULL ||
	    strcasecmp(name, "seq") == 0 ||
	    (length > 4 && strcasecmp(name + length - 4, "_seq") == 0);
}

static void
deal(struct node *node, unsigned *next)
{
	for (size_t i = 0; i < node->children; i++)
		if (node->child[i] != NULL)
			deal(node->child[i], next);
	if (!follows_wave(node))
		return;
	node->wave = (struct wave){
		.period = WAVE_PERIOD_DEFAULT,
		.amplitude = is_integer(node) ? 1000 : 1,
		.random = UINT64_C(0x9e3779b97f4a7c15) + *next,
	};
	if (is_integer(node) && names_counter(node->name))
		node->wave.shape = WAVE_COUNTER;
	else
		node->wave.shape = (enum wave_shape)((*next)++ % WAVE_DEALT);
}

/* How many nodes have this path; -1: the signal is not one. */
static int
apply(struct node *node, const char *text, size_t path_length)
{
	int found = 0, below;

	for (size_t i = 0; i < node->children; i++) {
		if (node->child[i] == NULL)
			continue;
		below = apply(node->child[i], text, path_length);
		if (below == -1)
			return -1;
		found += below;
	}
	if (!follows_wave(node) || strlen(node->path) != path_length ||
	    strncmp(node->path, text, path_length) != 0)
		return found;
	if (!wave_parse(text + path_length + 1, &node->wave))
		return -1;
	return found + 1;
}

bool
node_assign(struct node *root, const char *const *wave, size_t waves,
    char error[static OPTIONS_ERROR_SIZE])
{
	const char *equals;
	unsigned next = 0;
	int found;

	deal(root, &next);
	for (size_t i = 0; i < waves; i++) {
		equals = strchr(wave[i], '=');
		if (equals == NULL) {
			snprintf(error, OPTIONS_ERROR_SIZE,
			    "-w %s: not FIELD=SIGNAL", wave[i]);
			return false;
		}
		found = apply(root, wave[i], (size_t)(equals - wave[i]));
		if (found > 0)
			continue;
		snprintf(error, OPTIONS_ERROR_SIZE, found == 0 ?
		    "-w %s: the schema has no such numeric field" :
		    "-w %s: not SIGNAL[:PERIOD[:AMPLITUDE]], where SIGNAL is "
		    "sine, ramp, square, noise, spike or counter", wave[i]);
		return false;
	}
	return true;
}
