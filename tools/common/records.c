/* SPDX-License-Identifier: ISC */
/*
 * The records of a container file.  Tools.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "schema/schema.h"
#include "common/util.h"
#include "tools/common/records.h"

/* The fields that make a record a Datagram; others may follow. */
#define DATAGRAM_FIELDS							\
	"[{\"name\":\"received\",\"type\":{\"type\":\"long\","		\
	"\"logicalType\":\"timestamp-micros\"}},"			\
	"{\"name\":\"received_ns\",\"type\":\"int\"},"			\
	"{\"name\":\"sequence\",\"type\":\"long\"},"			\
	"{\"name\":\"source\",\"type\":\"string\"},"			\
	"{\"name\":\"payload\",\"type\":\"bytes\"}]"

static const char datagram_fields[] = DATAGRAM_FIELDS;

const char records_datagram_schema[] =
    "{\"type\":\"record\",\"name\":\"Datagram\",\"namespace\":\"mcrelay\","
    "\"fields\":" DATAGRAM_FIELDS "}";

static bool
text_is(json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value != NULL && strcmp(value, text) == 0;
}

static bool
is_datagram(json_t *schema)
{
	json_t *expected = json_loads(datagram_fields, 0, NULL);
	json_t *fields = json_object_get(schema, "fields"), *field;
	bool same;
	size_t i;

	same = text_is(schema, "type", "record") &&
	    text_is(schema, "name", "Datagram") &&
	    text_is(schema, "namespace", "mcrelay") &&
	    json_array_size(fields) >= json_array_size(expected);
	json_array_foreach(expected, i, field)
		same = same && json_equal(field, json_array_get(fields, i));
	json_decref(expected);
	return same;
}

/* The field that those of a channel with several inputs have behind them. */
static bool
has_destination(json_t *schema)
{
	json_t *field = json_array_get(json_object_get(schema, "fields"), 5);

	return text_is(field, "name", "destination") &&
	    text_is(field, "type", "string");
}

/* The type of a field, without a union with null around it. */
static json_t *
type_of(json_t *field)
{
	json_t *type = json_object_get(field, "type");

	if (!json_is_array(type))
		return type;
	if (json_is_string(json_array_get(type, 0)))
		return json_array_get(type, 1);
	return json_array_get(type, 0);
}

/* The type at a path such as "head.time"; NULL where a record on the way is
 * defined elsewhere. */
static json_t *
find_type(json_t *record, const char *path)
{
	const size_t length = strcspn(path, ".");
	const char *name;
	json_t *field;
	size_t i;

	json_array_foreach(json_object_get(record, "fields"), i, field) {
		name = json_string_value(json_object_get(field, "name"));
		if (name == NULL || strlen(name) != length ||
		    memcmp(name, path, length) != 0)
			continue;
		if (path[length] == '\0')
			return type_of(field);
		return find_type(type_of(field), path + length + 1);
	}
	return NULL;
}

/* What a step of the time field is in nanoseconds; 0: not a time of day. */
static int64_t
time_unit(json_t *type)
{
	if (text_is(type, "logicalType", "timestamp-millis"))
		return (int64_t)NS_PER_MS;
	if (text_is(type, "logicalType", "timestamp-micros"))
		return (int64_t)NS_PER_US;
	return text_is(type, "logicalType", "timestamp-nanos") ? 1 : 0;
}

static void
look_at(struct records *records, const char *text, size_t size)
{
	const uint32_t field = records->program->time_field;
	json_t *schema = json_loadb(text, size, JSON_DECODE_ANY, NULL);

	records->datagrams = is_datagram(schema);
	records->destinations = records->datagrams && has_destination(schema);
	if (field != DATUM_NONE)
		records->time_unit_ns = time_unit(find_type(schema,
		    datum_field_name(records->program, field)));
	json_decref(schema);
}

bool
records_open(struct records *records, const char *schema, size_t size)
{
	struct schema_result result;

	memset(records, 0, sizeof(*records));
	if (schema_compile(schema, size, NULL, &result)) {
		records->program = result.program;
		result.program = NULL;
		records->offset = xcalloc(records->program->runs + 1U,
		    sizeof(*records->offset));
		look_at(records, schema, size);
	} else {
		records->error = result.error;
		result.error = NULL;
	}
	schema_result_free(&result);
	return records->program != NULL;
}

void
records_free(struct records *records)
{
	free(records->program);
	free(records->offset);
	free(records->error);
}

/* The data have been walked: numbers and lengths in them are good. */
static int64_t
get_long(const uint8_t **at, const uint8_t *end)
{
	int64_t value = 0;

	if (datum_get_long(at, end, &value) != DATUM_OK)
		*at = end;
	return value;
}

/* Skips or reads a number of a run; false when it is null. */
static bool
get_number(const struct datum_run *run, const uint8_t **at,
    const uint8_t *end, int64_t *value)
{
	const bool null_second = (run->flags & DATUM_NULL_SECOND) != 0;

	if ((run->flags & DATUM_NULLABLE) != 0 &&
	    (get_long(at, end) == 0) != null_second)
		return false;
	switch (run->type) {
	case DATUM_INT:
	case DATUM_LONG:
		*value = get_long(at, end);
		return true;
	default:
		*at += run->type == DATUM_FLOAT ? sizeof(float) :
		    sizeof(double);
		return false;
	}
}

/* The value of the time field as nanoseconds. */
static int64_t
get_time(const struct records *records, const uint8_t *data, size_t size)
{
	const struct datum_program *program = records->program;
	const uint32_t field = program->time_field;
	const struct datum_run *run;
	const uint8_t *at, *end = data + size;
	int64_t value = 0, ns;
	uint32_t number;
	bool known = false;

	if (records->time_unit_ns == 0)
		return RECORDS_NO_TIME;
	number = datum_fields(program)[field].run;
	run = &datum_runs(program)[number];
	at = data + records->offset[number];
	for (number = run->first; number <= field && at < end; number++)
		known = get_number(run, &at, end, &value);
	if (!known || __builtin_mul_overflow(value, records->time_unit_ns,
	    &ns))
		return RECORDS_NO_TIME;
	return ns;
}

static void
get_datagram(const struct records *records, struct record *record)
{
	const uint8_t *at = record->data, *end = record->data + record->size;
	const int64_t micros = get_long(&at, end);
	const int64_t rest = get_long(&at, end);

	if (__builtin_mul_overflow(micros, (int64_t)NS_PER_US,
	    &record->time_ns) || __builtin_add_overflow(record->time_ns, rest,
	    &record->time_ns))
		record->time_ns = RECORDS_NO_TIME;
	record->sequence = get_long(&at, end);
	record->source_size = (size_t)get_long(&at, end);
	record->source = (const char *)at;
	at += record->source_size;
	record->payload_size = (size_t)get_long(&at, end);
	record->payload = at;
	if (!records->destinations)
		return;
	at += record->payload_size;
	record->destination_size = (size_t)get_long(&at, end);
	record->destination = (const char *)at;
}

const char *
records_read(const struct records *records, const uint8_t *data, size_t size,
    struct record *record)
{
	const enum datum_error error = datum_split(records->program, data,
	    size, records->offset);

	if (error != DATUM_OK)
		return datum_error_text(error);
	*record = (struct record){
		.data = data,
		.size = records->offset[records->program->runs],
	};
	if (records->datagrams)
		get_datagram(records, record);
	else
		record->time_ns = get_time(records, data, record->size);
	return NULL;
}
