/* SPDX-License-Identifier: ISC */
/*
 * The low-pass of `method: fir'.  Decimator only; see fir.h.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "decimator/fir.h"

#define ATTENUATION	70.0	/* dB, with 10 to spare */
/* In units of the output's sample rate. */
#define PASS		0.4
#define STOP		0.5

#define PI		3.14159265358979323846

/* The modified Bessel function of order 0; its series ends quickly. */
static double
bessel_i0(double x)
{
	double term = 1.0, sum = 1.0;
	int k;

	for (k = 1; term > sum * 1e-18; k++) {
		term *= x / 2 / k * (x / 2 / k);
		sum += term;
	}
	return sum;
}

static double
sinc(double x)
{
	return x == 0.0 ? 1.0 : sin(PI * x) / (PI * x);
}

/* Kaiser's formulas for length and shape of the window. */
static void
design(struct fir *fir, double every)
{
	double beta = 0.1102 * (ATTENUATION - 8.7), sum = 0.0, x, middle;
	double width = (STOP - PASS) / every, cut = (STOP + PASS) / every;
	size_t i;

	fir->length = 2 * (size_t)ceil((ATTENUATION - 7.95) /
	    (14.36 * width) / 2) + 1;
	fir->tap = xcalloc(fir->length, sizeof(*fir->tap));
	middle = (double)(fir->length - 1) / 2;
	for (i = 0; i < fir->length; i++) {
		x = ((double)i - middle) / middle;
		fir->tap[i] = sinc(cut * ((double)i - middle)) *
		    bessel_i0(beta * sqrt(fmax(0.0, 1 - x * x)));
		sum += fir->tap[i];
	}
	for (i = 0; i < fir->length; i++)
		fir->tap[i] /= sum;
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
	fir->primed = false;
}

static void
prime(struct fir *fir, const double *frame)
{
	double *sample = fir->history;
	size_t channel, i;

	for (channel = 0; channel < fir->channels; channel++)
		for (i = 0; i < 2 * fir->length; i++)
			*sample++ = frame[channel];
	fir->at = 0;
	fir->primed = true;
}

void
fir_push(struct fir *fir, const double *frame)
{
	double *history = fir->history;
	size_t channel;

	if (!fir->primed)
		prime(fir, frame);
	for (channel = 0; channel < fir->channels; channel++) {
		history[fir->at] = history[fir->at + fir->length] =
		    frame[channel];
		history += 2 * fir->length;
	}
	fir->at = fir->at + 1 == fir->length ? 0 : fir->at + 1;
}

double
fir_output(const struct fir *fir, size_t channel)
{
	const double *sample = fir->history + 2 * fir->length * channel +
	    fir->at;
	/* Four sums, for the compiler to keep in one vector. */
	double sum[4] = { 0.0, 0.0, 0.0, 0.0 };
	size_t i, k;

	for (i = 0; i + 4 <= fir->length; i += 4)
		for (k = 0; k < 4; k++)
			sum[k] += fir->tap[i + k] * sample[i + k];
	for (; i < fir->length; i++)
		sum[0] += fir->tap[i] * sample[i];
	return sum[0] + sum[1] + (sum[2] + sum[3]);
}
