/* SPDX-License-Identifier: ISC */
/*
 * Reading a channel's decimated streams.  Supervisor only.
 */
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/util.h"
#include "supervisor/conf/conf_priv.h"

/* Whatever the unit is; their squares are numbers, too. */
#define RANGE_MIN	1e-100
#define RANGE_MAX	1e100

enum { SHAPE_SAME, SHAPE_SUMMARY };
static const char *const shape_words[] = {
	[SHAPE_SAME] = "same",
	[SHAPE_SUMMARY] = "summary",
	NULL,
};

static const char *const clock_words[] = {
	[CLOCK_RECEIVE] = "receive",
	[CLOCK_FIELD] = "field",
	NULL,
};

static const struct number_key every_key = {
	.name = "every", .min = 1, .max = 1000000000,
};

static const struct number_key interval_key = {
	.name = "interval", .unit = UNIT_TIME, .min = NS_PER_MS,
	.max = 24 * 3600 * NS_PER_S,
};

void
conf_method_words(unsigned where, struct method_words *words)
{
	size_t count = 0;
	int i;

	for (i = 0; i < METHODS; i++)
		if (decimate_rows[i].name != NULL &&
		    (decimate_rows[i].where & where) != 0) {
			words->method[count] = (enum decimate_method)i;
			words->word[count++] = decimate_rows[i].name;
		}
	words->word[count] = NULL;
}

double
conf_read_range(struct section *section, enum decimate_method method,
    struct place place)
{
	bool needed = (decimate_rows[method].where & TAKES_RANGE) != 0;
	const struct node *node = section_scalar(section, "range", false);
	double range;
	char *end;

	if (node == NULL && needed && section_get(section, "range") == NULL)
		problem_error(section->problems, place,
		    "`method: %s' needs a `range': after how much the values "
		    "go round, 360 for degrees", decimate_rows[method].name);
	if (node == NULL)
		return 0.0;
	if (!needed) {
		problem_error(section->problems, node->place,
		    "`range' is for values that go round: `method: circular'");
		return 0.0;
	}
	range = strtod(node->text, &end);
	if (*end == '\0' && end != node->text && range >= RANGE_MIN &&
	    range <= RANGE_MAX)
		return range;
	problem_error(section->problems, node->place,
	    "`range' has to be a number from %g to %g, not `%s'", RANGE_MIN,
	    RANGE_MAX, node->text);
	return 0.0;
}

/* In a raw payload there is only what `samples' says. */
static void
check_raw(struct section *section, const struct stream_conf *stream,
    const struct channel_conf *channel, const struct node *method,
    const struct node *shape)
{
	if (decimate_yields(stream->method, YIELD_SUMMARY))
		problem_error(section->problems, shape->place,
		    "`shape: summary' needs `format: avro': in a raw payload "
		    "there are no numbers");
	else if (method != NULL &&
	    !decimate_yields(stream->method, YIELD_LAST) &&
	    channel->samples.channels == 0)
		problem_error(section->problems, method->place,
		    "`method: %s' needs `format: avro' or `samples': a raw "
		    "payload has only `pick'", method->text);
}

static void
read_method(struct section *section, struct stream_conf *stream,
    const struct channel_conf *channel, bool whole)
{
	const struct node *method, *shape;
	struct method_words words;
	int word, form;

	form = section_word(section, "shape", shape_words, SHAPE_SAME, &shape);
	conf_method_words(FOR_BOTH, &words);
	/* A summary has its own. */
	word = section_word(section, "method", words.word,
	    form == SHAPE_SUMMARY ? 0 : -1, &method);
	stream->method = form == SHAPE_SUMMARY ? METHOD_SUMMARY :
	    words.method[MAX_OF(word, 0)];
	stream->range = conf_read_range(section, stream->method,
	    method != NULL ? method->place : section_place(section));
	/* The defaults do not tell the payload of those who use them. */
	if (!whole)
		return;
	if (channel->payload == PAYLOAD_RAW)
		check_raw(section, stream, channel, method, shape);
	else if (method != NULL && (decimate_rows[words.method[word]].where &
	    FOR_FIELDS) == 0)
		problem_error(section->problems, method->place,
		    "`method: %s' needs `format: raw' and `samples'",
		    method->text);
}

