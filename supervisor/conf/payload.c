/* SPDX-License-Identifier: ISC */
/*
 * Reading a channel's `payload': its format, and its schema made into a datum
 * program.  Supervisor only.  Knows nothing about Avro: schema.h does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/nearest.h"
#include "schema/combine.h"
#include "schema/schema.h"
#include "common/util.h"
#include "supervisor/conf/conf_priv.h"
#include "supervisor/conf/text.h"

static const char *const format_words[] = {
	[PAYLOAD_RAW] = "raw",
	[PAYLOAD_AVRO] = "avro",
	NULL,
};

enum framing {
	FRAMING_NONE,
	FRAMING_SINGLE_OBJECT,
	FRAMING_CONFLUENT,
};

static const char *const framing_words[] = {
	[FRAMING_NONE] = "none",
	[FRAMING_SINGLE_OBJECT] = "single-object",
	[FRAMING_CONFLUENT] = "confluent",
	NULL,
};

/* Of files that have a schema together. */
#define SCHEMA_PARTS_MAX	64

static const struct number_key schema_id_key = {
	.name = "schema_id", .max = UINT32_MAX,
};

struct framing_conf {
	enum framing	framing;
	uint32_t	schema_id;
};

/* In the order of enum sender_sequence_type, from SENDER_SEQUENCE_U8 on. */
static const char *const counter_words[] = {
	"u8", "u16le", "u16be", "u32le", "u32be", "u64le", "u64be", NULL,
};

static const char *const sample_words[] = {
#define SAMPLE_WORD(constant, name, bytes, is_signed, is_float, big)	\
	[constant] = name,
	SAMPLE_TYPE_TABLE(SAMPLE_WORD)
#undef SAMPLE_WORD
	NULL,
};

static const struct number_key offset_key = {
	.name = "offset", .max = 65507,
};

static const struct number_key sample_channels_key = {
	.name = "channels", .min = 1, .max = SAMPLE_CHANNELS_MAX,
	.preset = 1,
};

/*
 * A key without its companion, as an avro key of a raw channel.  One that
 * comes from the defaults has lost its meaning and is let pass.
 */
static void
refuse_own(const struct section *section, const char *key, const char *needs)
{
	const struct node *node = section->own != NULL ?
	    node_child(section->own, key) : NULL;

	if (node != NULL && !section->partial)
		problem_error(section->problems, node->key_place,
		    "`%s' needs `%s'", key, needs);
}

/* An int or long of the datum program by its name; DATUM_NONE: none, but
 * perhaps one that is near. */
static uint32_t
find_counter(const struct datum_program *program, const char *name,
    struct nearest *nearest)
{
	const struct datum_field *field = datum_fields(program);
	uint32_t i;

	nearest_begin(nearest, name);
	for (i = 0; i < program->fields; i++) {
		if ((field[i].type != DATUM_INT &&
		    field[i].type != DATUM_LONG) ||
		    (field[i].flags & DATUM_NULLABLE) != 0)
			continue;
		if (strcmp(datum_field_name(program, i), name) == 0)
			return i;
		nearest_try(nearest, datum_field_name(program, i));
	}
	return DATUM_NONE;
}

static void
read_counter_field(struct section *section, struct channel_conf *channel)
{
	const struct node *node = section_scalar(section, "field", true);
	char hint[NEAREST_HINT_SIZE];
	struct nearest nearest;

	(void)section_number(section, &offset_key, NULL);
	(void)section_word(section, "type", counter_words, 0, NULL);
	refuse_own(section, "offset", "format: raw");
	refuse_own(section, "type", "format: raw");
	if (node == NULL || channel->program == NULL)
		return;
	channel->sender_sequence.type = SENDER_SEQUENCE_FIELD;
	channel->sender_sequence.at = find_counter(channel->program,
	    node->text, &nearest);
	if (channel->sender_sequence.at == DATUM_NONE)
		problem_error(section->problems, node->place,
		    "the schema has no `%s' that is an int or a long, never "
		    "null, once in every datum%s", node->text,
		    nearest_hint(&nearest, hint));
}

