/* SPDX-License-Identifier: ISC */
/*
 * The table of decimation methods.
 */
#include <math.h>

#include "common/decimate.h"

const struct decimate_row decimate_rows[METHODS] = {
#define DECIMATE_ROW(constant, name, reals, integers, yields, where)	\
	[constant] = { name, reals, integers, yields, where },
	DECIMATE_TABLE(DECIMATE_ROW)
#undef DECIMATE_ROW
};

bool
decimate_possible(uint32_t method, unsigned where, double range)
{
	if (method >= METHODS || (decimate_rows[method].where & where) == 0)
		return false;
	if ((decimate_rows[method].where & TAKES_RANGE) != 0)
		return isfinite(range) && range > 0.0;
	return range == 0.0;
}
