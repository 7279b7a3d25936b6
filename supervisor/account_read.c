/* SPDX-License-Identifier: ISC */
/*
 * A segment's numbers, by name: what goes on with them.  See account.h.
 * Supervisor only.
 */
#include <stdio.h>
#include <string.h>

#include "common/inputs.h"
#include "common/message.h"
#include "common/util.h"
#include "supervisor/account.h"

/*** Checking. ***/

/* Numbers of an object that are there are integers. */
static bool
are_numbers(const json_t *object)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return false;
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
		if (!json_is_integer(value) && strcmp(key, "rejected_by") !=
		    0 && strcmp(key, "told") != 0 && strcmp(key, "to") != 0)
			return false;
	return true;
}

static uint64_t	get(const json_t *object, const char *name);

/* None is ahead of what was received. */
static bool
is_part(const json_t *part, uint64_t sequence)
{
	return are_numbers(part) && get(part, "sequence") <= sequence;
}

bool
account_makes_sense(const json_t *account)
{
	const json_t *outputs = json_object_get(account, "outputs");
	const json_t *archive = json_object_get(account, "archive");
	uint64_t sequence = get(account, "sequence");
	const json_t *inputs = json_object_get(account, "inputs");
	size_t i;

	if (!json_is_integer(json_object_get(account, "sequence")) ||
	    json_array_size(inputs) > INPUTS_MAX ||
	    !are_numbers(json_object_get(account, "ingest")) ||
	    !json_is_array(outputs) ||
	    !json_is_array(json_object_get(account, "streams")) ||
	    get(account, "counted_from") > sequence ||
	    get(account, "decimated") > sequence ||
	    json_array_size(outputs) > OUTPUTS_MAX)
		return false;
	for (i = 0; i < json_array_size(outputs); i++)
		if (!is_part(json_array_get(outputs, i), sequence))
			return false;
	for (i = 0; i < json_array_size(inputs); i++)
		if (!are_numbers(json_array_get(inputs, i)))
			return false;
	return archive == NULL || is_part(archive, sequence);
}

/*** Taking over. ***/

