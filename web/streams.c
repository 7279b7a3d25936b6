/* SPDX-License-Identifier: ISC */
/*
 * The decimated streams.  mcrelay-web only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/live.h"
#include "common/log.h"
#include "common/util.h"
#include "web/streams.h"

/* A datum's number: the round in which it came, its stream, and which of the
 * stream's in that round it is.  So what came of a stream at once is
 * together. */
#define ROUND_SHIFT	32U
#define STREAM_SHIFT	16U
#define PLACE_MAX	UINT64_C(0xffff)

static struct {
	struct stream	**list;		/* by their keys */
	size_t		  count;
	struct layout	**layout;
	size_t		  layouts;
	json_t		 *document;	/* as it came; NULL: none did */
	size_t		  share;	/* of a history, bytes */
	uint32_t	  next_id;
	uint64_t	  round;
	struct streams_counts counts;
} streams = {.round = 1};

/*** What there is. ***/

static int
compare(const void *a, const void *b)
{
	const struct stream *const *left = a, *const *right = b;

	return ((*left)->key > (*right)->key) - ((*left)->key < (*right)->key);
}

static struct stream *
find_key(struct stream **list, size_t count, uint64_t key)
{
	struct stream wanted = {.key = key}, *pointer = &wanted, **found;

	found = count == 0 ? NULL : bsearch(&pointer, list, count,
	    sizeof(*list), compare);
	return found != NULL ? *found : NULL;
}

struct stream *
streams_find(const char *name)
{
	size_t i;

	for (i = 0; i < streams.count; i++)
		if (strcmp(streams.list[i]->name, name) == 0)
			return streams.list[i];
	return NULL;
}

bool
streams_known(void)
{
	return streams.document != NULL;
}

static void
free_stream(struct stream *stream)
{
	history_free(&stream->history);
	free(stream);
}

/*** What the supervisor says. ***/

/* Layouts of a document in the making: of each schema those that differ in what
 * its fields are called by, or in their shape.  Mostly one or two. */
struct layouts {
	struct layout	**all;
	size_t		 *next;		/* of the same schema, 1 + place in
					 * `all'; 0: no more */
	size_t		  count;
	size_t		 *first;	/* of each schema, likewise */
};

static struct layout *
layout_of(struct layouts *layouts, size_t place, json_t *schema,
    json_t *names, bool summary)
{
	size_t *first = &layouts->first[place], i;

	for (i = *first; i > 0; i = layouts->next[i - 1])
		if (layout_is(layouts->all[i - 1], schema, names, summary))
			return layouts->all[i - 1];
	layouts->all = xgrow(layouts->all, layouts->count,
	    sizeof(struct layout *));
	layouts->next = xgrow(layouts->next, layouts->count, sizeof(size_t));
	layouts->all[layouts->count] = layout_new(schema, names, summary);
	layouts->next[layouts->count++] = *first;
	*first = layouts->count;
	return layouts->all[layouts->count - 1];
}

