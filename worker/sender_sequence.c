/* SPDX-License-Identifier: ISC */
/*
 * The sender's own numbering.  Worker, relay thread only.  Must not allocate,
 * and must not believe a number: they come from the network.
 */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "common/util.h"
#include "worker/sender_sequence.h"

/* Bits of the numbers; 0 where the program's field says. */
static const unsigned	type_bits[SENDER_SEQUENCE_TYPES] = {
	[SENDER_SEQUENCE_U8] = 8,
	[SENDER_SEQUENCE_U16LE] = 16,
	[SENDER_SEQUENCE_U16BE] = 16,
	[SENDER_SEQUENCE_U32LE] = 32,
	[SENDER_SEQUENCE_U32BE] = 32,
	[SENDER_SEQUENCE_U64LE] = 64,
	[SENDER_SEQUENCE_U64BE] = 64,
};

void
sender_sequence_init(struct sender_sequence *sequence,
    const struct segment *segment,
    const struct datum_program *program)
{
	const struct sender_sequence_config *config =
	    &segment->config->sender_sequence;
	const struct datum_field *field;

	memset(sequence, 0, sizeof(*sequence));
	sequence->segment = segment;
	sequence->program = program;
	sequence->type = config->type;
	sequence->at = config->at;
	assert(config->type < SENDER_SEQUENCE_TYPES);
	sequence->bits = type_bits[config->type];
	if (config->type == SENDER_SEQUENCE_FIELD) {
		assert(program != NULL && config->at < program->fields);
		field = &datum_fields(program)[config->at];
		sequence->bits = field->type == DATUM_INT ? 32 : 64;
	}
}

void
sender_sequence_begin(struct sender_sequence *sequence,
    struct ingest_state *state)
{
	struct worker_state *shared = sequence->segment->state;
	uint32_t from = state->sources_copy & 1;

	if (LIKELY(sequence->type == SENDER_SEQUENCE_NONE))
		return;
	sequence->source = shared->source[from ^ 1];
	memcpy(sequence->source, shared->source[from],
	    sizeof(shared->source[from]));
	state->sources_copy = from ^ 1;
}

/*** One source. ***/

/* Bit i of the window is number highest - i. */
static bool
window_test(const struct sender *s, unsigned i)
{
	return (s->window[i / 64] >> (i % 64) & 1) != 0;
}

static void
window_set(struct sender *s, unsigned i)
{
	s->window[i / 64] |= UINT64_C(1) << (i % 64);
}

static void
window_shift(struct sender *s, uint64_t count)
{
	if (count >= SENDER_WINDOW) {
		s->window[1] = s->window[0] = 0;
	} else if (count >= 64) {
		s->window[1] = s->window[0] << (count - 64);
		s->window[0] = 0;
	} else {
		s->window[1] = s->window[1] << count |
		    s->window[0] >> (64 - count);
		s->window[0] <<= count;
	}
}

static void
begin(struct sender *s, uint64_t number)
{
	s->highest = number;
	s->window[0] = 1;
	s->window[1] = 0;
	s->counted = 1;
	s->doubted = 0;
}

static void
ahead(struct sender *s, uint64_t number, uint64_t distance,
    struct ingest_state *state)
{
	state->counts.sequence_gaps += distance - 1;
	window_shift(s, distance);
	window_set(s, 0);
	s->highest = number;
	s->counted = (uint32_t)MIN_OF(s->counted + distance,
	    (uint64_t)SENDER_WINDOW);
	s->doubted = 0;
}

static void
behind(struct sender *s, unsigned distance,
    struct ingest_state *state)
{
	s->doubted = 0;
	if (window_test(s, distance)) {
		state->counts.sequence_repeats++;
		return;
	}
	window_set(s, distance);
	state->counts.sequence_reordered++;
	if (distance < s->counted)
		state->counts.sequence_gaps--;
}

/* Neither a loss nor a delay that we can tell: perhaps a new beginning. */
static void
elsewhere(struct sender *s, uint64_t number, uint64_t mask,
    struct ingest_state *state)
{
	if (s->doubted != 0 && number == ((s->doubt + 1) & mask)) {
		begin(s, s->doubt);
		ahead(s, number, 1, state);
		state->counts.sequence_reordered--;
		return;
	}
	s->doubted = 1;
	s->doubt = number;
	state->counts.sequence_reordered++;
}

void
sequence_number(struct sender *source, uint64_t number,
    unsigned bits, struct ingest_state *state)
{
	uint64_t mask = UINT64_MAX >> (64 - bits);
	int64_t distance = (int64_t)((number - source->highest) <<
	    (64 - bits)) >> (64 - bits);

	number &= mask;
	if (source->counted == 0)
		begin(source, number);
	else if (distance > 0 && distance <= SENDER_SEQUENCE_LEAP)
		ahead(source, number, (uint64_t)distance, state);
	else if (distance <= 0 && distance > -SENDER_WINDOW)
		behind(source, (unsigned)-distance, state);
	else
		elsewhere(source, number, mask, state);
}

