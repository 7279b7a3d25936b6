/* SPDX-License-Identifier: ISC */
/*
 * Text as Prometheus reads it: its own format 0.0.4, or OpenMetrics 1.0.  Any
 * process that prints metrics; knows nothing of mcrelay but the prefix of all
 * names.
 *
 * A family's samples follow each other, its head comes before the first one:
 * a family without samples is not there.
 */
#ifndef MCRELAY_EXPOSITION_H
#define MCRELAY_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/growing.h"

#define METRICS_PREFIX	"mcrelay_"

enum metric_type {
	METRIC_COUNTER,		/* its samples end in _total */
	METRIC_GAUGE,
	METRIC_INFO,		/* its samples end in _info */
};

struct metric {
	const char		*scope;	/* "output_", or "" */
	const char		*name;	/* without prefix and suffix */
	enum metric_type	 type;
	const char		*unit;	/* the name ends in it; NULL: none */
	const char		*help;
};

struct label {
	const char	*name;
	const char	*value;		/* NULL: leave the label out */
};

struct exposition {
	bool			 openmetrics;
	struct growing		 out;	/* its text the caller's at the end */
	const struct metric	*metric;	/* whose head is printed */
	size_t			 name_at;	/* ...and name, at its sample */
	size_t			 name_size;
};

void	exposition_begin(struct exposition *exposition, bool openmetrics)
	    ATTR_NONNULL;
/* What is at the address of a family's metric from now on is another one. */
void	exposition_family(struct exposition *exposition) ATTR_NONNULL;
/* A sample of the family *metric, whose head comes first if the sample before
 * was of another one.  After the last label comes one with the name NULL.  Its
 * value is `value' / `divisor', a power of ten. */
void	exposition_sample(struct exposition *exposition,
	    const struct metric *metric, const struct label *labels,
	    uint64_t value, uint64_t divisor) ATTR_NONNULL;
void	exposition_end(struct exposition *exposition) ATTR_NONNULL;

#endif /* MCRELAY_EXPOSITION_H */
