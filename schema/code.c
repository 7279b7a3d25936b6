/* SPDX-License-Identifier: ISC */
/*
 * From a graph of types to the datum program.  Supervisor and tools.
 *
 * Records that occur once in every datum are written out in place, because
 * their numbers are fields of their own.  Elsewhere (in arrays, maps, unions) a
 * record that is named more than once becomes an entry that is called, so that
 * recursion and repetition cannot make the program grow without end.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/nearest.h"
#include "schema/schema_priv.h"
#include "common/util.h"

/* What the datum consists of, front to back. */
struct leaf {
	struct schema_node	*node;
	uint8_t			 type;		/* enum datum_type */
	uint8_t			 flags;		/* enum datum_flag */
	uint8_t			 method;	/* as in struct datum_run */
	double			 range;
	uint8_t			 omit;
	bool			 timestamp;
	uint32_t		 unit_ns;
	uint32_t		 name;		/* offset */
};

struct call {
	uint32_t		 step;
	struct schema_node	*node;
};

struct encoder {
	struct schema_context	*c;
	const char		*time_field;
	bool			 time_seen;
	struct datum_step	*step;
	uint32_t		 steps;
	struct leaf		*leaf;
	uint32_t		 leaves;
	struct call		*call;		/* to patch */
	uint32_t		 calls;
	uint32_t		 queued;	/* calls looked at */
	char			*names;
	size_t			 names_size;
	struct datum_run	*run;
	uint32_t		 runs;
	struct datum_field	*field;
	uint32_t		 fields;
	uint32_t		 time;		/* field */
	uint32_t		 time_unit_ns;
};

static bool	emit(struct encoder *k, struct schema_node *node, bool once);

/*** Steps. ***/

static bool
emit_step(struct encoder *k, enum datum_op op, uint32_t count)
{
	if (k->steps == DATUM_STEPS_MAX)
		return schema_error(k->c, "the schema is too large: more than "
		    "%u steps", DATUM_STEPS_MAX);
	k->step = xgrow(k->step, k->steps, sizeof(*k->step));
	k->step[k->steps++] = (struct datum_step){ op, count, 0 };
	return true;
}

/*
 * A step that adds up with the one before it if that is of its kind.  Nothing
 * leads in between: before whatever is jumped to, called or repeated stands a
 * JUMP, NEXT, ITEMS or RETURN.
 */
static bool
emit_counted(struct encoder *k, enum datum_op op, uint32_t count)
{
	struct datum_step *last;

	if (k->steps > 0) {
		last = &k->step[k->steps - 1];
		if (last->op == op && count <= DATUM_SIZE_MAX - last->count) {
			last->count += count;
			return true;
		}
	}
	return emit_step(k, op, count);
}

static bool
emit_skip(struct encoder *k, uint64_t size)
{
	uint32_t part;

	for (; size > 0; size -= part) {
		part = (uint32_t)MIN_OF(size, (uint64_t)DATUM_SIZE_MAX);
		if (!emit_counted(k, DATUM_OP_SKIP, part))
			return false;
	}
	return true;
}

static bool
emit_items(struct encoder *k, const struct schema_node *node)
{
	struct schema_node *item = node->child[0].node;
	bool map = node->type == SCHEMA_MAP;
	uint32_t head = k->steps;

	if (!map && !item->walked && item->smallest <= DATUM_SIZE_MAX)
		return emit_step(k, DATUM_OP_FIXED_ITEMS,
		    (uint32_t)item->smallest);
	if (!emit_step(k, DATUM_OP_ITEMS, 0))
		return false;
	if ((map && !emit_step(k, DATUM_OP_STRING, 1)) ||
	    !emit(k, item, false) || !emit_step(k, DATUM_OP_NEXT, 0))
		return false;
	k->step[head].target = k->steps;
	return true;
}

