/* SPDX-License-Identifier: ISC */
/*
 * Reading a channel's `payload': its format, and its schema made into a datum
 * program.  Supervisor only.  Knows nothing about Avro: schema.h does.
 */
#include <stdlib.h>
#include <string.h>

#include "common/schema.h"
#include "common/util.h"
#include "supervisor/conf_read.h"
#include "supervisor/conf_text.h"

static const char *const format_words[] = {
	[PAYLOAD_RAW] = "raw",
	[PAYLOAD_AVRO] = "avro",
	NULL,
};

static const char *const framing_words[] = {
	"none", "single-object", "confluent", NULL,
};

/* What stands in a raw datagram, little or big end first. */
static const char *const counter_words[] = {
	"u8", "u16le", "u16be", "u32le", "u32be", "u64le", "u64be", NULL,
};

static const char *const sample_words[] = {
	"u8", "s8", "u16le", "u16be", "s16le", "s16be", "u32le", "u32be",
	"s32le", "s32be", "f32le", "f32be", "f64le", "f64be", NULL,
};

static const struct number_key offset_key = {
	.name = "offset", .max = 65507,
};

static const struct number_key sample_channels_key = {
	.name = "channels", .min = 1, .max = 4096, .preset = 1,
};

/* Known, checked for its form, refused. */
static void
read_sequence(struct section *parent)
{
	size_t found = parent->problems->found;
	const struct node *field;
	struct section section;

	if (!section_enter(parent, "sequence", &section))
		return;
	field = section_scalar(&section, "field", false);
	(void)section_number(&section, &offset_key, NULL);
	(void)section_word(&section, "type", counter_words,
	    field != NULL ? 0 : -1, NULL);
	section_close(&section);
	if (parent->problems->found == found)
		section_unsupported(parent, section_get(parent, "sequence"),
		    "sequence");
}

static void
read_samples(struct section *parent)
{
	size_t found = parent->problems->found;
	struct section section;

	if (!section_enter(parent, "samples", &section))
		return;
	(void)section_word(&section, "type", sample_words, -1, NULL);
	(void)section_number(&section, &sample_channels_key, NULL);
	(void)section_number(&section, &offset_key, NULL);
	section_close(&section);
	if (parent->problems->found == found)
		section_unsupported(parent, section_get(parent, "samples"),
		    "samples");
}

/*
 * An avro key of a raw channel.  One that comes from the defaults has lost
 * its meaning and is let pass.
 */
static void
refuse_when_raw(const struct section *section, const char *key)
{
	const struct node *node = section->own != NULL ?
	    node_child(section->own, key) : NULL;

	if (node != NULL && !section->partial)
		problem_error(section->problems, node->key_place,
		    "`%s' needs `format: avro'", key);
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

static void
compile(struct section *section, struct channel_conf *channel,
    const char *time_field, struct place place)
{
	struct schema_result result;
	char why[TEXT_WHY_SIZE];
	size_t size;

	channel->schema_text = text_read(channel->schema_file,
	    SCHEMA_SIZE_MAX, &size, why);
	if (channel->schema_text == NULL) {
		problem_error(section->problems, place, "schema %s: %s",
		    channel->schema_file, why);
		return;
	}
	/* Its users take the text as a string. */
	if (strlen(channel->schema_text) != size) {
		problem_error(section->problems, place,
		    "schema %s: a NUL byte: not a text file",
		    channel->schema_file);
		return;
	}
	(void)schema_compile(channel->schema_text, size, time_field, &result);
	take_result(section, channel, &result, place);
	schema_result_free(&result);
}

static void
read_avro(const struct conf_reader *reader, struct section *section,
    struct channel_conf *channel, const struct node *time_field)
{
	struct place place;

	channel->schema_file = conf_read_path(reader, section, "schema",
	    true, NODE_TEXT_MAX, &place);
	/* In the defaults, it may yet meet another time field. */
	if (channel->schema_file != NULL && !section->partial)
		compile(section, channel,
		    time_field != NULL ? time_field->text : NULL, place);
}

void
conf_read_payload(const struct conf_reader *reader, struct section *channel,
    struct channel_conf *to)
{
	const struct node *time_field, *framing;
	struct section section;

	(void)section_enter(channel, "payload", &section);
	to->payload = (enum payload_format)section_word(&section, "format",
	    format_words, PAYLOAD_RAW, NULL);
	time_field = section_scalar(&section, "time_field", false);
	if (to->payload == PAYLOAD_AVRO)
		read_avro(reader, &section, to, time_field);
	else {
		(void)section_scalar(&section, "schema", false);
		refuse_when_raw(&section, "schema");
		refuse_when_raw(&section, "time_field");
	}
	if (section_word(&section, "framing", framing_words, 0,
	    &framing) != 0)
		section_unsupported(&section, framing, "framing");
	read_sequence(&section);
	read_samples(&section);
	section_close(&section);
}
