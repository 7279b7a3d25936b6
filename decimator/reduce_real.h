/* SPDX-License-Identifier: ISC */
/*
 * Floats and doubles under reduction: flat arrays, one entry a field, so that a
 * run of fields is one loop that the compiler can vectorise.  Private to
 * decimator/reduce*.c; what is computed and how exactly: reduce.h.
 */
#ifndef MCRELAY_REDUCE_REAL_H
#define MCRELAY_REDUCE_REAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/control.h"

struct reals {
	size_t			 count;
	enum decimate_method	 method;
	double			 scale;		/* mean: 1 / 2^k */
	/* mean: sum.  rms: sum of the usual squares.  minmax: minimum. */
	double			*a;
	/* mean, rms: what the sum has too much.  minmax: maximum. */
	double			*b;
	/* rms only: large and small squares, scaled, likewise. */
	double			*large, *large_excess;
	double			*small, *small_excess;
	/* Samples that did not take part: null or NaN; null. */
	uint64_t		*left_out;
	uint64_t		*nulls;
};

/* `every' samples at most make a window. */
void	reals_init(struct reals *reals, size_t count,
	    enum decimate_method method, uint64_t every) ATTR_NONNULL;
void	reals_free(struct reals *reals) ATTR_NONNULL;
void	reals_reset(struct reals *reals) ATTR_NONNULL;

/*
 * Takes `n' values in Avro's encoding, for the fields from `slot' on.
 * `data' need not be aligned.
 */
void	reals_add_floats(struct reals *reals, size_t slot, const uint8_t *data,
	    size_t n) ATTR_NONNULL;
void	reals_add_doubles(struct reals *reals, size_t slot,
	    const uint8_t *data, size_t n) ATTR_NONNULL;
void	reals_add_null(struct reals *reals, size_t slot) ATTR_NONNULL;

/* The result over `samples' samples; NaN when none took part.  `output'
 * tells minimum (0) from maximum (1). */
double	reals_result(const struct reals *reals, size_t slot, uint64_t samples,
	    unsigned output) ATTR_NONNULL;

#endif /* MCRELAY_REDUCE_REAL_H */
