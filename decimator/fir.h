/* SPDX-License-Identifier: ISC */
/*
 * A low-pass before the number of samples is reduced, so that nothing aliases
 * into view.  Decimator only.
 *
 * A linear-phase filter of finite length, a windowed sinc with Kaiser's window
 * for 70 dB.  Frequencies up to 0.4 of the output's sample rate pass with a
 * ripple below 0.01 dB; those from 0.5 of it, all that would alias, are
 * attenuated by 60 dB at least.  What comes out is late by half of its length.
 *
 * Length and taps are liquid-dsp's (estimate_req_filter_len(),
 * liquid_firdes_kaiser()), in single precision, which is good for 120 dB; they
 * are applied in double precision.
 */
#ifndef MCRELAY_FIR_H
#define MCRELAY_FIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

struct fir {
	size_t	 length;	/* odd */
	double	*tap;		/* symmetric; their sum is 1 */
	size_t	 channels;
	/* The last `length' samples of each channel, twice in a row, so that
	 * they are contiguous wherever the oldest one is. */
	double	*history;
	size_t	 at;		/* of the oldest */
	size_t	 filled;	/* samples that have come, length at most */
};

/* For reducing by a factor of `every' (from 1). */
void	fir_init(struct fir *fir, size_t every, size_t channels) ATTR_NONNULL;
void	fir_free(struct fir *fir) ATTR_NONNULL;
/* Forgets all samples: the next is taken to have been there for ever. */
void	fir_reset(struct fir *fir) ATTR_NONNULL;

/* Takes one sample of each channel. */
void	fir_push(struct fir *fir, const double *frame) ATTR_NONNULL;
/* The filter's output for a channel, at this moment. */
double	fir_output(struct fir *fir, size_t channel) ATTR_NONNULL;

#endif /* MCRELAY_FIR_H */