static uint64_t
get(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

#define GET_COUNTER(name, kind, unit, catalogued, meaning)		\
	counts->name = get(object, #name);

static void
get_ingest(const json_t *object, struct ingest_counts *counts)
{
	INGEST_COUNTERS(GET_COUNTER)
}

static void
get_input(const json_t *object, struct input_state *state)
{
	struct input_counts *counts = &state->counts;

	INPUT_COUNTERS(GET_COUNTER)
	state->last_received_ns = get(object, "last_received_ns");
}

/* What the account says of an input of this name; NULL: nothing. */
static const json_t *
find_input(const json_t *inputs, const struct listen_config *listen)
{
	const char *to;
	char text[INPUT_TEXT_SIZE];
	json_t *each;
	size_t i;

	(void)inputs_text(listen, text);
	json_array_foreach(inputs, i, each) {
		to = json_string_value(json_object_get(each, "to"));
		if (to != NULL && strcmp(to, text) == 0)
			return each;
	}
	return NULL;
}

/* Of an older version, what its one input has counted is what came at all. */
static void
get_inputs(const struct segment *fresh, struct ingest_state *ingest,
    const json_t *account, const int *was, bool same)
{
	const json_t *inputs = json_object_get(account, "inputs"), *each;
	struct input_state *input = inputs_of(fresh, ingest);
	uint32_t i;
	int old;

	for (i = 0; i < fresh->inputs; i++, input++) {
		memset(input, 0, sizeof(*input));
		old = was != NULL ? was[i] : (int)i;
		each = find_input(inputs, &fresh->input[i]);
		if (inputs == NULL && (old == 0 || fresh->inputs == 1))
			each = json_object_get(account, "ingest");
		if (each != NULL && same)
			get_input(each, input);
		if (inputs == NULL && old == 0) {
			input->drops_seen = (uint32_t)get(account,
			    "drops_seen");
			input->last_received_ns = get(account,
			    "last_received_ns");
		} else if (old >= 0)
			input->drops_seen = (uint32_t)get(json_array_get(
			    inputs, (size_t)old), "drops_seen");
	}
}

static void
get_output(const json_t *object, struct output_state *state, bool final)
{
	struct output_counts *counts = &state->counts;
	uint64_t lost = state->sequence - get(object, "sequence");

	OUTPUT_COUNTERS(GET_COUNTER)
	if (final) {
		counts->relay_errors += lost;
		counts->relay_overrun += lost;
	}
}

static void
get_ledger(const json_t *object, struct ledger *counts)
{
	LEDGER_COUNTERS(GET_COUNTER)
}

/* How much was lost. */
static uint64_t
get_archive(const json_t *object, struct archive_state *state, bool final)
{
	const json_t *by = json_object_get(object, "rejected_by");
	const json_t *told = json_object_get(object, "told");
	struct archive_counts *counts = &state->counts;
	uint64_t lost = state->sequence - get(object, "sequence");
	size_t i;

	ARCHIVE_COUNTERS(GET_COUNTER)
	for (i = 0; i < DATUM_ERRORS; i++)
		counts->rejected_by[i] = (uint64_t)json_integer_value(
		    json_array_get(by, i));
	for (i = 0; i < ARCHIVE_KINDS; i++)
		get_ledger(json_array_get(told, i), &state->told[i]);
	if (!final) {
		state->sequence -= lost;
		return 0;
	}
	counts->archive_shed += lost;
	return lost;
}

static void
get_stream(const json_t *object, struct page_stream *stream)
{
	struct stream_counts *counts = &stream->counts;

	stream->id = get(object, "id");
	STREAM_COUNTERS(GET_COUNTER)
}

/* As for any new configuration: counters go on with the same outputs and the
 * same archive. */
static bool
same_parts(const struct channel_config *config, const json_t *account)
{
	return json_array_size(json_object_get(account, "outputs")) ==
	    config->outputs && (json_object_get(account, "archive") != NULL) ==
	    (config->archive.enabled != 0);
}

static uint64_t
apply_parts(struct worker_state *state, const struct channel_config *config,
    const json_t *account, bool final)
{
	const json_t *outputs = json_object_get(account, "outputs");
	uint64_t sequence = get(account, "sequence"), lost = 0;
	bool same = same_parts(config, account);
	struct output_state *output;
	struct archive_state *archive;
	uint32_t i;

	for (i = 0; i < config->outputs; i++) {
		output = output_begin(&state->output[i]);
		output->sequence = sequence;
		if (same)
			get_output(json_array_get(outputs, i), output, final);
		output_commit(&state->output[i]);
	}
	archive = archive_begin(&state->archive);
	archive->sequence = sequence;
	if (same && config->archive.enabled)
		lost = get_archive(json_object_get(account, "archive"),
		    archive, final);
	archive_commit(&state->archive);
	return lost;
}

uint64_t
account_apply(const struct segment *fresh, const json_t *account,
    const int was[INPUTS_MAX], bool final)
{
	struct channel_config *config = (void *)(uintptr_t)fresh->config;
	struct worker_state *state = fresh->state;
	struct ingest_state *ingest = inputs_begin(fresh);
	uint64_t sequence = get(account, "sequence");
	bool same = same_parts(config, account);

	ingest->sequence = sequence;
	get_inputs(fresh, ingest, account, was, same);
	/* Of a channel that ends: whether all was stored. */
	atomic_store_explicit(&state->drained,
	    final ? (uint32_t)get(account, "drained") : 0,
	    memory_order_relaxed);
	ingest->last_received_ns = get(account, "last_received_ns");
	config->counted_from = same ? get(account, "counted_from") : sequence;
	if (same)
		get_ingest(json_object_get(account, "ingest"),
		    &ingest->counts);
	/* A worker died at these, and nobody can have them any more. */
	if (final)
		ingest->counts.kernel_dropped += get(account, "abandoned");
	ingest_commit(&state->ingest);
	return apply_parts(state, config, account, final);
}

bool
account_speaks(const json_t *account)
{
	return get(account, "message_size") == sizeof(struct message);
}

size_t
account_outputs(const json_t *account, bool *archive)
{
	*archive = json_object_get(account, "archive") != NULL;
	return json_array_size(json_object_get(account, "outputs"));
}

size_t
account_inputs(const json_t *account)
{
	const json_t *inputs = json_object_get(account, "inputs");

	return MAX_OF(json_array_size(inputs), (size_t)1);
}

bool
account_left(const json_t *account)
{
	const json_t *outputs = json_object_get(account, "outputs");
	const json_t *archive = json_object_get(account, "archive");
	uint64_t sequence = get(account, "sequence");
	size_t i;

	for (i = 0; i < json_array_size(outputs); i++)
		if (get(json_array_get(outputs, i), "sequence") < sequence)
			return true;
	return get(account, "abandoned") > 0 || (archive != NULL &&
	    get(archive, "sequence") < sequence);
}

bool
account_drained(const json_t *account)
{
	return get(account, "drained") != 0;
}

uint32_t
account_paused(const json_t *account)
{
	return (uint32_t)get(account, "paused") &
	    (RING_NO_ARCHIVE | RING_NO_RELAY);
}

void
account_apply_page(const struct segment *fresh, const json_t *account)
{
	const json_t *streams = json_object_get(account, "streams");
	struct decimated_state *to;
	size_t i;

	to = decimated_begin(&fresh->page->progress);
	for (i = 0; i < STREAMS_MAX; i++)
		get_stream(json_array_get(streams, i), &to->stream[i]);
	if (json_is_true(json_object_get(account, "decimating"))) {
		to->sequence = MAX_OF(get(account, "decimated"),
		    fresh->config->counted_from);
		to->position = ring_start(fresh->ring.size);
	}
	decimated_commit(&fresh->page->progress);
}

void
account_slots(const json_t *account,
    char slot[static STREAMS_MAX][CHANNEL_NAME_MAX + 1],
    uint64_t slot_id[static STREAMS_MAX])
{
	const json_t *streams = json_object_get(account, "streams"), *stream;
	const char *name;
	size_t i;

	for (i = 0; i < STREAMS_MAX; i++) {
		stream = json_array_get(streams, i);
		name = json_string_value(json_object_get(stream, "name"));
		snprintf(slot[i], CHANNEL_NAME_MAX + 1, "%s",
		    name != NULL ? name : "");
		slot_id[i] = get(stream, "id");
	}
}