/* The time by which `clock: field' goes has to be one. */
static void
check_clock(struct section *section, const struct node *node,
    const struct channel_conf *channel)
{
	const struct datum_program *program = channel->program;

	if (channel->payload == PAYLOAD_RAW)
		problem_error(section->problems, node->place,
		    "`clock: field' needs `format: avro': a raw payload has "
		    "no time field");
	else if (program != NULL && (program->time_field == DATUM_NONE ||
	    program->time_unit_ns == 0))
		problem_error(section->problems, node->place,
		    "`clock: field' needs a time field whose logical type is "
		    "a timestamp");
}

static void
read_window(struct section *section, struct stream_conf *stream,
    const struct channel_conf *channel, bool whole)
{
	const struct node *every, *interval, *clock;
	bool by_time, by_count;

	stream->every = section_number(section, &every_key, &every);
	stream->interval_ns = section_number(section, &interval_key,
	    &interval);
	by_time = section_get(section, "interval") != NULL;
	by_count = section_get(section, "every") != NULL;
	if (every != NULL && interval != NULL)
		problem_error(section->problems, interval->place,
		    "a window is either `every' so many datums or by "
		    "`interval', not both");
	else if (!by_count && !by_time)
		section_missing(section, "every");
	if (whole && channel->samples.channels > 0 && interval != NULL)
		problem_error(section->problems, interval->place,
		    "a channel with `samples' has no windows by `interval': "
		    "use `every'");
	if (whole && decimate_yields(stream->method, YIELD_FILTERED) &&
	    stream->every * channel->samples.channels > SAMPLE_FIR_MAX)
		problem_error(section->problems, section_place(section),
		    "`method: %s' needs an `every' of at most %u divided by "
		    "the channels of the samples",
		    decimate_rows[stream->method].name, SAMPLE_FIR_MAX);
	stream->clock = (enum stream_clock)section_word(section, "clock",
	    clock_words, CLOCK_RECEIVE, &clock);
	if (clock != NULL && !by_time)
		problem_error(section->problems, clock->place,
		    "`clock' is for windows by `interval'");
	else if (whole && clock != NULL && stream->clock == CLOCK_FIELD)
		check_clock(section, clock, channel);
}

static void
read_pack(struct section *section, struct stream_conf *stream,
    const struct channel_conf *channel, bool whole)
{
	const struct node *node = section_get(section, "pack");

	stream->pack = section_bool(section, "pack", false);
	if (whole && stream->pack && channel->payload == PAYLOAD_RAW)
		problem_error(section->problems, node->place,
		    "`pack' needs `format: avro': nobody could tell raw "
		    "payloads apart again");
}

/* A channel of its own will store it, like and beside the channel's. */
static void
read_archive(struct section *section, struct stream_conf *stream,
    const struct channel_conf *channel, bool whole)
{
	const struct node *node = section_get(section, "archive");
	char name[CHANNEL_NAME_MAX + 1];

	stream->archive = section_bool(section, "archive", false);
	if (!whole || !stream->archive)
		return;
	if (!channel->archive.enabled)
		problem_error(section->problems, node->place,
		    "`archive: true' needs an `archive' of channel `%s', "
		    "which says where and how", channel->name);
	if (strcmp(stream->name, "rejected") == 0)
		problem_error(section->problems, node->place,
		    "the files of a stream `rejected' would have the names "
		    "of those of rejected datagrams");
	if (!conf_stream_archive_name(name, channel->name, stream->name))
		problem_error(section->problems, node->place,
		    "the names of channel and stream together are too long "
		    "for an archive's: more than %u characters",
		    CHANNEL_NAME_MAX - 1);
}

static void
read_stream(struct section *section, struct stream_conf *stream,
    const struct channel_conf *channel, bool whole, struct place *name,
    struct output_places *places)
{
	*name = section_place(section);
	(void)conf_read_name(section, stream->name, name);
	read_method(section, stream, channel, whole);
	read_window(section, stream, channel, whole);
	conf_read_plan(section, stream, channel, whole);
	read_pack(section, stream, channel, whole);
	read_archive(section, stream, channel, whole);
	conf_read_destination(section, &stream->to, places);
}

void
conf_read_decimate(struct section *channel, struct channel_conf *to,
    struct channel_places *places)
{
	const struct node *list, *item;
	struct section section;
	size_t n;

	list = section_list(channel, "decimate", STREAMS_MAX);
	if (list == NULL)
		return;
	to->decimate = xcalloc(list->children + 1, sizeof(*to->decimate));
	for (item = list->first; item != NULL; item = item->next) {
		if (!section_item(channel, "decimate", item, &section))
			continue;
		n = to->decimates++;
		read_stream(&section, &to->decimate[n], to,
		    !channel->partial, &places->stream_name[n],
		    &places->stream[n]);
		section_close(&section);
	}
}
