/* SPDX-License-Identifier: ISC */
/*
 * What a stream's datums hold.  mcrelay-web only.
 */
#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/log.h"
#include "common/util.h"
#include "schema/schema.h"
#include "web/docs.h"
#include "web/layout.h"

/* Of each field of a summary; then nulls or samples may follow. */
static const char *const parts[] = {"min", "min_time", "max", "max_time",
    "mean", "rms"};
#define PARTS		NITEMS(parts)
#define SUMMARY_PREFIX	"fields"

/* Numbers of a datum that are looked at: as many as its fields are made of. */
#define NUMBERS_MAX	((PARTS + 1) * (LAYOUT_FIELDS_MAX + 1))

struct field {
	char		*name;
	json_t		*doc;
	json_t		*unit;
	bool		 instant;
	uint32_t	 first;		/* number in the datum */
};

struct layout {
	json_t			*schema;	/* texts */
	json_t			*names;
	bool			 summary;
	bool			 compiled;
	json_t			*doc;
	struct datum_program	*program;	/* NULL: it has no fields */
	uint32_t		*offset;	/* of its runs, in a datum */
	double			 time_unit_s;	/* of a summary; NAN: unknown */
	struct field		*field;
	size_t			 fields;
	size_t			 size;		/* bytes that it takes */
};

static size_t	all;		/* bytes */

struct layout *
layout_new(json_t *schema, json_t *names, bool summary)
{
	struct layout *layout = xcalloc(1, sizeof(*layout));

	layout->schema = json_incref(schema);
	layout->names = json_incref(names);
	layout->summary = summary;
	return layout;
}

void
layout_free(struct layout *layout)
{
	size_t i;

	if (layout == NULL)
		return;
	all -= layout->size;
	for (i = 0; i < layout->fields; i++) {
		free(layout->field[i].name);
		json_decref(layout->field[i].doc);
		json_decref(layout->field[i].unit);
	}
	free(layout->field);
	free(layout->offset);
	free(layout->program);
	json_decref(layout->doc);
	json_decref(layout->names);
	json_decref(layout->schema);
	free(layout);
}

bool
layout_is(const struct layout *layout, const json_t *schema,
    const json_t *names, bool summary)
{
	return layout->schema == schema && layout->names == names &&
	    layout->summary == summary;
}

/*** Compiling. ***/

/* Text, or null. */
static json_t *
said(const json_t *field, const char *name)
{
	json_t *text = json_object_get(field, name);

	return json_is_string(text) ? json_incref(text) : json_null();
}

static void
add_field(struct layout *layout, const struct docs *docs, const char *name,
    uint32_t first, bool instant)
{
	const json_t *known = docs_field(docs, name);
	struct field *field;

	layout->field = xgrow(layout->field, layout->fields,
	    sizeof(*layout->field));
	field = &layout->field[layout->fields++];
	field->name = xstrdup(name[0] != '\0' ? name : "value");
	field->doc = said(known, "doc");
	field->unit = said(known, "unit");
	if (json_is_null(field->unit))
		field->unit = said(json_object_get(known, "type"), "unit");
	field->instant = instant;
	field->first = first;
	layout->size += sizeof(*field) + strlen(name) +
	    json_string_length(field->doc);
}

static void
add_numbers(struct layout *layout, const struct docs *docs)
{
	const struct datum_program *program = layout->program;
	uint32_t i;

	for (i = 0; i < program->fields && layout->fields <
	    LAYOUT_FIELDS_MAX; i++)
		add_field(layout, docs, datum_field_name(program, i), i,
		    (datum_fields(program)[i].flags & DATUM_INSTANT) != 0);
}

/* Whether field `i' and those behind it are the statistics of something, whose
 * path `path' becomes; to be freed. */
static bool
is_statistics(const struct datum_program *program, uint32_t i, char **path)
{
	const char *first = datum_field_name(program, i), *name;
	size_t size = strlen(first) - MIN_OF(strlen(first), strlen(".min")), k;

	if (program->fields - i < PARTS ||
	    strncmp(first, SUMMARY_PREFIX, strlen(SUMMARY_PREFIX)) != 0)
		return false;
	for (k = 0; k < PARTS; k++) {
		name = datum_field_name(program, i + (uint32_t)k);
		if (strncmp(name, first, size) != 0 || name[size] != '.' ||
		    strcmp(name + size + 1, parts[k]) != 0)
			return false;
	}
	*path = xasprintf("%.*s", (int)size, first);
	return true;
}

static void
add_summaries(struct layout *layout, const struct docs *docs)
{
	const struct datum_program *program = layout->program;
	size_t skip = strlen(SUMMARY_PREFIX);
	char *path;
	uint32_t i = 0;

	while (i < program->fields && layout->fields < LAYOUT_FIELDS_MAX) {
		if (!is_statistics(program, i, &path)) {
			i++;
			continue;
		}
		add_field(layout, docs, path + skip + (path[skip] == '.'), i,
		    false);
		free(path);
		i += (uint32_t)PARTS;
	}
	layout->time_unit_s = NAN;
	if (program->time_field != DATUM_NONE && program->time_unit_ns != 0 &&
	    strcmp(datum_field_name(program, program->time_field),
	    "first_time") == 0)
		layout->time_unit_s = program->time_unit_ns / (double)NS_PER_S;
}

