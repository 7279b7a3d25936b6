/* SPDX-License-Identifier: ISC */
/*
 * Datums, made and encoded.  mcrelay-gen.
 *
 * A tree of nodes (what to make) and an avro-c value (where it goes) are
 * walked side by side.
 */
#include <avro.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/utf8.h"
#include "common/util.h"
#include "tools/gen/node.h"
#include "tools/gen/synth.h"

#define SCHEMA_SIZE_MAX	(4 * 1024 * 1024)
/* Arrays, maps, bytes have 0 to 7 items, in turn. */
#define ITEMS_PERIOD	8
/* One value in this many is null where it may be. */
#define NULL_PERIOD	8
#define TEXT_SIZE	64

struct synth {
	const char		*file;
	avro_schema_t		 schema;
	json_t			*json;
	struct node		*root;
	avro_value_iface_t	*class;
	avro_value_t		 value;
	bool			 has_value;
	avro_writer_t		 writer;
	uint64_t		 now_ns;	/* for all times of a datum */
};

static int	make(const struct synth *synth, struct node *node,
		    avro_value_t *value);

static int64_t
integer(struct node *node, int64_t max)
{
	double number;

	if (node->wave.shape == WAVE_COUNTER)
		return (int64_t)(node->count & (uint64_t)max);
	number = round(wave_value(&node->wave, node->count));
	if (number >= (double)max)
		return max;
	if (number <= -(double)max)
		return -max;
	return (int64_t)number;
}

static int64_t
clock_value(const struct synth *synth, const struct node *node)
{
	uint64_t ns = synth->now_ns;

	if (node->rule == RULE_CLOCK_DAY)
		ns %= 86400 * NS_PER_S;
	return (int64_t)(ns / node->unit_ns);
}

static int
make_number(const struct synth *synth, struct node *node, avro_value_t *value)
{
	const bool clock = node->rule != RULE_WAVE;

	switch (node->type) {
	case AVRO_INT32:
		return avro_value_set_int(value, (int32_t)(clock ?
		    clock_value(synth, node) : integer(node, INT32_MAX)));
	case AVRO_INT64:
		return avro_value_set_long(value, clock ?
		    clock_value(synth, node) : integer(node, INT64_MAX));
	case AVRO_FLOAT:
		return avro_value_set_float(value,
		    (float)wave_value(&node->wave, node->count));
	default:
		return avro_value_set_double(value,
		    wave_value(&node->wave, node->count));
	}
}

static int
make_string(const struct node *node, avro_value_t *value)
{
	/* Empty, short, not ASCII. */
	static const char *const words[] = {
		"idle", "running", "", "degraded", "\303\274bersteuert",
		"a rather long text, as operators write", "ok",
	};
	char text[TEXT_SIZE];

	if (node->rule != RULE_UUID)
		return avro_value_set_string(value,
		    words[node->count % NITEMS(words)]);
	snprintf(text, sizeof(text), "6d637265-6c61-4179-8000-%012llx",
	    (unsigned long long)node->count & 0xffffffffffffULL);
	return avro_value_set_string(value, text);
}

static void
fill_bytes(const struct node *node, uint8_t *bytes, size_t size)
{
	const bool decimal = node->rule == RULE_DECIMAL;

	for (size_t i = 0; i < size; i++)
		bytes[i] = decimal ? 0 : (uint8_t)(node->count + i);
	if (decimal && size > 0)
		bytes[size - 1] = (uint8_t)(node->count % 10);
}

static int
make_bytes(const struct node *node, avro_value_t *value)
{
	uint8_t bytes[ITEMS_PERIOD];
	const size_t size = node->rule == RULE_DECIMAL ? 1 :
	    node->count % ITEMS_PERIOD;

	fill_bytes(node, bytes, size);
	return avro_value_set_bytes(value, bytes, size);
}

static int
make_fixed(const struct node *node, avro_value_t *value)
{
	uint8_t bytes[DATAGRAM_MAX];

	fill_bytes(node, bytes, node->size);
	return avro_value_set_fixed(value, bytes, node->size);
}

static int
make_record(const struct synth *synth, struct node *node, avro_value_t *value)
{
	avro_value_t field;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < node->children; i++) {
		rc = avro_value_get_by_index(value, i, &field, NULL);
		if (rc == 0)
			rc = make(synth, node->child[i], &field);
	}
	return rc;
}

static int
make_items(const struct synth *synth, struct node *node, avro_value_t *value)
{
	const size_t items = node->child[0] == NULL ? 0 :
	    node->count % ITEMS_PERIOD;
	avro_value_t item;
	char key[TEXT_SIZE];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < items; i++) {
		snprintf(key, sizeof(key), "key%zu", i);
		rc = node->type == AVRO_ARRAY ?
		    avro_value_append(value, &item, NULL) :
		    avro_value_add(value, key, &item, NULL, NULL);
		if (rc == 0)
			rc = make(synth, node->child[0], &item);
	}
	return rc;
}

/* The branches take turns, null less often than the others. */
static size_t
choose_branch(const struct node *node)
{
	size_t branch = node->count % node->children;
	const bool allow_null = node->count % NULL_PERIOD == NULL_PERIOD - 1;
	size_t fallback = node->children;

	for (size_t i = 0; i < node->children; i++) {
		branch = (branch + 1) % node->children;
		if (node->child[branch] == NULL)
			continue;
		if ((node->child[branch]->type == AVRO_NULL) == allow_null)
			return branch;
		if (fallback == node->children)
			fallback = branch;
	}
	return fallback;
}

