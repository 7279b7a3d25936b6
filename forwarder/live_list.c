/* SPDX-License-Identifier: ISC */
/*
 * Which streams there are to be shown.  mcrelay-forwarder.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "forwarder/live.h"
#include "schema/schema.h"

static void
read_schema(struct live_schema *schema, const json_t *item)
{
	const char *text = json_string_value(item);
	struct schema_result result;

	schema->text = xstrdup(text != NULL ? text : "");
	if (schema_compile(schema->text, strlen(schema->text), NULL, &result))
		snprintf(schema->fingerprint, sizeof(schema->fingerprint),
		    "%016" PRIx64, schema_fingerprint(result.canonical));
	schema_result_free(&result);
}

static int
compare(const void *a, const void *b)
{
	const struct live_stream *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

static void
read_stream(struct live_list *list, const json_t *item, const char *host)
{
	const char *channel = json_string_value(json_object_get(item,
	    "channel"));
	const char *name = json_string_value(json_object_get(item, "stream"));
	size_t schema = (size_t)json_integer_value(json_object_get(item,
	    "schema"));

	if (channel == NULL || name == NULL || schema >= list->schemas)
		return;
	list->stream[list->streams++] = (struct live_stream){
		.key = (uint64_t)json_integer_value(json_object_get(item,
		    "key")),
		.channel = xstrdup(channel),
		.stream = xstrdup(name),
		.subject = xasprintf("mcrelay.live.%s.%s.%s", host, channel,
		    name),
		.schema = schema,
	};
}

void
live_list_read(struct live_list *list, const json_t *document,
    const char *host)
{
	const json_t *streams = json_object_get(document, "streams"), *item;
	const json_t *schemas = json_object_get(document, "schemas");
	size_t i;

	*list = (struct live_list){
		.stream = xcalloc(json_array_size(streams) + 1,
		    sizeof(*list->stream)),
		.schema = xcalloc(json_array_size(schemas) + 1,
		    sizeof(*list->schema)),
	};
	json_array_foreach(schemas, i, item)
		read_schema(&list->schema[list->schemas++], item);
	json_array_foreach(streams, i, item)
		read_stream(list, item, host);
	if (list->streams > 0)
		qsort(list->stream, list->streams, sizeof(*list->stream),
		    compare);
}

void
live_list_free(struct live_list *list)
{
	size_t i;

	for (i = 0; i < list->streams; i++) {
		free(list->stream[i].channel);
		free(list->stream[i].stream);
		free(list->stream[i].subject);
	}
	for (i = 0; i < list->schemas; i++)
		free(list->schema[i].text);
	free(list->stream);
	free(list->schema);
	*list = (struct live_list){.streams = 0};
}

struct live_stream *
live_list_find(const struct live_list *list, uint64_t key)
{
	const struct live_stream wanted = {.key = key};

	return list->streams == 0 ? NULL : bsearch(&wanted, list->stream,
	    list->streams, sizeof(wanted), compare);
}