static bool
emit_union(struct encoder *k, const struct schema_node *node)
{
	uint32_t head = k->steps, i, end;
	uint32_t count = (uint32_t)node->children;

	if (!emit_step(k, DATUM_OP_UNION, count))
		return false;
	for (i = 0; i < count; i++)
		if (!emit_step(k, DATUM_OP_JUMP, 0))
			return false;
	for (i = 0; i < count; i++) {
		if (node->child[i].node->smallest == 0)
			continue;	/* jumps to the end */
		k->step[head + 1 + i].target = k->steps;
		if (!emit(k, node->child[i].node, false) ||
		    !emit_step(k, DATUM_OP_JUMP, 0))
			return false;
	}
	/* All jumps of this union that lead nowhere yet lead here. */
	end = k->steps;
	for (i = head + 1; i < end; i++)
		if (k->step[i].op == DATUM_OP_JUMP && k->step[i].target == 0)
			k->step[i].target = end;
	return true;
}

static bool
emit_record(struct encoder *k, struct schema_node *node, bool once)
{
	size_t i;

	if (!once && node->uses > 1) {
		k->call = xgrow(k->call, k->calls, sizeof(*k->call));
		k->call[k->calls++] = (struct call){ k->steps, node };
		return emit_step(k, DATUM_OP_CALL, 0);
	}
	for (i = 0; i < node->children; i++)
		if (!emit(k, node->child[i].node, once))
			return false;
	return true;
}

/* The code of a type; `once' when it occurs once in every datum. */
static bool
emit(struct encoder *k, struct schema_node *node, bool once)
{
	if (!node->walked)
		return emit_skip(k, node->smallest);
	switch (node->type) {
	case SCHEMA_BOOLEAN:
		return emit_counted(k, DATUM_OP_BOOLEAN, 1);
	case SCHEMA_INT:
		return emit_counted(k, DATUM_OP_INT, 1);
	case SCHEMA_LONG:
		return emit_counted(k, DATUM_OP_LONG, 1);
	case SCHEMA_BYTES:
		return emit_counted(k, DATUM_OP_BYTES, 1);
	case SCHEMA_STRING:
		return emit_counted(k, DATUM_OP_STRING, 1);
	case SCHEMA_ENUM:
		return emit_step(k, DATUM_OP_ENUM,
		    (uint32_t)json_array_size(node->symbols));
	case SCHEMA_UNION:
		return emit_union(k, node);
	case SCHEMA_RECORD:
		return emit_record(k, node, once);
	default:
		return emit_items(k, node);
	}
}

/* The entries of called records, which may call others. */
static bool
emit_called(struct encoder *k)
{
	struct schema_node *node;
	uint32_t i;
	size_t child;

	for (; k->queued < k->calls; k->queued++) {
		node = k->call[k->queued].node;
		if (node->queued)
			continue;
		node->queued = true;
		node->entry = k->steps;
		for (child = 0; child < node->children; child++)
			if (!emit(k, node->child[child].node, false))
				return false;
		if (!emit_step(k, DATUM_OP_RETURN, 0))
			return false;
	}
	for (i = 0; i < k->calls; i++)
		k->step[k->call[i].step].target = k->call[i].node->entry;
	return true;
}

/*** Leaves. ***/

static uint8_t
number_type(const struct schema_node *node)
{
	switch (node->type) {
	case SCHEMA_INT:
		return DATUM_INT;
	case SCHEMA_LONG:
		return DATUM_LONG;
	case SCHEMA_FLOAT:
		return DATUM_FLOAT;
	case SCHEMA_DOUBLE:
		return DATUM_DOUBLE;
	default:
		return DATUM_OTHER;
	}
}

static bool
add_name(struct encoder *k, struct leaf *leaf)
{
	struct schema_context *c = k->c;

	if (k->names_size + c->path_size + 1 > DATUM_NAMES_MAX)
		return schema_error(c, "the names of all fields are longer "
		    "than %u bytes", DATUM_NAMES_MAX);
	k->names = xrealloc(k->names, k->names_size + c->path_size + 1);
	leaf->name = (uint32_t)k->names_size;
	if (c->path_size > 0)
		memcpy(k->names + k->names_size, c->path, c->path_size);
	k->names_size += c->path_size;
	k->names[k->names_size++] = '\0';
	return true;
}

