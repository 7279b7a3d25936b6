/* SPDX-License-Identifier: ISC */
/*
 * A reducer's insides: private to decimator/reduce.c, which fills windows, and
 * decimator/reduce_out.c, which writes what became of them.
 */
#ifndef MCRELAY_REDUCE_PRIV_H
#define MCRELAY_REDUCE_PRIV_H

#include "decimator/reduce.h"
#include "decimator/reduce_array.h"
#include "decimator/reduce_int.h"
#include "decimator/reduce_real.h"

/* Most bytes of a field: a union's number, then a long. */
#define FIELD_SIZE_MAX	(DATUM_INT_SIZE_MAX + DATUM_LONG_SIZE_MAX)

/* The time of a sample whose time field is null. */
#define TIME_NULL	INT64_MIN

struct run_state {
	enum decimate_method	 method;
	double			 range;		/* or 0 */
	bool			 numbers;	/* to be calculated with */
	struct reals		 reals;		/* one of these two, then */
	struct reduce_int	*ints;
	struct reduce_array	*array;		/* or this */
	size_t			 kept;		/* where in reducer.kept */
	size_t			 kept_size;	/* bytes */
	uint8_t			*carried;	/* an instant: of which datum */
	size_t			 carried_size;	/* is in the head */
};

struct reducer {
	const struct datum_program	*program;
	enum decimate_method		 method;
	bool				 summary;
	uint64_t			 every;
	uint64_t			 count;	/* datums in the window */
	uint64_t			 missed;
	unsigned			 outputs;
	struct run_state		*run;
	/* Of the window's last datum, what is not calculated with. */
	uint8_t				*kept;
	/* Where the runs of the datum looked at are. */
	uint32_t			*offset;
	/* As they stand in the time field: a number, a float's bits. */
	uint32_t			 time_run;	/* or DATUM_NONE */
	int64_t				 first_time;
	int64_t				 last_time;
};

static inline bool
run_is_real(const struct datum_run *run)
{
	return run->type == DATUM_FLOAT || run->type == DATUM_DOUBLE;
}

static inline bool
run_is_instant(const struct datum_run *run)
{
	return (run->flags & DATUM_INSTANT) != 0;
}

#endif /* MCRELAY_REDUCE_PRIV_H */