static void
read_sequence(struct section *parent, struct channel_conf *channel)
{
	struct section section;
	int word;

	if (!section_enter(parent, "sequence", &section))
		return;
	if (channel->payload == PAYLOAD_AVRO)
		read_counter_field(&section, channel);
	else {
		(void)section_scalar(&section, "field", false);
		refuse_own(&section, "field", "format: avro");
		channel->sender_sequence.at = (uint32_t)section_number(&section,
		    &offset_key, NULL);
		word = section_word(&section, "type", counter_words, -1,
		    NULL);
		channel->sender_sequence.type = word == -1 ?
		    SENDER_SEQUENCE_NONE :
		    SENDER_SEQUENCE_U8 + (uint32_t)word;
	}
	section_close(&section);
}

/* How numbers lie in a raw payload; checked for its form, and refused, where
 * payloads are datums. */
static void
read_samples(struct section *parent, struct channel_conf *to)
{
	struct section section;
	int type;

	if (!section_enter(parent, "samples", &section))
		return;
	type = section_word(&section, "type", sample_words, -1, NULL);
	to->samples.channels = (uint32_t)section_number(&section,
	    &sample_channels_key, NULL);
	to->samples.offset = (uint32_t)section_number(&section, &offset_key,
	    NULL);
	section_close(&section);
	to->samples.type = (uint32_t)MAX_OF(type, 0);
	if (to->payload == PAYLOAD_RAW)
		return;
	to->samples = (struct sample_config){ 0 };
	refuse_own(parent, "samples", "format: raw");
}

static void
take_result(struct section *section, struct channel_conf *channel,
    struct schema_result *result, struct place place)
{
	size_t i;

	if (result->error != NULL)
		problem_error(section->problems, place, "schema %s: %s",
		    channel->schema_file, result->error);
	for (i = 0; i < result->warnings; i++)
		problem_warning(section->problems, place, "schema %s: %s",
		    channel->schema_file, result->warning[i]);
	channel->program = result->program;
	channel->program_size = result->program_size;
	result->program = NULL;
}

/* The header that stands before each datum, into its program. */
static void
set_framing(struct datum_framing *framing, const struct framing_conf *conf,
    const char *canonical)
{
	uint64_t fingerprint;
	unsigned i;

	switch (conf->framing) {
	case FRAMING_NONE:
		return;
	case FRAMING_SINGLE_OBJECT:
		fingerprint = schema_fingerprint(canonical);
		*framing = (struct datum_framing){ 10, 2, { 0xc3, 0x01 } };
		for (i = 0; i < 8; i++)
			framing->bytes[2 + i] =
			    (uint8_t)(fingerprint >> (8 * i));
		return;
	case FRAMING_CONFLUENT:
		*framing = (struct datum_framing){ 5, 1, { 0 } };
		for (i = 0; i < 4; i++)
			framing->bytes[1 + i] =
			    (uint8_t)(conf->schema_id >> (24 - 8 * i));
		return;
	}
}

/* The text of a file, to be freed; NULL, and reported. */
static char *
read_text(struct section *section, const char *file, struct place place,
    size_t *size)
{
	char why[TEXT_WHY_SIZE];
	char *text = text_read(file, SCHEMA_SIZE_MAX, size, why);

	/* Its users take the text as a string. */
	if (text != NULL && strlen(text) != *size) {
		snprintf(why, sizeof(why), "a NUL byte: not a text file");
		free(text);
		text = NULL;
	}
	if (text == NULL)
		problem_error(section->problems, place, "schema %s: %s", file,
		    why);
	return text;
}

/* Several files as one text; NULL, and reported. */
static char *
combine_texts(struct section *section, const struct channel_conf *channel,
    struct place place)
{
	const size_t parts = channel->schema_parts + 1;
	struct schema_part *part = xcalloc(parts, sizeof(*part));
	char *text = NULL, *error;
	bool good = true;
	size_t i;

	for (i = 0; i < parts; i++) {
		part[i].name = i < channel->schema_parts ?
		    channel->schema_part[i] : channel->schema_file;
		part[i].text = read_text(section, part[i].name, place,
		    &part[i].size);
		good = good && part[i].text != NULL;
	}
	if (good && (text = schema_combine(part, parts, &error)) == NULL) {
		problem_error(section->problems, place, "schema %s", error);
		free(error);
	}
	for (i = 0; i < parts; i++)
		free((void *)(uintptr_t)part[i].text);
	free(part);
	return text;
}