uint8_t
schema_number(struct schema_node *node, struct schema_node **number,
    uint8_t *flags)
{
	uint8_t type;

	*number = node;
	*flags = 0;
	if (node->type == SCHEMA_UNION && node->children == 2) {
		if (node->child[0].node->type == SCHEMA_NULL) {
			*number = node->child[1].node;
			*flags = DATUM_NULLABLE;
		} else if (node->child[1].node->type == SCHEMA_NULL) {
			*number = node->child[0].node;
			*flags = DATUM_NULLABLE | DATUM_NULL_SECOND;
		}
	}
	type = number_type(*number);
	if (type == DATUM_OTHER)
		*flags = 0;
	else if ((*number)->instant)
		*flags |= DATUM_INSTANT;
	return type;
}

uint8_t
schema_array(const struct schema_context *c, const struct schema_node *node,
    uint8_t *flags)
{
	if (c->plan == NULL || c->plan->arrays == 0 ||
	    node->type != SCHEMA_ARRAY || node->child[0].node->instant)
		return DATUM_OTHER;
	*flags = c->plan->arrays;
	return number_type(node->child[0].node);
}

static bool
add_leaf(struct encoder *k, struct schema_node *node)
{
	struct schema_node *number;
	struct leaf *leaf;

	k->leaf = xgrow(k->leaf, k->leaves, sizeof(*k->leaf));
	leaf = &k->leaf[k->leaves++];
	memset(leaf, 0, sizeof(*leaf));
	leaf->node = node;
	leaf->type = schema_number(node, &number, &leaf->flags);
	if (leaf->type == DATUM_OTHER)
		leaf->type = schema_array(k->c, node, &leaf->flags);
	schema_plan_note(k->c, leaf->type != DATUM_OTHER);
	leaf->omit = schema_plan_keep(k->c) == KEEP_NONE;
	if (leaf->type == DATUM_OTHER) {
		leaf->flags = 0;
		if (k->c->plan != NULL && leaf->omit)
			k->c->plan->differs = true;
		return true;
	}
	leaf->method = schema_plan_method(k->c, &leaf->range);
	if (k->c->plan != NULL && (leaf->flags & DATUM_ARRAY) +
	    leaf->method + leaf->omit > 0)
		k->c->plan->differs = true;
	leaf->timestamp = number->timestamp;
	leaf->unit_ns = number->unit_ns;
	return add_name(k, leaf);
}

static bool
collect(struct encoder *k, struct schema_node *node, unsigned depth)
{
	struct schema_context *c = k->c;
	size_t i, path;
	bool good = true;

	if (k->time_field != NULL && c->path_size > 0 &&
	    strlen(k->time_field) == c->path_size &&
	    memcmp(k->time_field, c->path, c->path_size) == 0)
		k->time_seen = true;
	schema_plan_note(c, false);
	if (node->smallest == 0)
		return true;
	if (node->type != SCHEMA_RECORD)
		return add_leaf(k, node);
	if (depth > SCHEMA_DEPTH_MAX)
		return schema_error(c, "records nested more than %d deep",
		    SCHEMA_DEPTH_MAX);
	for (i = 0; i < node->children && good; i++) {
		path = schema_enter(c, node->child[i].name);
		good = collect(k, node->child[i].node, depth + 1);
		schema_leave(c, path);
	}
	return good;
}

static bool
choose_time(struct encoder *k)
{
	struct leaf *leaf = k->leaf, *end = k->leaf + k->leaves;
	char hint[NEAREST_HINT_SIZE];
	struct nearest nearest;

	nearest_begin(&nearest, k->time_field);
	for (; leaf < end; leaf++) {
		if (leaf->type == DATUM_OTHER ||
		    (leaf->flags & DATUM_ARRAY) != 0)
			continue;
		if (k->time_field == NULL ? leaf->timestamp :
		    strcmp(k->names + leaf->name, k->time_field) == 0)
			break;
		nearest_try(&nearest, k->names + leaf->name);
	}
	if (leaf < end) {
		leaf->flags |= DATUM_TIME | DATUM_INSTANT;
		return true;
	}
	if (k->time_field == NULL)
		return true;
	k->c->result->error = xasprintf("time field \"%s\": %s%s",
	    k->time_field, k->time_seen ?
	    "not an int, long, float or double that occurs once in every "
	    "datum" : "the schema has no such field",
	    k->time_seen ? "" : nearest_hint(&nearest, hint));
	return false;
}

