/* SPDX-License-Identifier: ISC */
/*
 * The low-pass of `method: fir'.  Decimator only; see fir.h.
 */
#include <stdlib.h>
#include <string.h>
#include <liquid/liquid.h>

#include "common/util.h"
#include "decimator/fir.h"

#define ATTENUATION	70.0F	/* dB, with 10 to spare */
/* In units of the output's sample rate. */
#define PASS		0.4
#define STOP		0.5

/* A length by liquid-dsp's estimate, which is Kaiser's, odd, so that the delay
 * is a whole number of samples. */
static void
design(struct fir *fir, double every)
{
	float width = (float)((STOP - PASS) / every);
	float cut = (float)((STOP + PASS) / 2 / every);
	float *tap;
	double sum = 0.0;
	size_t i;

	fir->length = estimate_req_filter_len(width, ATTENUATION) | 1U;
	fir->tap = xcalloc(fir->length, sizeof(*fir->tap));
	tap = xcalloc(fir->length, sizeof(*tap));
	liquid_firdes_kaiser((unsigned)fir->length, cut, ATTENUATION, 0.0F,
	    tap);
	for (i = 0; i < fir->length; i++)
		sum += (double)tap[i];
	for (i = 0; i < fir->length; i++)
		fir->tap[i] = (double)tap[i] / sum;
	free(tap);
}

void
fir_init(struct fir *fir, size_t every, size_t channels)
{
	memset(fir, 0, sizeof(*fir));
	fir->channels = channels;
	design(fir, (double)every);
	fir->history = xcalloc(2 * fir->length * channels,
	    sizeof(*fir->history));
}

void
fir_free(struct fir *fir)
{
	free(fir->tap);
	free(fir->history);
}

void
fir_reset(struct fir *fir)
{
	fir->filled = 0;
	fir->at = 0;
}

/*
 * The first sample has been there for ever.  Not before an output: a reset may
 * come with each datagram, and must not cost more than it does.
 */
static void
prime(struct fir *fir)
{
	double *history = fir->history;
	size_t channel, i;

	for (channel = 0; channel < fir->channels; channel++) {
		for (i = fir->filled; i < fir->length; i++)
			history[i] = history[i + fir->length] = history[0];
		history += 2 * fir->length;
	}
	fir->filled = fir->length;
}

void
fir_push(struct fir *fir, const double *frame)
{
	double *history = fir->history;
	size_t channel;

	for (channel = 0; channel < fir->channels; channel++) {
		history[fir->at] = history[fir->at + fir->length] =
		    frame[channel];
		history += 2 * fir->length;
	}
	fir->at = fir->at + 1 == fir->length ? 0 : fir->at + 1;
	if (fir->filled < fir->length)
		fir->filled++;
}

double
fir_output(struct fir *fir, size_t channel)
{
	const double *sample = fir->history + 2 * fir->length * channel +
	    fir->at;
	/* Four sums, for the compiler to keep in one vector. */
	double sum[4] = { 0.0, 0.0, 0.0, 0.0 };
	size_t i, k;

	if (fir->filled < fir->length)
		prime(fir);
	for (i = 0; i + 4 <= fir->length; i += 4)
		for (k = 0; k < 4; k++)
			sum[k] += fir->tap[i + k] * sample[i + k];
	for (; i < fir->length; i++)
		sum[0] += fir->tap[i] * sample[i];
	return sum[0] + sum[1] + (sum[2] + sum[3]);
}
