/* SPDX-License-Identifier: ISC */
/*
 * Methods that make of a field's values something of their own (NEED_OWN in
 * common/decimate.h): each has a function that takes a value, and one for the
 * result.  Private to decimator/reduce*.c; what is computed: reduce.h.
 */
#ifndef MCRELAY_REDUCE_OWN_H
#define MCRELAY_REDUCE_OWN_H

#include "common/compiler.h"
#include "common/decimate.h"

/* What such a method knows of a field; all zeros when a window begins. */
struct reduce_own {
	double	v[6];
};

struct own_method {
	/* `value' is not NaN. */
	void	(*add)(struct reduce_own *own, double value, double range);
	/* Out of `n' values, 1 at least. */
	double	(*result)(const struct reduce_own *own, double n,
		    double range);
};

/* Only those of methods that need it are set. */
extern const struct own_method	reduce_own_methods[METHODS];

/* An integer as such a method takes it: as near to it as doubles go, and a part
 * of a turn when the range is a whole number. */
double	reduce_own_integer(int64_t value, double range);

#endif /* MCRELAY_REDUCE_OWN_H */
