/* SPDX-License-Identifier: ISC */
/*
 * A run of floats or doubles under reduction.  Private to decimator/reduce*.c
 * and the sampler; what is computed and how exactly: reduce.h.
 *
 * What is known of a field takes ten times the bytes of a value.  So a few
 * datums are gathered, and each field takes its values of all of them at once;
 * what comes out is, to the bit, what they give one by one.
 */
#ifndef MCRELAY_REDUCE_REAL_H
#define MCRELAY_REDUCE_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "decimator/reduce_own.h"

/* Fields side by side in memory; the most that are taken at once. */
#define REALS_LANES	8
/* The most datums that are gathered: as many as there are squares added before
 * their sum is compensated. */
#define REALS_ROWS	8

/* A row of fields.  What the method does not need is not touched. */
struct reals_lanes {
	/* mean */
	double		sum[REALS_LANES];
	double		sum_rest[REALS_LANES];	/* what the sum lacks */
	/* rms: squares of the last few datums, and all before */
	double		square[REALS_LANES];
	double		squares[REALS_LANES];
	double		squares_rest[REALS_LANES];
	/* minmax */
	double		low[REALS_LANES];
	double		high[REALS_LANES];
	int64_t		low_time[REALS_LANES];	/* summary only */
	int64_t		high_time[REALS_LANES];
};

/* What is rarely in use. */
struct reals_rare {
	double		large_sum[REALS_LANES];	/* of large values, scaled */
	double		large_rest[REALS_LANES];
	double		large[REALS_LANES];	/* their squares */
	double		large_excess[REALS_LANES];
	double		small[REALS_LANES];	/* of small values, scaled */
	double		small_excess[REALS_LANES];
	/* Samples that did not take part: null or NaN; null. */
	uint64_t	left_out[REALS_LANES];
	uint64_t	nulls[REALS_LANES];
};

struct reals;
struct reduce_loops;

/*
 * The loops: take what has been gathered, from field `i' on, a multiple of
 * their lanes.  They stop after a vector of fields with values that are rare,
 * which they leave out, and return its first field, or `count' and more.
 */
typedef size_t	reals_loop(const struct reals *reals, size_t i);

/* What comes out of a row of fields, as far as the method has it; NaN where no
 * sample took part. */
struct reals_results {
	double	low[REALS_LANES];
	double	high[REALS_LANES];
	double	mean[REALS_LANES];
	double	rms[REALS_LANES];	/* in a summary at least the mean */
	int64_t	low_time[REALS_LANES];
	int64_t	high_time[REALS_LANES];
};

/*
 * Of a row in which nothing was rare, out of so many samples.  False: it takes
 * more care.
 */
typedef bool	reals_finish(const struct reals_lanes *lanes, double samples,
		    int64_t first_time, struct reals_results *results);

struct reals {
	size_t			 count;		/* fields */
	enum decimate_method	 method;
	unsigned		 needs;		/* the method's */
	double			 range;		/* or 0 */
	bool			 wide;		/* doubles, not floats */
	const struct reduce_loops *loops;
	/* Gathered, not taken yet. */
	unsigned		 rows;
	const uint8_t		*row[REALS_ROWS];
	int64_t			 time[REALS_ROWS];
	unsigned		 hot;		/* datums in `square' */
	bool			 is_rare;	/* `rare' is in use */
	struct reals_lanes	*lanes;
	struct reals_rare	*rare;
	struct reduce_own	*own;		/* a field's; only NEED_OWN */
};

void	reals_init(struct reals *reals, size_t count, bool wide,
	    enum decimate_method method, double range) ATTR_NONNULL;
void	reals_free(struct reals *reals) ATTR_NONNULL;
void	reals_reset(struct reals *reals) ATTR_NONNULL;
/* The same where no field from `count' on has had a value. */
void	reals_reset_first(struct reals *reals, size_t count) ATTR_NONNULL;

/* For more fields than before (which is not 0); the new ones are empty. */
void	reals_grow(struct reals *reals, size_t count) ATTR_NONNULL;

/* Gathers a value for each field, in Avro's encoding.  `data' need not be
 * aligned; it must stay until the next reals_settle() or reals_reset(). */
void	reals_add(struct reals *reals, const uint8_t *data, int64_t time)
	    ATTR_NONNULL;
/* Takes what has been gathered: before a result, and before the memory goes. */
void	reals_settle(struct reals *reals) ATTR_NONNULL;
/* Takes a value for one field at once; returns its size in bytes. */
size_t	reals_add_one(struct reals *reals, size_t field, const uint8_t *data,
	    int64_t time) ATTR_NONNULL;
/* So many samples of the field take no part; a null is one of them. */
void	reals_leave_out(struct reals *reals, size_t field, uint64_t samples)
	    ATTR_NONNULL;
void	reals_add_null(struct reals *reals, size_t field) ATTR_NONNULL;

/* The method's result over `samples' samples; NaN when none took part.
 * `output' tells minimum (0) from maximum (1). */
double	reals_result(const struct reals *reals, size_t field,
	    uint64_t samples, unsigned output) ATTR_NONNULL;
/*
 * The same for REALS_LANES fields at once, number `row' * REALS_LANES and
 * following; what is beyond the last one is not set.  Not for NEED_OWN.  The
 * window began at `first_time': that is when the minimum was if there is none,
 * or nothing but +inf, and so with the maximum.
 */
void	reals_results(const struct reals *reals, size_t row, uint64_t samples,
	    int64_t first_time, struct reals_results *results) ATTR_NONNULL;
/* Samples of the field that were null. */
uint64_t	reals_nulls(const struct reals *reals, size_t field)
	    ATTR_NONNULL;

#endif /* MCRELAY_REDUCE_REAL_H */
