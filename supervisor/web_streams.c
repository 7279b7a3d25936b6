/* SPDX-License-Identifier: ISC */
/*
 * What mcrelay-web and mcrelay-forwarder are told of the decimated streams, so
 * that they can read what decimators show them.  Supervisor only.
 *
 * Many streams have one schema, whose text is given once: `schema' and `names'
 * are places in `schemas'.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/live.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/memory_file.h"
#include "supervisor/supervisor.h"
#include "supervisor/web.h"

/* Texts of all schemas together; web/streams.c does not take many more. */
#define SCHEMAS_MAX	((size_t)4 * 1024 * 1024)

/* Texts, and where they are. */
struct schemas {
	json_t	*place;		/* of each text */
	json_t	*list;
	size_t	 size;
};

/* -1: there are too many. */
static json_int_t
place_of(struct schemas *schemas, const char *text)
{
	json_t *place = json_object_get(schemas->place, text);

	if (place != NULL)
		return json_integer_value(place);
	if (strlen(text) > SCHEMAS_MAX - schemas->size)
		return -1;
	schemas->size += strlen(text);
	place = json_integer((json_int_t)json_array_size(schemas->list));
	json_object_set_new(schemas->place, text, place);
	json_array_append_new(schemas->list, json_string(text));
	return json_integer_value(place);
}

/* NULL: its schema is one too many. */
static json_t *
stream_json(const struct channel *channel, const struct stream_conf *conf,
    struct schemas *schemas)
{
	const char *text = channel->conf->schema_text;
	bool summary = decimate_yields((enum decimate_method)conf->method,
	    YIELD_SUMMARY);
	uint64_t key = live_key(channel->slot_id[channel_slot(channel,
	    conf->name)], summary, channel->conf->program, conf->plan);
	json_int_t names = place_of(schemas, text);
	json_int_t schema = conf->schema_text == NULL ? names :
	    place_of(schemas, conf->schema_text);

	if (names == -1 || schema == -1)
		return NULL;
	return json_pack("{s:I, s:s, s:s, s:b, s:I, s:I, s:I, s:I}",
	    "key", (json_int_t)key, "channel", channel->name,
	    "stream", conf->name, "summary", (int)summary,
	    "interval_ns", (json_int_t)conf->interval_ns,
	    "every", (json_int_t)conf->every, "schema", schema,
	    "names", names);
}

/* Returns how many are left out. */
static size_t
add_streams(json_t *list, const struct channel *channel,
    struct schemas *schemas)
{
	const struct channel_conf *conf = channel->conf;
	size_t i, left_out = 0;
	json_t *stream;

	for (i = 0; i < conf->decimates && conf->program != NULL; i++) {
		if (channel_slot(channel, conf->decimate[i].name) >=
		    STREAMS_MAX)
			continue;
		stream = stream_json(channel, &conf->decimate[i], schemas);
		if (stream != NULL)
			json_array_append_new(list, stream);
		else
			left_out++;
	}
	return left_out;
}

int
web_streams_file(const struct supervisor *supervisor)
{
	struct schemas schemas = {json_object(), json_array(), 0};
	json_t *list = json_array(), *document;
	const struct channel *channel;
	size_t left_out = 0;
	char *text;
	int fd;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		left_out += add_streams(list, channel, &schemas);
	if (left_out > 0)
		log_warnx("the schemas of all streams take more than %zu "
		    "MiB: %zu streams are not shown", SCHEMAS_MAX >> 20,
		    left_out);
	json_decref(schemas.place);
	document = json_pack("{s:o, s:o}", "streams", list, "schemas",
	    schemas.list);
	text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	if (text == NULL)
		fatalx("out of memory");
	fd = memory_file("mcrelay-streams", text, strlen(text));
	free(text);
	return fd;
}
