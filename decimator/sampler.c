/* SPDX-License-Identifier: ISC */
/*
 * Samples in raw datagrams under reduction.  Decimator only; see sampler.h.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "decimator/fir.h"
#include "decimator/reduce_int.h"
#include "decimator/reduce_real.h"
#include "decimator/sampler.h"

/* The largest payload of a UDP datagram over IPv4. */
#define OUTPUT_MAX	65507U

static const struct {
	uint8_t	bytes;
	uint8_t	is_signed;
	uint8_t	is_float;
	uint8_t	big;
} types[SAMPLE_TYPES] = {
#define SAMPLE_ROW(constant, name, bytes, is_signed, is_float, big)	\
	[constant] = { bytes, is_signed, is_float, big },
	SAMPLE_TYPE_TABLE(SAMPLE_ROW)
#undef SAMPLE_ROW
};

struct sampler {
	struct sample_config	 config;
	enum decimate_method	 method;
	double			 range;		/* or 0 */
	bool			 last_only;
	bool			 filters;
	uint64_t		 every;
	size_t			 frame;		/* bytes */
	uint64_t		 datagrams;	/* in the window */
	uint64_t		 frames;	/* in the group */
	bool			 full;		/* nothing more goes in */
	/* One of these, for the channels of one frame. */
	struct reduce_int	*ints;
	struct reals		 reals;
	struct fir		 fir;
	double			*samples;	/* fir: a frame's */
	uint8_t			*frame_le;	/* floats, little end first */
	uint8_t			*last;		/* pick */
	uint8_t			*out[2];
	size_t			 size[2];
};

const char *
sampler_fault(const struct sample_config *config, uint32_t method,
    double range, uint64_t every)
{
	if (config->type >= SAMPLE_TYPES || config->channels == 0 ||
	    config->channels > SAMPLE_CHANNELS_MAX ||
	    config->offset > OUTPUT_MAX)
		return "its samples make no sense";
	if (every == 0)
		return "samples need a window of so many datagrams";
	if (!decimate_possible(method, FOR_SAMPLES, range))
		return "its method is unknown";
	if (decimate_rows[method].yields == YIELD_FILTERED &&
	    every * config->channels > SAMPLE_FIR_MAX)
		return "its filter is too long";
	return NULL;
}

static bool
is_float(const struct sampler *s)
{
	return types[s->config.type].is_float != 0;
}

struct sampler *
sampler_new(const struct sample_config *config, enum decimate_method method,
    double range, uint64_t every)
{
	struct sampler *s = xcalloc(1, sizeof(*s));
	size_t channels = config->channels;

	s->config = *config;
	s->method = method;
	s->range = range;
	s->last_only = decimate_yields(method, YIELD_LAST);
	s->filters = decimate_yields(method, YIELD_FILTERED);
	s->every = every;
	s->frame = types[config->type].bytes * channels;
	s->last = xcalloc(1, s->frame);
	s->frame_le = xcalloc(1, s->frame);
	s->samples = xcalloc(channels, sizeof(*s->samples));
	if (s->filters)
		fir_init(&s->fir, every, channels);
	else if (is_float(s))
		reals_init(&s->reals, channels,
		    types[config->type].bytes == 8, method, range);
	else
		s->ints = xcalloc(channels, sizeof(*s->ints));
	s->out[0] = xmalloc(OUTPUT_MAX);
	s->out[1] = xmalloc(OUTPUT_MAX);
	sampler_reset(s);
	return s;
}

void
sampler_free(struct sampler *s)
{
	if (s == NULL)
		return;
	reals_free(&s->reals);
	fir_free(&s->fir);
	free(s->ints);
	free(s->samples);
	free(s->frame_le);
	free(s->last);
	free(s->out[0]);
	free(s->out[1]);
	free(s);
}

unsigned
sampler_outputs(const struct sampler *s)
{
	return decimate_outputs(s->method);
}

/* A new group of frames. */
static void
begin_group(struct sampler *s)
{
	s->frames = 0;
	if (s->ints != NULL)
		reduce_int_reset(s->ints, s->config.channels);
	else if (!s->filters)
		reals_reset(&s->reals);
}

static void
begin_window(struct sampler *s)
{
	s->full = false;
	s->datagrams = 0;
	/* The header comes at last. */
	s->size[0] = s->size[1] = s->config.offset;
}

void
sampler_reset(struct sampler *s)
{
	begin_window(s);
	begin_group(s);
	if (s->filters)
		fir_reset(&s->fir);
}

/*** Samples and bytes. ***/

static uint64_t
get_bits(const struct sampler *s, const uint8_t *at)
{
	size_t bytes = types[s->config.type].bytes, i;
	uint64_t bits = 0;

	for (i = 0; i < bytes; i++)
		bits |= (uint64_t)at[types[s->config.type].big ?
		    bytes - 1 - i : i] << (8 * i);
	return bits;
}

static void
put_bits(const struct sampler *s, uint8_t *at, uint64_t bits)
{
	size_t bytes = types[s->config.type].bytes, i;

	for (i = 0; i < bytes; i++)
		at[types[s->config.type].big ? bytes - 1 - i : i] =
		    (uint8_t)(bits >> (8 * i));
}

