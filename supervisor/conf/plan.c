/* SPDX-License-Identifier: ISC */
/*
 * Reading which fields a decimated stream has and what it makes of them.
 * Supervisor only.  Knows nothing about Avro: schema.h does.
 */
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/nearest.h"
#include "schema/schema.h"
#include "common/util.h"
#include "supervisor/conf/conf_priv.h"

/* Names of fields in `only'. */
#define ONLY_MAX	1000U

/* A name of the plan, and where it stands. */
struct plan_places {
	struct place	*field;
	struct place	*only;
};

/* `NAME: METHOD'. */
static void
read_word(struct section *section, const struct node *node,
    struct schema_name *name)
{
	struct method_words words;
	char choice[256];
	size_t i;

	conf_method_words(FOR_FIELDS, &words);
	for (i = 0; words.word[i] != NULL; i++)
		if (node->kind == NODE_SCALAR &&
		    strcmp(node->text, words.word[i]) == 0)
			break;
	if (words.word[i] == NULL) {
		words_text(words.word, choice, sizeof(choice));
		problem_error(section->problems, node->place,
		    "the method of `%s' has to be %s", node->key, choice);
		return;
	}
	name->method = (uint8_t)(1 + words.method[i]);
	if ((decimate_rows[words.method[i]].where & TAKES_RANGE) != 0)
		problem_error(section->problems, node->place,
		    "the method %s of `%s' needs a range, 360 for degrees: "
		    "{method: %s, range: 360}", node->text, node->key,
		    node->text);
}

/* `NAME: {method: METHOD, range: NUMBER}'. */
static void
read_method_of(struct section *section, const struct node *node,
    struct schema_name *name)
{
	struct method_words words;
	const struct node *method;
	struct section own;
	int word;

	if (node->kind != NODE_MAPPING) {
		if (node->kind != NODE_BAD)
			read_word(section, node, name);
		return;
	}
	if (!section_item(section, "fields", node, &own))
		return;
	conf_method_words(FOR_FIELDS, &words);
	word = section_word(&own, "method", words.word, -1, &method);
	if (word >= 0) {
		name->method = (uint8_t)(1 + words.method[word]);
		name->range = conf_read_range(&own, words.method[word],
		    method->place);
	} else
		(void)section_get(&own, "range");
	section_close(&own);
}

static void
read_fields(struct section *section, struct schema_plan *plan,
    struct plan_places *places)
{
	const struct node *mapping = section_get(section, "fields"), *node;

	if (mapping == NULL || mapping->kind == NODE_BAD)
		return;
	if (mapping->kind != NODE_MAPPING) {
		problem_error(section->problems, mapping->place,
		    "`fields' has to be a mapping, not %s",
		    node_kind_name(mapping));
		return;
	}
	if (plan->summary)
		problem_error(section->problems, mapping->place,
		    "`fields' has no meaning with `shape: summary', which has "
		    "all methods of all numbers; see `only'");
	plan->field = xcalloc(mapping->children + 1, sizeof(*plan->field));
	places->field = xcalloc(mapping->children + 1,
	    sizeof(*places->field));
	for (node = mapping->first; node != NULL; node = node->next) {
		if (node->key == NULL)
			continue;
		plan->field[plan->fields].path = node->key;
		places->field[plan->fields] = node->key_place;
		read_method_of(section, node, &plan->field[plan->fields++]);
	}
}

static void
read_only(struct section *section, struct schema_plan *plan,
    struct plan_places *places)
{
	const struct node *list, *node;

	list = section_list(section, "only", ONLY_MAX);
	if (list == NULL)
		return;
	if (list->children == 0)
		problem_error(section->problems, list->place,
		    "`only' is empty: nothing would be sent");
	plan->only = xcalloc(list->children + 1, sizeof(*plan->only));
	places->only = xcalloc(list->children + 1, sizeof(*places->only));
	for (node = list->first; node != NULL; node = node->next) {
		if (node->kind != NODE_SCALAR) {
			if (node->kind != NODE_BAD)
				problem_error(section->problems, node->place,
				    "each item of `only' has to be the name "
				    "of a field, not %s",
				    node_kind_name(node));
			continue;
		}
		plan->only[plan->onlys].path = node->text;
		places->only[plan->onlys++] = node->place;
	}
}