/*** Runs. ***/

static void
add_field(struct encoder *k, const struct leaf *leaf)
{
	struct datum_run *run = k->runs > 0 ? &k->run[k->runs - 1] : NULL;

	if (run == NULL || run->type != leaf->type ||
	    run->flags != leaf->flags ||
	    (leaf->flags & DATUM_ARRAY) != 0 || run->method != leaf->method ||
	    datum_run_range(run) != leaf->range || run->omit != leaf->omit) {
		k->run = xgrow(k->run, k->runs, sizeof(*k->run));
		run = &k->run[k->runs++];
		*run = (struct datum_run){ .type = leaf->type,
		    .flags = leaf->flags, .method = leaf->method,
		    .omit = leaf->omit, .first = k->fields };
		datum_run_set_range(run, leaf->range);
	}
	run->count++;
	if ((leaf->flags & DATUM_TIME) != 0) {
		k->time = k->fields;
		k->time_unit_ns = leaf->unit_ns;
	}
	k->field = xgrow(k->field, k->fields, sizeof(*k->field));
	k->field[k->fields++] = (struct datum_field){ .type = leaf->type,
	    .flags = leaf->flags, .run = k->runs - 1, .name = leaf->name };
}

/* The datum's runs, and the code of those that are not numbers. */
static bool
emit_runs(struct encoder *k)
{
	const struct leaf *leaf = k->leaf, *end = k->leaf + k->leaves;
	uint8_t omit;

	while (leaf < end) {
		if (leaf->type != DATUM_OTHER) {
			add_field(k, leaf++);
			continue;
		}
		k->run = xgrow(k->run, k->runs, sizeof(*k->run));
		omit = leaf->omit;
		k->run[k->runs++] = (struct datum_run){ .type = DATUM_OTHER,
		    .omit = omit, .first = k->steps };
		for (; leaf < end && leaf->type == DATUM_OTHER &&
		    leaf->omit == omit; leaf++)
			if (!emit(k, leaf->node, true))
				return false;
		if (!emit_step(k, DATUM_OP_RETURN, 0))
			return false;
	}
	return true;
}

static void *
append(void *to, const void *from, size_t size)
{
	if (size > 0)
		memcpy(to, from, size);
	return (uint8_t *)to + size;
}

static void
assemble(struct encoder *k, uint32_t smallest)
{
	struct datum_program head = {
		.magic = DATUM_MAGIC,
		.steps = k->steps,
		.runs = k->runs,
		.fields = k->fields,
		.names_size = (uint32_t)k->names_size,
		.smallest = smallest,
		.time_field = k->time,
		.time_unit_ns = k->time_unit_ns,
	};
	size_t steps = k->steps * sizeof(*k->step);
	size_t runs = k->runs * sizeof(*k->run);
	size_t fields = k->fields * sizeof(*k->field);
	void *at;

	head.size = (uint32_t)(sizeof(head) + steps + runs + fields +
	    k->names_size);
	k->c->result->program = at = xmalloc(head.size);
	k->c->result->program_size = head.size;
	at = append(at, &head, sizeof(head));
	at = append(at, k->step, steps);
	at = append(at, k->run, runs);
	at = append(at, k->field, fields);
	append(at, k->names, k->names_size);
}

bool
schema_encode(struct schema_context *c, struct schema_node *top,
    const char *time_field)
{
	struct encoder k = { .c = c, .time_field = time_field,
	    .time = DATUM_NONE };
	const char *why;
	bool good;

	good = collect(&k, top, 0) && choose_time(&k) &&
	    emit(&k, top, true) && emit_step(&k, DATUM_OP_RETURN, 0) &&
	    emit_runs(&k) && emit_called(&k);
	if (good) {
		assemble(&k, (uint32_t)top->smallest);
		why = datum_program_check(c->result->program,
		    c->result->program_size);
		assert(why == NULL);
	}
	free(k.step);
	free(k.leaf);
	free(k.call);
	free(k.names);
	free(k.run);
	free(k.field);
	return good;
}