static int64_t
get_integer(const struct sampler *s, const uint8_t *at)
{
	unsigned shift = 64U - 8U * types[s->config.type].bytes;
	uint64_t bits = get_bits(s, at) << shift;

	return types[s->config.type].is_signed ? (int64_t)bits >> shift :
	    (int64_t)(bits >> shift);
}

static double
get_real(const struct sampler *s, const uint8_t *at)
{
	uint64_t bits;
	uint32_t word;
	double value;
	float narrow;

	if (!is_float(s))
		return (double)get_integer(s, at);
	bits = get_bits(s, at);
	word = (uint32_t)bits;
	memcpy(&value, &bits, sizeof(value));
	memcpy(&narrow, &word, sizeof(narrow));
	return types[s->config.type].bytes == 4 ? (double)narrow : value;
}

static void
put_real(const struct sampler *s, uint8_t *at, double value)
{
	float narrow = (float)value;
	uint64_t bits;
	uint32_t word;

	memcpy(&bits, &value, sizeof(bits));
	memcpy(&word, &narrow, sizeof(word));
	put_bits(s, at, types[s->config.type].bytes == 4 ? word : bits);
}

static int64_t
highest(const struct sampler *s)
{
	unsigned bits = 8U * types[s->config.type].bytes;

	return (INT64_C(1) << (bits - types[s->config.type].is_signed)) - 1;
}

static int64_t
nearest(const struct sampler *s, double value)
{
	int64_t top = highest(s);
	int64_t bottom = types[s->config.type].is_signed ? -top - 1 : 0;
	double r = round(value);

	return r >= (double)top ? top : r <= (double)bottom ? bottom :
	    (int64_t)r;
}

/*** Frames. ***/

static void
take_frame(struct sampler *s, const uint8_t *frame)
{
	size_t bytes = types[s->config.type].bytes, i;

	if (s->last_only)
		memcpy(s->last, frame, s->frame);
	else if (s->filters) {
		for (i = 0; i < s->config.channels; i++)
			s->samples[i] = get_real(s, frame + i * bytes);
		fir_push(&s->fir, s->samples);
	} else if (s->ints != NULL) {
		for (i = 0; i < s->config.channels; i++)
			reduce_int_take(&s->ints[i], s->method, s->range,
			    get_integer(s, frame + i * bytes), 0);
	} else {
		if (types[s->config.type].big) {
			for (i = 0; i < s->frame; i++)
				s->frame_le[i] = frame[i - i % bytes + bytes -
				    1 - i % bytes];
			reals_add(&s->reals, s->frame_le, 0);
			reals_settle(&s->reals);
		} else
			reals_add(&s->reals, frame, 0);
	}
	s->frames++;
}

static void
put_sample(struct sampler *s, uint8_t *at, size_t channel, unsigned i)
{
	double value;

	if (s->ints != NULL)
		put_bits(s, at, (uint64_t)reduce_int_result(&s->ints[channel],
		    s->method, s->range, s->frames, i, highest(s)));
	else if (!s->filters)
		put_real(s, at, reals_result(&s->reals, channel, s->frames,
		    i));
	else {
		value = fir_output(&s->fir, channel);
		if (is_float(s))
			put_real(s, at, value);
		else
			put_bits(s, at, (uint64_t)nearest(s, value));
	}
}

/* Frames that have been gathered are taken while they are there. */
static void
settle(struct sampler *s)
{
	if (s->ints == NULL && !s->filters)
		reals_settle(&s->reals);
}

/* The group becomes a frame. */
static void
end_group(struct sampler *s)
{
	size_t bytes = types[s->config.type].bytes, channel;
	unsigned i;
	uint8_t *at;

	settle(s);
	for (i = 0; i < sampler_outputs(s); i++) {
		at = s->out[i] + s->size[i];
		s->size[i] += s->frame;
		if (s->size[i] > OUTPUT_MAX)
			continue;	/* it shows in sampler_output() */
		if (s->last_only)
			memcpy(at, s->last, s->frame);
		else
			for (channel = 0; channel < s->config.channels;
			    channel++)
				put_sample(s, at + channel * bytes, channel, i);
	}
	begin_group(s);
}

bool
sampler_push(struct sampler *s, const uint8_t *data, size_t size)
{
	const uint8_t *frame = data + s->config.offset;
	unsigned i;

	if (size > OUTPUT_MAX || size < s->config.offset + s->frame)
		return false;
	if (s->full)
		begin_window(s);
	for (; (size_t)(data + size - frame) >= s->frame; frame += s->frame) {
		take_frame(s, frame);
		if (s->frames == s->every)
			end_group(s);
	}
	settle(s);
	if (++s->datagrams < s->every)
		return false;
	/* A filter's phase goes on. */
	if (s->frames > 0 && !s->filters)
		end_group(s);
	for (i = 0; i < sampler_outputs(s); i++)
		memcpy(s->out[i], data, s->config.offset);
	s->full = true;
	return true;
}

const uint8_t *
sampler_output(const struct sampler *s, unsigned i, size_t *size)
{
	*size = s->size[i] <= OUTPUT_MAX ? s->size[i] : 0;
	return s->out[i];
}
