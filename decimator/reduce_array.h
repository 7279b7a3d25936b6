/* SPDX-License-Identifier: ISC */
/*
 * An array of numbers under reduction.  Private to decimator/reduce*.c.
 *
 * elementwise	Element i of the output is made from element i of those arrays
 *		of the window that have one; it is as long as the longest.
 * samples	The window's arrays are joined end to end, and each `every'
 *		elements of that become one; what is left at the end, too.
 *		In a summary all of the window's become one.
 *
 * Memory grows with the arrays that come; a datum bounds them.
 */
#ifndef MCRELAY_REDUCE_ARRAY_H
#define MCRELAY_REDUCE_ARRAY_H

#include "common/datum.h"
#include "decimator/reduce_int.h"
#include "decimator/reduce_real.h"

struct reduce_array {
	uint8_t			 type;		/* enum datum_type */
	bool			 samples;
	enum decimate_method	 method;
	double			 range;
	uint64_t		 every;
	/* elementwise: one for each element; samples: the group's. */
	struct reals		 reals;
	struct reduce_int	*ints;
	size_t			 room;		/* of ints */
	uint64_t		*had;		/* datums that have element i */
	size_t			 had_room;
	size_t			 length;	/* of the output */
	/* Elements looked at, for the tests: what a datum costs must not go
	 * beyond what it brings, however long others of the window are. */
	uint64_t		 steps;
	/* samples: the groups' results, minima and maxima apart. */
	uint64_t		 in_group;
	double			*real[2];
	int64_t			*integer[2];
	size_t			 results_room;
};

void	reduce_array_init(struct reduce_array *array,
	    const struct datum_run *run, enum decimate_method method,
	    uint64_t every) ATTR_NONNULL;
void	reduce_array_free(struct reduce_array *array) ATTR_NONNULL;
void	reduce_array_reset(struct reduce_array *array) ATTR_NONNULL;

/* Takes an array that datum_split() has found good, of a datum of that time. */
void	reduce_array_take(struct reduce_array *array, const uint8_t *at,
	    const uint8_t *end, int64_t time) ATTR_NONNULL;
/* The window's end: what is left of a group becomes an element.  Not for a
 * summary, which looks at the group. */
void	reduce_array_finish(struct reduce_array *array) ATTR_NONNULL;

/* Element i (below array->length) of the output. */
double	reduce_array_real(const struct reduce_array *array, size_t i,
	    unsigned output) ATTR_NONNULL;
int64_t	reduce_array_integer(const struct reduce_array *array, size_t i,
	    unsigned output) ATTR_NONNULL;

#endif /* MCRELAY_REDUCE_ARRAY_H */