static int
make_union(const struct synth *synth, struct node *node, avro_value_t *value)
{
	const size_t branch = choose_branch(node);
	avro_value_t chosen;
	int rc;

	rc = avro_value_set_branch(value, (int)branch, &chosen);
	if (rc != 0)
		return rc;
	return make(synth, node->child[branch], &chosen);
}

static int
make_value(const struct synth *synth, struct node *node, avro_value_t *value)
{
	switch (node->type) {
	case AVRO_NULL:
		return avro_value_set_null(value);
	case AVRO_BOOLEAN:
		return avro_value_set_boolean(value,
		    (node->count / ITEMS_PERIOD & 1) != 0);
	case AVRO_STRING:
		return make_string(node, value);
	case AVRO_BYTES:
		return make_bytes(node, value);
	case AVRO_FIXED:
		return make_fixed(node, value);
	case AVRO_ENUM:
		return avro_value_set_enum(value,
		    (int)(node->count % node->size));
	case AVRO_RECORD:
		return make_record(synth, node, value);
	case AVRO_ARRAY:
	case AVRO_MAP:
		return make_items(synth, node, value);
	case AVRO_UNION:
		return make_union(synth, node, value);
	default:
		return make_number(synth, node, value);
	}
}

static int
make(const struct synth *synth, struct node *node, avro_value_t *value)
{
	const int rc = make_value(synth, node, value);

	node->count++;
	return rc;
}

bool
synth_datum(struct synth *synth, uint8_t *data, size_t room, size_t *size)
{
	int rc;

	synth->now_ns = clock_realtime_ns();
	avro_writer_memory_set_dest(synth->writer, (const char *)data,
	    (int64_t)room);
	rc = avro_value_reset(&synth->value);
	if (rc == 0)
		rc = make(synth, synth->root, &synth->value);
	if (rc == 0)
		rc = avro_value_write(synth->writer, &synth->value);
	*size = (size_t)avro_writer_tell(synth->writer);
	if (rc == 0)
		return true;
	log_warnx("%s: the datums do not fit into a datagram: %s",
	    synth->file, avro_strerror());
	return false;
}

/* The content of the schema file, or NULL after a log line. */
static char *
read_file(const char *name, size_t *size)
{
	char *text = NULL;
	FILE *file = fopen(name, "re");

	if (file == NULL) {
		log_warn("%s", name);
		return NULL;
	}
	text = xmalloc(SCHEMA_SIZE_MAX);
	*size = fread(text, 1, SCHEMA_SIZE_MAX, file);
	if (!ferror(file) && *size < SCHEMA_SIZE_MAX) {
		utf8_drop_mark(text, size);
		fclose(file);
		return text;
	}
	if (ferror(file))
		log_warn("%s", name);
	else
		log_warnx("%s: larger than any schema", name);
	fclose(file);
	free(text);
	return NULL;
}

static bool
parse_schema(struct synth *synth)
{
	json_error_t error;
	size_t size;
	char *text = read_file(synth->file, &size);

	if (text == NULL)
		return false;
	synth->json = json_loadb(text, size, JSON_DECODE_ANY, &error);
	if (synth->json == NULL)
		log_warnx("%s:%d:%d: %s", synth->file, error.line,
		    error.column, error.text);
	else if (avro_schema_from_json_length(text, size,
	    &synth->schema) != 0) {
		synth->schema = NULL;
		log_warnx("%s: %s", synth->file, avro_strerror());
	}
	free(text);
	return synth->schema != NULL;
}

static bool
prepare(struct synth *synth, const char *const *wave, size_t waves)
{
	char error[OPTIONS_ERROR_SIZE];

	synth->root = node_build(synth->schema, synth->json, error);
	if (synth->root == NULL ||
	    !node_assign(synth->root, wave, waves, error)) {
		log_warnx("%s: %s", synth->file, error);
		return false;
	}
	/* Only now: avro-c does not return from a record that contains
	 * itself without end. */
	synth->class = avro_generic_class_from_schema(synth->schema);
	if (synth->class == NULL ||
	    avro_generic_value_new(synth->class, &synth->value) != 0) {
		log_warnx("%s: %s", synth->file, avro_strerror());
		return false;
	}
	synth->has_value = true;
	synth->writer = avro_writer_memory("", 0);
	return true;
}

/* A datagram without content says nothing: mcrelay refuses such schemas. */
static bool
has_content(struct synth *synth)
{
	uint8_t *data = xmalloc(DATAGRAM_MAX);
	size_t size;
	bool good;

	good = synth_datum(synth, data, DATAGRAM_MAX, &size);
	free(data);
	if (good && size == 0)
		log_warnx("%s: a datum of this schema is empty", synth->file);
	return good && size > 0;
}

static void
start_over(struct node *node)
{
	node->count = 0;
	for (size_t i = 0; i < node->children; i++)
		if (node->child[i] != NULL)
			start_over(node->child[i]);
}

struct synth *
synth_open(const char *schema_file, const char *const *wave, size_t waves)
{
	struct synth *synth = xcalloc(1, sizeof(*synth));

	synth->file = schema_file;
	if (parse_schema(synth) && prepare(synth, wave, waves) &&
	    has_content(synth)) {
		start_over(synth->root);
		return synth;
	}
	synth_close(synth);
	return NULL;
}

void
synth_close(struct synth *synth)
{
	if (synth == NULL)
		return;
	if (synth->writer != NULL)
		avro_writer_free(synth->writer);
	if (synth->has_value)
		avro_value_decref(&synth->value);
	if (synth->class != NULL)
		avro_value_iface_decref(synth->class);
	node_free(synth->root);
	if (synth->schema != NULL)
		avro_schema_decref(synth->schema);
	json_decref(synth->json);
	free(synth);
}
