/* SPDX-License-Identifier: ISC */
/*
 * Signals.  mcrelay-gen.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gen/wave.h"

static const char *const shape_name[] = {
	[WAVE_SINE] = "sine",
	[WAVE_RAMP] = "ramp",
	[WAVE_SQUARE] = "square",
	[WAVE_NOISE] = "noise",
	[WAVE_SPIKE] = "spike",
	[WAVE_COUNTER] = "counter",
};

static bool
parse_shape(const char *text, size_t length, enum wave_shape *shape)
{
	for (size_t i = 0; i < NITEMS(shape_name); i++)
		if (strlen(shape_name[i]) == length &&
		    strncmp(text, shape_name[i], length) == 0) {
			*shape = (enum wave_shape)i;
			return true;
		}
	return false;
}

bool
wave_parse(const char *text, struct wave *wave)
{
	const size_t length = strcspn(text, ":");
	unsigned long long period;
	char *end;

	if (!parse_shape(text, length, &wave->shape))
		return false;
	if (text[length] == '\0')
		return true;
	text += length + 1;
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	period = strtoull(text, &end, 10);
	if (errno != 0 || period == 0)
		return false;
	wave->period = period;
	if (*end == '\0')
		return true;
	if (*end != ':')
		return false;
	text = end + 1;
	wave->amplitude = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(wave->amplitude);
}

/* xorshift64 */
static double
noise(struct wave *wave)
{
	wave->random ^= wave->random << 13;
	wave->random ^= wave->random >> 7;
	wave->random ^= wave->random << 17;
	return (double)(wave->random >> 11) * 0x1p-52 - 1;
}

double
wave_value(struct wave *wave, uint64_t n)
{
	const uint64_t step = n % wave->period;
	const double phase = (double)step / (double)wave->period;

	switch (wave->shape) {
	case WAVE_SINE:
		return wave->amplitude * sin(2 * M_PI * phase);
	case WAVE_RAMP:
		return wave->amplitude * (2 * phase - 1);
	case WAVE_SQUARE:
		return phase < 0.5 ? wave->amplitude : -wave->amplitude;
	case WAVE_NOISE:
		return wave->amplitude * noise(wave);
	case WAVE_SPIKE:
		/* in the middle, so that a short run's first value is not
		 * one */
		return step == wave->period / 2 ? wave->amplitude : 0;
	case WAVE_COUNTER:
		break;
	}
	return 0;
}