/*** Finding sources and numbers. ***/

static bool
is_source(const struct sender *s, const struct ring_record *record)
{
	return s->used != 0 && s->port == record->port &&
	    s->input == record->input && s->family == record->family &&
	    s->scope == ring_record_scope(record) &&
	    memcmp(s->address, record->address, sizeof(s->address)) == 0;
}

/* The record's source; a new one takes the place of the oldest. */
static struct sender *
find_source(struct sender_sequence *sequence, const struct ring_record *record)
{
	struct sender *source = sequence->source, *oldest = source;
	unsigned i;

	if (LIKELY(is_source(&source[sequence->recent], record)))
		return &source[sequence->recent];
	for (i = 0; i < SENDERS_MAX; i++) {
		if (is_source(&source[i], record)) {
			sequence->recent = i;
			return &source[i];
		}
		if (source[i].used < oldest->used)
			oldest = &source[i];
	}
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->address, record->address, sizeof(oldest->address));
	oldest->port = record->port;
	oldest->family = record->family;
	oldest->scope = ring_record_scope(record);
	oldest->input = record->input;
	sequence->recent = (unsigned)(oldest - source);
	return oldest;
}

static uint64_t
load(const uint8_t *p, uint32_t type)
{
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (type) {
	case SENDER_SEQUENCE_U16LE:
	case SENDER_SEQUENCE_U16BE:
		memcpy(&u16, p, sizeof(u16));
		return type == SENDER_SEQUENCE_U16LE ? le16toh(u16) :
		    be16toh(u16);
	case SENDER_SEQUENCE_U32LE:
	case SENDER_SEQUENCE_U32BE:
		memcpy(&u32, p, sizeof(u32));
		return type == SENDER_SEQUENCE_U32LE ? le32toh(u32) :
		    be32toh(u32);
	case SENDER_SEQUENCE_U64LE:
	case SENDER_SEQUENCE_U64BE:
		memcpy(&u64, p, sizeof(u64));
		return type == SENDER_SEQUENCE_U64LE ? le64toh(u64) :
		    be64toh(u64);
	default:
		return *p;
	}
}

/*
 * The numbers of a datagram's datums.  A datagram that the archive would
 * reject has none: most often it is one datum, else the rest is looked at
 * before the first counts.
 */
static void
count_datums(struct sender_sequence *sequence, struct sender *source,
    struct ingest_state *state, const uint8_t *data, size_t size)
{
	const struct datum_program *program = sequence->program;
	bool whole = false;
	uint32_t datums;
	int64_t number;
	size_t used;

	while (size > 0 && datum_number(program, sequence->at, data, size,
	    &used, &number) == DATUM_OK) {
		data += used;
		size -= used;
		if (!whole && size > 0 && datum_validate(program, data, size,
		    &datums) != DATUM_OK)
			return;
		whole = true;
		sequence_number(source, (uint64_t)number, sequence->bits,
		    state);
	}
}

static void
count_datagram(struct sender_sequence *sequence, struct sender *source,
    struct ingest_state *state, const uint8_t *data, size_t size)
{
	if (sequence->type == SENDER_SEQUENCE_FIELD)
		count_datums(sequence, source, state, data, size);
	else if (size >= sequence->at + sequence->bits / 8)
		sequence_number(source, load(data + sequence->at,
		    sequence->type), sequence->bits, state);
}

static bool
datums_of(const struct sender_sequence *sequence, const uint8_t *data,
    size_t size, uint64_t *number, uint32_t *count)
{
	uint64_t mask = UINT64_MAX >> (64 - sequence->bits);
	int64_t one;
	size_t used;

	for (*count = 0; size > 0; data += used, size -= used) {
		if (datum_number(sequence->program, sequence->at, data, size,
		    &used, &one) != DATUM_OK)
			return false;
		if (*count == 0)
			*number = (uint64_t)one & mask;
		if (*count == 0 || ((*number + *count) & mask) ==
		    ((uint64_t)one & mask))
			++*count;
	}
	return *count > 0;
}

bool
sender_sequence_of(const struct sender_sequence *sequence,
    const uint8_t *data, size_t size, uint64_t *number, uint32_t *count)
{
	if (sequence->type == SENDER_SEQUENCE_FIELD)
		return datums_of(sequence, data, size, number, count);
	if (size < sequence->at + sequence->bits / 8)
		return false;
	*number = load(data + sequence->at, sequence->type);
	*count = 1;
	return true;
}

void
sender_sequence_count(struct sender_sequence *sequence,
    struct ingest_state *state,
    const struct ring_record *record, const uint8_t *payload)
{
	struct sender *source;
	uint32_t left = record->length, size;

	if (LIKELY(sequence->type == SENDER_SEQUENCE_NONE))
		return;
	source = find_source(sequence, record);
	source->used = record->sequence + 1;
	do {
		size = record->datagram_size != 0 ?
		    MIN_OF((uint32_t)record->datagram_size, left) : left;
		count_datagram(sequence, source, state, payload, size);
		payload += size;
		left -= size;
	} while (left > 0);
}