static void
read_names(struct layout *layout)
{
	struct docs docs;

	docs_open(&docs, json_string_value(layout->names));
	layout->doc = said(docs.top, "doc");
	if (layout->program != NULL && layout->summary)
		add_summaries(layout, &docs);
	else if (layout->program != NULL)
		add_numbers(layout, &docs);
	docs_close(&docs);
}

static void
compile(struct layout *layout)
{
	static struct log_limit limit;
	struct schema_result result;

	layout->compiled = true;
	if (schema_compile(json_string_value(layout->schema),
	    json_string_length(layout->schema), NULL, &result) &&
	    result.program_size <= LAYOUTS_MAX - MIN_OF(all, LAYOUTS_MAX)) {
		layout->program = result.program;
		result.program = NULL;
		layout->offset = xcalloc((size_t)layout->program->runs + 1,
		    sizeof(*layout->offset));
		layout->size = layout->program->size +
		    (size_t)layout->program->runs * sizeof(*layout->offset);
	} else
		log_limited(&limit, "a schema of a stream cannot be used, and "
		    "it is not shown: %s", result.error != NULL ?
		    result.error : "all together are too large");
	schema_result_free(&result);
	read_names(layout);
	all += layout->size;
}

static bool
has_fields(struct layout *layout)
{
	if (!layout->compiled)
		compile(layout);
	return layout->program != NULL;
}

json_t *
layout_doc(struct layout *layout)
{
	(void)has_fields(layout);
	return json_incref(layout->doc);
}

json_t *
layout_fields(struct layout *layout)
{
	json_t *list = json_array();
	const struct field *field;
	size_t i;

	(void)has_fields(layout);
	for (i = 0; i < layout->fields; i++) {
		field = &layout->field[i];
		json_array_append_new(list, json_pack("{s:s, s:O, s:O, s:b}",
		    "name", field->name, "doc", field->doc,
		    "unit", field->unit, "instant", (int)field->instant));
	}
	return list;
}

/*** Datums. ***/

bool
layout_good(struct layout *layout, const uint8_t *data, size_t size)
{
	return has_fields(layout) && datum_split(layout->program, data, size,
	    layout->offset) == DATUM_OK &&
	    layout->offset[layout->program->runs] == size;
}

static double
get_number(uint8_t type, const uint8_t **at, const uint8_t *end)
{
	uint64_t bits;
	uint32_t word;
	double number;
	float single;

	if (type == DATUM_DOUBLE) {
		memcpy(&bits, *at, sizeof(bits));
		bits = le64toh(bits);
		memcpy(&number, &bits, sizeof(number));
		*at += sizeof(bits);
		return number;
	}
	if (type == DATUM_FLOAT) {
		memcpy(&word, *at, sizeof(word));
		word = le32toh(word);
		memcpy(&single, &word, sizeof(single));
		*at += sizeof(word);
		return (double)single;
	}
	return (double)datum_good_long(at, end);
}

/* The numbers of a run, NAN for null; as many as there is room for. */
static size_t
get_run(const struct datum_run *run, const uint8_t *at, const uint8_t *end,
    double *number, size_t room)
{
	int64_t null = (run->flags & DATUM_NULL_SECOND) != 0;
	uint32_t i;

	for (i = 0; i < run->count && i < room; i++)
		if ((run->flags & DATUM_NULLABLE) != 0 &&
		    datum_good_long(&at, end) == null)
			number[i] = NAN;
		else
			number[i] = get_number(run->type, &at, end);
	return i;
}

/* The datum has been split. */
static void
get_numbers(const struct layout *layout, const uint8_t *data, double *number)
{
	const struct datum_run *run = datum_runs(layout->program);
	size_t found = 0;
	uint32_t i;

	for (i = 0; i < layout->program->runs; i++)
		if (run[i].type != DATUM_OTHER)
			found += get_run(&run[i], data + layout->offset[i],
			    data + layout->offset[i + 1], number + found,
			    NUMBERS_MAX - found);
}

static void
print_summary(const struct layout *layout, const double *number,
    struct text *text)
{
	double unit = layout->time_unit_s;
	size_t i;

	if (isnan(number[0])) {
		text_puts(text, ",null");
		return;
	}
	for (i = 0; i < PARTS; i++) {
		text_puts(text, i == 0 ? ",[" : ",");
		if (i == 1 || i == 3)
			text_number(text, number[i] * unit);
		else
			text_number(text, number[i]);
	}
	text_puts(text, "]");
}

void
layout_print(struct layout *layout, const uint8_t *data, size_t size,
    struct text *text)
{
	static double number[NUMBERS_MAX];
	size_t i;

	if (!layout_good(layout, data, size))
		return;
	get_numbers(layout, data, number);
	for (i = 0; i < layout->fields; i++) {
		if (layout->field[i].first + PARTS > NUMBERS_MAX)
			text_puts(text, ",null");
		else if (layout->summary)
			print_summary(layout, &number[layout->field[i].first],
			    text);
		else {
			text_puts(text, ",");
			text_number(text, number[layout->field[i].first]);
		}
	}
}
