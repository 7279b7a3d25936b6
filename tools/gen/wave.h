/* SPDX-License-Identifier: ISC */
/*
 * Signals for numeric fields.  Period in values, amplitude in the field's
 * own unit; all lie between -amplitude and amplitude.
 */
#ifndef MCRELAY_GEN_WAVE_H
#define MCRELAY_GEN_WAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define WAVE_PERIOD_DEFAULT	1000

enum wave_shape {
	WAVE_SINE,
	WAVE_RAMP,
	WAVE_SQUARE,
	WAVE_NOISE,
	/* The four above are dealt out in turn. */
	WAVE_SPIKE,	/* 0, but once in a period the amplitude */
	WAVE_COUNTER,	/* 0, 1, 2, ...: neither period nor amplitude */
};
#define WAVE_DEALT	(WAVE_NOISE + 1)

struct wave {
	enum wave_shape	shape;
	uint64_t	period;		/* >= 1 */
	double		amplitude;
	uint64_t	random;		/* state of the noise, not 0 */
};

/*
 * SIGNAL[:PERIOD[:AMPLITUDE]]: changes what `text' mentions.  False when it
 * is not that.
 */
bool	wave_parse(const char *text, struct wave *wave) ATTR_NONNULL;

/* Value number `n'.  Not for counters. */
double	wave_value(struct wave *wave, uint64_t n) ATTR_NONNULL;

#endif /* MCRELAY_GEN_WAVE_H */