static void
check_name(struct section *section, const struct schema_plan *plan,
    const struct schema_name *name, struct place place)
{
	char hint[NEAREST_HINT_SIZE];

	if (name->known && (name->number || name->method == 0 ||
	    decimate_yields((enum decimate_method)(name->method - 1),
	    YIELD_LAST)))
		return;
	if (name->known) {
		problem_error(section->problems, place,
		    "field `%s' is not a number: it has only `pick'",
		    name->path);
		return;
	}
	problem_error(section->problems, place,
	    "the schema has no field `%s'%s", name->path,
	    nearest_hint_of(name->path, (const char *const *)plan->path,
	    plan->paths, hint));
}

/* How arrays of numbers are reduced. */
static void
read_arrays(struct section *section, struct schema_plan *plan,
    const struct stream_conf *stream)
{
	static const char *const words[] = { "elementwise", "samples", NULL };
	const struct node *node;
	int word = section_word(section, "arrays", words, 0, &node);

	plan->arrays = DATUM_ARRAY;
	if (word == 0)
		return;
	plan->arrays |= DATUM_SAMPLES;
	if (stream->interval_ns != 0 &&
	    !decimate_yields(stream->method, YIELD_SUMMARY))
		problem_error(section->problems, node->place,
		    "`arrays: samples' needs a window of `every' so many "
		    "datums");
}

static void
make_plan(struct section *section, struct stream_conf *stream,
    const struct channel_conf *channel, struct schema_plan *plan,
    const struct plan_places *places)
{
	const struct datum_program *program = channel->program;
	struct schema_result result;
	const char *time = NULL;
	size_t i;

	if (program->time_field != DATUM_NONE)
		time = datum_field_name(program, program->time_field);
	if (time != NULL && time[0] == '\0')
		time = NULL;
	if (schema_plan(channel->schema_text, strlen(channel->schema_text),
	    time, plan, &result)) {
		stream->schema_text = result.derived;
		result.derived = NULL;
		if (plan->differs) {
			stream->plan = result.program;
			stream->plan_size = result.program_size;
			result.program = NULL;
		}
	} else if (result.error != NULL)
		problem_error(section->problems, section_place(section),
		    "schema %s: %s", channel->schema_file, result.error);
	for (i = 0; i < plan->fields; i++)
		check_name(section, plan, &plan->field[i], places->field[i]);
	for (i = 0; i < plan->onlys; i++)
		check_name(section, plan, &plan->only[i], places->only[i]);
	schema_result_free(&result);
	schema_plan_free(plan);
}

void
conf_read_plan(struct section *section, struct stream_conf *stream,
    const struct channel_conf *channel, bool whole)
{
	struct schema_plan plan = {
	    .summary = decimate_yields(stream->method, YIELD_SUMMARY) };
	struct plan_places places = { NULL, NULL };
	size_t found = section->problems->found;

	/* Its range goes with the runs. */
	if (stream->range > 0.0) {
		plan.method = (uint8_t)(1 + stream->method);
		plan.range = stream->range;
	}
	read_fields(section, &plan, &places);
	read_only(section, &plan, &places);
	read_arrays(section, &plan, stream);
	if (whole && channel->payload == PAYLOAD_RAW &&
	    plan.fields + plan.onlys > 0)
		problem_error(section->problems, section_place(section),
		    "`fields' and `only' need `format: avro'");
	else if (whole && channel->program != NULL &&
	    section->problems->found == found &&
	    (!decimate_yields(stream->method, YIELD_LAST) ||
	    plan.fields + plan.onlys > 0))
		make_plan(section, stream, channel, &plan, &places);
	free(plan.field);
	free(plan.only);
	free(places.field);
	free(places.only);
}