static uint64_t
count_of(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

/* One of before goes on with its history.  NULL: it makes no sense. */
static struct stream *
read_stream(const json_t *object, const json_t *schemas,
    struct layouts *layouts)
{
	size_t place = (size_t)count_of(object, "schema");
	json_t *schema = json_array_get(schemas, place);
	json_t *names = json_array_get(schemas, (size_t)count_of(object,
	    "names"));
	uint64_t key = count_of(object, "key");
	struct stream *stream = find_key(streams.list, streams.count, key);

	if (!json_is_string(schema) || !json_is_string(names))
		return NULL;
	if (stream == NULL) {
		stream = xcalloc(1, sizeof(*stream));
		stream->key = key;
		stream->id = ++streams.next_id;
	}
	snprintf(stream->name, sizeof(stream->name), "%s/%s",
	    text_of(object, "channel"), text_of(object, "stream"));
	stream->summary = json_is_true(json_object_get(object, "summary"));
	stream->interval_ns = count_of(object, "interval_ns");
	stream->every = count_of(object, "every");
	stream->layout = layout_of(layouts, place, schema, names,
	    stream->summary);
	return stream;
}

/* Each key once: of two the first. */
static size_t
sort(struct stream **list, size_t count)
{
	size_t i, kept = 0;

	if (count > 0)
		qsort(list, count, sizeof(*list), compare);
	for (i = 0; i < count; i++)
		if (kept == 0 || list[kept - 1]->key != list[i]->key)
			list[kept++] = list[i];
		else if (list[kept - 1] != list[i])
			free_stream(list[i]);
	return kept;
}

/* The new list is in force. */
static void
replace(struct stream **list, size_t count, const struct layouts *layouts)
{
	struct stream **before = streams.list;
	size_t had = streams.count, i;

	for (i = 0; i < had; i++)
		if (find_key(list, count, before[i]->key) == NULL)
			free_stream(before[i]);
	free(before);
	for (i = 0; i < streams.layouts; i++)
		layout_free(streams.layout[i]);
	free(streams.layout);
	streams.list = list;
	streams.count = count;
	streams.layout = layouts->all;
	streams.layouts = layouts->count;
	streams.share = history_share(MAX_OF(count, (size_t)1));
	for (i = 0; i < count; i++)
		history_fit(&list[i]->history, streams.share);
}

bool
streams_load(const json_t *document)
{
	const json_t *all = json_object_get(document, "streams");
	const json_t *schemas = json_object_get(document, "schemas");
	struct layouts layouts = {NULL, NULL, 0, NULL};
	struct stream **list, *stream;
	size_t count = 0, i;

	if (document == NULL || json_equal(document, streams.document))
		return false;
	list = xcalloc(json_array_size(all) + 1, sizeof(struct stream *));
	layouts.first = xcalloc(json_array_size(schemas) + 1, sizeof(size_t));
	for (i = 0; i < json_array_size(all); i++) {
		stream = read_stream(json_array_get(all, i), schemas,
		    &layouts);
		if (stream != NULL)
			list[count++] = stream;
	}
	free(layouts.first);
	free(layouts.next);
	replace(list, sort(list, count), &layouts);
	json_decref(streams.document);
	streams.document = json_incref((json_t *)(uintptr_t)document);
	return true;
}

static json_t *
stream_json(const struct stream *stream)
{
	const char *slash = strchr(stream->name, '/');
	json_t *object;
	size_t layout = 0;

	while (streams.layout[layout] != stream->layout)
		layout++;
	object = json_pack("{s:I, s:s%, s:s, s:s, s:I}",
	    "id", (json_int_t)stream->id, "channel", stream->name,
	    (size_t)(slash - stream->name), "stream", slash + 1,
	    "shape", stream->summary ? "summary" : "same",
	    "layout", (json_int_t)layout);

	json_object_set_new(object, "interval_s", stream->interval_ns == 0 ?
	    json_null() : json_real((double)stream->interval_ns /
	    (double)NS_PER_S));
	json_object_set_new(object, "every", stream->interval_ns != 0 ?
	    json_null() : json_integer((json_int_t)stream->every));
	return object;
}

static json_t *
layouts_json(void)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < streams.layouts; i++)
		json_array_append_new(list, json_pack("{s:o, s:o}",
		    "doc", layout_doc(streams.layout[i]),
		    "fields", layout_fields(streams.layout[i])));
	return list;
}

/* In the order of the configuration.  Many may have one schema, which is said
 * once. */
json_t *
streams_json(void)
{
	const json_t *all = json_object_get(streams.document, "streams");
	const struct stream *stream;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < json_array_size(all); i++) {
		stream = find_key(streams.list, streams.count,
		    count_of(json_array_get(all, i), "key"));
		if (stream != NULL)
			json_array_append_new(list, stream_json(stream));
	}
	return json_pack("{s:o, s:o}", "layouts", layouts_json(),
	    "streams", list);
}

/*** What decimators show. ***/

static uint64_t
next_number(struct stream *stream)
{
	uint64_t first = streams.round << ROUND_SHIFT |
	    (uint64_t)(uint16_t)stream->id << STREAM_SHIFT;

	/* There cannot be as many in a round as there are places. */
	stream->number = stream->number < first ? first :
	    MIN_OF(stream->number + 1, first | PLACE_MAX);
	return stream->number;
}

static void
take(const struct live_record *record, const uint8_t *data)
{
	struct stream *stream = find_key(streams.list, streams.count,
	    record->key);
	struct history_entry entry = {
		.time_ns	= record->time_ns,
		.missed		= record->missed,
		.lost		= record->lost,
		.size		= record->size,
	};

	if (stream == NULL) {
		streams.counts.unknown++;
		return;
	}
	if (!layout_good(stream->layout, data, record->size)) {
		streams.counts.bad_datums++;
		return;
	}
	entry.number = next_number(stream);
	if (history_add(&stream->history, streams.share, &entry, data))
		streams.counts.datums++;
	else
		streams.counts.no_room++;
}

void
streams_packet(const void *data, size_t size)
{
	static struct log_limit limit;
	uint64_t bad = streams.counts.bad_packets + streams.counts.bad_datums;
	struct live_packet packet;
	struct live_record record;
	const uint8_t *bytes;

	(void)live_open(&packet, data, size);
	while (live_next(&packet, &record, &bytes))
		take(&record, bytes);
	streams.counts.bad_packets += packet.bad;
	if (streams.counts.bad_packets + streams.counts.bad_datums != bad)
		log_limited(&limit, "a decimator shows what makes no sense: "
		    "so far %" PRIu64 " packets and %" PRIu64 " datums were "
		    "left out", streams.counts.bad_packets,
		    streams.counts.bad_datums);
}

void
streams_next(void)
{
	streams.round++;
}

uint64_t
streams_rounds_ago(uint64_t rounds)
{
	return (streams.round - MIN_OF(rounds, streams.round)) <<
	    ROUND_SHIFT;
}

const struct streams_counts *
streams_count(void)
{
	return &streams.counts;
}

void
streams_end(void)
{
	const struct layouts none = {.count = 0};

	replace(NULL, 0, &none);
	json_decref(streams.document);
	streams.document = NULL;
}
