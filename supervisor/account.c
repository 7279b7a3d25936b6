/* SPDX-License-Identifier: ISC */
/*
 * A segment's numbers, by name: what says them.  See account.h.  The segment
 * may hold anything: each word is copied once and bounded.
 */
#include <string.h>

#include "common/inputs.h"
#include "common/message.h"
#include "common/util.h"
#include "supervisor/account.h"

static json_t *
number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static void
put(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, number(value));
}

#define PUT_COUNTER(name, kind, unit, catalogued, meaning)		\
	put(object, #name, counts->name);

static json_t *
ingest_json(const struct ingest_counts *counts)
{
	json_t *object = json_object();

	INGEST_COUNTERS(PUT_COUNTER)
	return object;
}

/* In the order of its sockets. */
static json_t *
inputs_json(const struct segment *segment, const struct input_state *state)
{
	const struct input_counts *counts;
	char text[INPUT_TEXT_SIZE];
	json_t *array = json_array(), *object;
	uint32_t i;

	for (i = 0; i < segment->inputs; i++) {
		counts = &state[i].counts;
		object = json_object();
		INPUT_COUNTERS(PUT_COUNTER)
		(void)inputs_text(&segment->input[i], text);
		json_object_set_new(object, "to", json_string(text));
		put(object, "last_received_ns", state[i].last_received_ns);
		put(object, "drops_seen", state[i].drops_seen);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *
output_json(const struct output_state *state)
{
	const struct output_counts *counts = &state->counts;
	json_t *object = json_object();

	OUTPUT_COUNTERS(PUT_COUNTER)
	put(object, "sequence", state->sequence);
	return object;
}

static json_t *
ledger_json(const struct ledger *counts)
{
	json_t *object = json_object();

	LEDGER_COUNTERS(PUT_COUNTER)
	return object;
}

static json_t *
archive_json(const struct archive_state *state)
{
	const struct archive_counts *counts = &state->counts;
	json_t *object = json_object(), *by = json_array();
	json_t *told = json_array();
	unsigned i;

	ARCHIVE_COUNTERS(PUT_COUNTER)
	put(object, "sequence", state->sequence);
	for (i = 0; i < DATUM_ERRORS; i++)
		json_array_append_new(by, number(counts->rejected_by[i]));
	json_object_set_new(object, "rejected_by", by);
	for (i = 0; i < ARCHIVE_KINDS; i++)
		json_array_append_new(told, ledger_json(&state->told[i]));
	json_object_set_new(object, "told", told);
	return object;
}

static json_t *
stream_json(const char *slot, uint64_t id, const struct stream_counts *counts)
{
	json_t *object = json_object();
	char name[CHANNEL_NAME_MAX + 1];

	STREAM_COUNTERS(PUT_COUNTER)
	memcpy(name, slot, sizeof(name));
	name[CHANNEL_NAME_MAX] = '\0';
	/* What is no text is left out. */
	json_object_set_new(object, "name", json_string(name));
	put(object, "id", id);
	return object;
}

static bool
put_streams(json_t *object, const struct segment *segment)
{
	const struct decimator_page *page = segment->page;
	const struct channel_config *config = segment->config;
	uint64_t generation = atomic_load_explicit(
	    &page->progress.generation, memory_order_acquire);
	json_t *streams = json_array();
	struct stream_counts counts;
	struct decimated_state progress;
	struct sent_state sent;
	unsigned i;

	json_object_set_new(object, "streams", streams);
	if (!decimated_read(&page->progress, &progress))
		return false;
	for (i = 0; i < STREAMS_MAX; i++) {
		if (!sent_read(&page->sent[i], &sent))
			return false;
		memset(&counts, 0, sizeof(counts));
		(void)sent_latest_counts(&progress.stream[i], generation,
		    &sent, config->slot_id[i], &counts);
		json_array_append_new(streams, stream_json(config->slot[i],
		    config->slot_id[i], &counts));
	}
	json_object_set_new(object, "decimating",
	    json_boolean(progress.position != 0));
	put(object, "decimated", progress.sequence);
	return true;
}

/* Lines of files that no supervisor has read. */
static void
put_finished(json_t *object, const struct finished *finished)
{
	uint64_t count = finished_count(finished), at;
	uint64_t read = atomic_load_explicit(&finished->read,
	    memory_order_relaxed);
	json_t *lines = json_array();
	char line[FINISHED_LINE_SIZE];

	at = count - MIN_OF(count, (uint64_t)FINISHED_LINES - 1);
	for (at = MAX_OF(at, read); at < count; at++)
		if (finished_copy(finished, at, line))
			json_array_append_new(lines, json_string(line));
	json_object_set_new(object, "finished", lines);
}

static bool
put_worker(json_t *object, const struct segment *segment)
{
	const struct worker_state *state = segment->state;
	const struct channel_config *config = segment->config;
	json_t *outputs = json_array();
	struct ingest_state ingest;
	struct input_state inputs[INPUTS_MAX];
	struct output_state output;
	struct archive_state archive;
	uint32_t i;

	json_object_set_new(object, "outputs", outputs);
	if (!archive_read(&state->archive, &archive))
		return false;
	for (i = 0; i < MIN_OF(config->outputs, (uint32_t)OUTPUTS_MAX); i++) {
		if (!output_read(&state->output[i], &output))
			return false;
		json_array_append_new(outputs, output_json(&output));
	}
	if (!ingest_read(&state->ingest, &ingest) ||
	    !inputs_read(segment, inputs))
		return false;
	if (config->archive.enabled)
		json_object_set_new(object, "archive", archive_json(&archive));
	json_object_set_new(object, "ingest", ingest_json(&ingest.counts));
	put(object, "sequence", ingest.sequence);
	put(object, "last_received_ns", ingest.last_received_ns);
	put(object, "drops_seen", inputs[0].drops_seen);
	json_object_set_new(object, "inputs", inputs_json(segment, inputs));
	put(object, "counted_from", config->counted_from);
	put(object, "message_size", sizeof(struct message));
	put(object, "drained", atomic_load_explicit(&state->drained,
	    memory_order_acquire));
	put(object, "paused", atomic_load_explicit(&state->paused,
	    memory_order_relaxed));
	put(object, "abandoned", segment_abandoned(segment, ingest.batch));
	put_finished(object, &state->finished);
	return true;
}

json_t *
account_of(const struct segment *segment)
{
	json_t *object = json_object();

	/* Who takes what is there before who puts it there. */
	if (put_streams(object, segment) && put_worker(object, segment))
		return object;
	json_decref(object);
	return NULL;
}
