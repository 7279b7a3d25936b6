/* SPDX-License-Identifier: ISC */
/*
 * The methods of decimation: what each needs to know of a window's values, and
 * what it makes of that.  For supervisor, schema compiler and decimator, which
 * ask for needs and yields, never for a method by its name, so that a method
 * is a row here (HACKING.md, "A decimation method").
 */
#ifndef MCRELAY_DECIMATE_H
#define MCRELAY_DECIMATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is kept of the values. */
#define NEED_LAST	1U	/* the last one, verbatim */
#define NEED_SUM	2U
#define NEED_SQUARES	4U	/* their sum */
#define NEED_RANGE	8U	/* the least and the greatest */
#define NEED_TIMES	16U	/* when these were; first and last time */
#define NEED_FILTER	32U	/* all, through a low-pass */
#define NEED_OWN	64U	/* what its functions in reduce_own.c make of
				 * them, one by one */

/* What is made of that. */
enum decimate_yield {
	YIELD_LAST,
	YIELD_MEAN,
	YIELD_RMS,
	YIELD_EXTREMES,		/* two outputs */
	YIELD_FILTERED,
	YIELD_DEVIATION,	/* from the mean, as root mean square */
	YIELD_OWN,		/* reduce_own.c knows */
	YIELD_SUMMARY,		/* a schema of its own */
};

/* Where it can be used. */
#define FOR_FIELDS	1U	/* numbers of an Avro datum */
#define FOR_SAMPLES	2U	/* in raw datagrams */
#define FOR_BOTH	(FOR_FIELDS | FOR_SAMPLES)
/* The values go round, and `range' says after how much. */
#define TAKES_RANGE	4U

/*
 * X(constant, name, needs of floats and doubles, needs of integers, yields,
 * where).  Names are relied on by users.  The summary has none, for it is a
 * shape, and comes last.
 */
#define DECIMATE_TABLE(X)						\
	X(METHOD_PICK, "pick", NEED_LAST, NEED_LAST, YIELD_LAST,	\
	    FOR_BOTH)							\
	X(METHOD_MEAN, "mean", NEED_SUM, NEED_SUM, YIELD_MEAN, FOR_BOTH) \
	X(METHOD_MINMAX, "minmax", NEED_RANGE, NEED_RANGE,		\
	    YIELD_EXTREMES, FOR_BOTH)					\
	X(METHOD_RMS, "rms", NEED_SQUARES, NEED_SQUARES, YIELD_RMS,	\
	    FOR_BOTH)							\
	X(METHOD_FIR, "fir", NEED_FILTER, NEED_FILTER, YIELD_FILTERED,	\
	    FOR_SAMPLES)						\
	X(METHOD_STDDEV, "stddev", NEED_OWN, NEED_SUM | NEED_SQUARES,	\
	    YIELD_DEVIATION, FOR_BOTH)					\
	X(METHOD_CIRCULAR, "circular", NEED_OWN, NEED_OWN, YIELD_OWN,	\
	    FOR_BOTH | TAKES_RANGE)					\
	X(METHOD_SUMMARY, NULL,						\
	    NEED_SUM | NEED_SQUARES | NEED_RANGE | NEED_TIMES,		\
	    NEED_SUM | NEED_SQUARES | NEED_RANGE | NEED_TIMES,		\
	    YIELD_SUMMARY, FOR_FIELDS)

enum decimate_method {
#define DECIMATE_CONSTANT(constant, name, reals, integers, yields, where) \
	constant,
	DECIMATE_TABLE(DECIMATE_CONSTANT)
#undef DECIMATE_CONSTANT
	METHODS
};

struct decimate_row {
	const char		*name;		/* NULL: not one to choose */
	unsigned		 reals;		/* needs */
	unsigned		 integers;
	enum decimate_yield	 yields;
	unsigned		 where;
};

extern const struct decimate_row	decimate_rows[METHODS];

static inline unsigned
decimate_needs(enum decimate_method method, bool real)
{
	return real ? decimate_rows[method].reals :
	    decimate_rows[method].integers;
}

static inline bool
decimate_yields(enum decimate_method method, enum decimate_yield yield)
{
	return decimate_rows[method].yields == yield;
}

/* How many outputs it has. */
static inline unsigned
decimate_outputs(enum decimate_method method)
{
	return decimate_yields(method, YIELD_EXTREMES) ? 2 : 1;
}

/* Whether it can be one, of a field or of samples, with such a range (0: none
 * is given). */
bool	decimate_possible(uint32_t method, unsigned where, double range);

#endif /* MCRELAY_DECIMATE_H */