static void
compile(struct section *section, struct channel_conf *channel,
    const char *time_field, const struct framing_conf *framing,
    struct place place)
{
	struct schema_result result;
	size_t size;

	channel->schema_text = channel->schema_parts > 0 ?
	    combine_texts(section, channel, place) :
	    read_text(section, channel->schema_file, place, &size);
	if (channel->schema_text == NULL)
		return;
	if (schema_compile(channel->schema_text, strlen(channel->schema_text),
	    time_field, &result))
		set_framing(&((struct datum_program *)result.program)->framing,
		    framing, result.canonical);
	take_result(section, channel, &result, place);
	schema_result_free(&result);
}

/* The last one is the schema, the others have names for it. */
static bool
read_schema_list(const struct conf_reader *reader, struct section *section,
    struct channel_conf *channel, struct place *place)
{
	const struct node *list = section_list(section, "schema",
	    SCHEMA_PARTS_MAX), *item;
	char *path;

	if (list == NULL || list->children == 0) {
		if (list != NULL)
			problem_error(section->problems, list->place,
			    "`schema' is an empty list");
		return false;
	}
	channel->schema_part = xcalloc(list->children,
	    sizeof(*channel->schema_part));
	for (item = list->first; item != NULL; item = item->next) {
		if (item->kind != NODE_SCALAR) {
			problem_error(section->problems, item->place,
			    "each item of `schema' has to be a file, not %s",
			    node_kind_name(item));
			return false;
		}
		path = conf_take_path(reader, section, "schema", item,
		    NODE_TEXT_MAX);
		if (path == NULL)
			return false;
		if (item->next != NULL)
			channel->schema_part[channel->schema_parts++] = path;
		else
			channel->schema_file = path;
		*place = item->place;
	}
	return true;
}

static void
read_avro(const struct conf_reader *reader, struct section *section,
    struct channel_conf *channel, const struct node *time_field,
    const struct framing_conf *framing)
{
	const struct node *node = section_get(section, "schema");
	struct place place;

	if (node != NULL && node->kind == NODE_LIST) {
		if (!read_schema_list(reader, section, channel, &place))
			return;
	} else
		channel->schema_file = conf_read_path(reader, section,
		    "schema", true, NODE_TEXT_MAX, &place);
	/* In the defaults, it may yet meet another time field. */
	if (channel->schema_file != NULL && !section->partial)
		compile(section, channel,
		    time_field != NULL ? time_field->text : NULL, framing,
		    place);
}

static void
read_framing(struct section *section, enum payload_format payload,
    struct framing_conf *framing)
{
	const struct node *word, *id;

	framing->framing = (enum framing)section_word(section, "framing",
	    framing_words, FRAMING_NONE, &word);
	framing->schema_id = (uint32_t)section_number(section,
	    &schema_id_key, &id);
	if (payload == PAYLOAD_RAW) {
		if (framing->framing != FRAMING_NONE)
			refuse_own(section, "framing", "format: avro");
		refuse_own(section, "schema_id", "format: avro");
	} else if (framing->framing != FRAMING_CONFLUENT)
		refuse_own(section, "schema_id", "framing: confluent");
	else if (id == NULL)
		section_missing(section, "schema_id");
}

void
conf_read_payload(const struct conf_reader *reader, struct section *channel,
    struct channel_conf *to)
{
	struct framing_conf framing;
	const struct node *time_field;
	struct section section;

	(void)section_enter(channel, "payload", &section);
	to->payload = (enum payload_format)section_word(&section, "format",
	    format_words, PAYLOAD_RAW, NULL);
	time_field = section_scalar(&section, "time_field", false);
	read_framing(&section, to->payload, &framing);
	if (to->payload == PAYLOAD_AVRO)
		read_avro(reader, &section, to, time_field, &framing);
	else {
		(void)section_get(&section, "schema");
		refuse_own(&section, "schema", "format: avro");
		refuse_own(&section, "time_field", "format: avro");
	}
	read_sequence(&section, to);
	read_samples(&section, to);
	section_close(&section);
}
