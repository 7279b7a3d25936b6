/* SPDX-License-Identifier: ISC */
/*
 * The low-pass before sample reduction: its frequency response, as promised in
 * decimator/fir.h, and that it does what its taps say.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "common/util.h"
#include "decimator/fir.h"

/* At a frequency in cycles a sample, in dB. */
static double
response(const struct fir *fir, double frequency)
{
	double re = 0, im = 0, phase;
	size_t i;

	for (i = 0; i < fir->length; i++) {
		phase = -2 * acos(-1.0) * frequency * (double)i;
		re += fir->tap[i] * cos(phase);
		im += fir->tap[i] * sin(phase);
	}
	return 20 * log10(hypot(re, im));
}

/* Between the frequencies given in units of the output's rate. */
static void
extremes(const struct fir *fir, double every, double from, double to,
    double *low, double *high)
{
	const int steps = 2000;
	double r;
	int i;

	*low = INFINITY;
	*high = -INFINITY;
	for (i = 0; i <= steps; i++) {
		r = response(fir, (from + (to - from) * i / steps) / every);
		*low = fmin(*low, r);
		*high = fmax(*high, r);
	}
}

static void
test_response(void **state ATTR_UNUSED)
{
	static const size_t factors[] = { 1, 2, 3, 10, 50 };
	double low, high, stop, every;
	struct fir fir;
	size_t i;

	for (i = 0; i < NITEMS(factors); i++) {
		every = (double)factors[i];
		fir_init(&fir, factors[i], 1);
		extremes(&fir, every, 0, 0.4, &low, &high);
		assert_true(low > -0.01 && high < 0.01);
		/* With nothing to reduce there is nothing to alias. */
		stop = -INFINITY;
		if (factors[i] > 1) {
			extremes(&fir, every, 0.5, every / 2, &low, &stop);
			assert_true(stop <= -60);
		}
		print_message("every %zu: %zu taps, pass band within 0.01 "
		    "dB, stop band %.1f dB\n", factors[i], fir.length, stop);
		fir_free(&fir);
	}
}

static void
test_convolution(void **state ATTR_UNUSED)
{
	struct fir fir;
	double frame[2], wanted;
	size_t n, i;

	fir_init(&fir, 3, 2);
	for (n = 0; n < 3 * fir.length; n++) {
		/* The second channel is constant, from the first sample. */
		frame[0] = sin((double)(n * n));
		frame[1] = 7;
		fir_push(&fir, frame);
		assert_true(fabs(fir_output(&fir, 1) - 7) < 1e-12);
	}
	wanted = 0;
	for (i = 0; i < fir.length; i++)
		wanted += fir.tap[i] *
		    sin((double)((n - 1 - i) * (n - 1 - i)));
	assert_true(fabs(fir_output(&fir, 0) - wanted) < 1e-12);
	/* Anew: nothing is left of what was. */
	fir_reset(&fir);
	frame[0] = -1;
	fir_push(&fir, frame);
	assert_true(fabs(fir_output(&fir, 0) + 1) < 1e-12);
	fir_free(&fir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_convolution),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
