/* SPDX-License-Identifier: ISC */
/*
 * The status document as metrics.  Any process that prints them: mcrelayctl,
 * mcrelay-web.  The counters come from the tables of common/ledger.h, reasons
 * and causes from theirs: what is added there is a metric without more.
 *
 * Names are never changed.  What only grows is a counter; a count that may be
 * corrected is a gauge, since a collector takes a counter that goes down for
 * a new beginning.
 */
#ifndef MCRELAY_METRICS_H
#define MCRELAY_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"
#include "metrics/document.h"

/* What can be had without the rest; mcrelay_up and mcrelay_build_info are
 * always there. */
#define METRICS_GROUPS(X)						\
	X(STATE, state, "states, reasons, restarts, times")		\
	X(LEDGER, ledger, "the ledger, and causes of rejection")	\
	X(INPUT, input, "the counters of each of several inputs")	\
	X(OUTPUT, output, "the counters of each output")		\
	X(STREAM, stream, "the counters of each decimated stream")	\
	X(LEVEL, level, "how full ring, socket and disk are, and limits") \
	X(PROCESS, process, "processor time, memory, descriptors")

enum metrics_group_number {
#define METRICS_NUMBER(constant, ...)	METRICS_NUMBER_##constant,
	METRICS_GROUPS(METRICS_NUMBER)
#undef METRICS_NUMBER
	METRICS_GROUP_COUNT
};

enum metrics_group {
#define METRICS_GROUP(constant, ...)					\
	METRICS_##constant = 1 << METRICS_NUMBER_##constant,
	METRICS_GROUPS(METRICS_GROUP)
#undef METRICS_GROUP
	METRICS_ALL = (1 << METRICS_GROUP_COUNT) - 1,
};

/* 0: there is no group of this name. */
unsigned	metrics_group(const char *name) ATTR_NONNULL;

bool	metrics_has_channel(const struct node *status, const char *name);

struct metrics_choice {
	bool			 openmetrics;	/* else Prometheus's 0.0.4 */
	unsigned		 groups;	/* enum metrics_group */
	const char *const	*channels;
	size_t			 channel_count;	/* 0: all */
};

/*
 * The text, which is the caller's, and its size without a NUL: there is none.
 * `status' is what the daemon says, NULL: it does not answer.  Reads /proc
 * for METRICS_PROCESS.
 */
char	*metrics_text(const struct node *status,
	    const struct metrics_choice *choice, size_t *size);

#endif /* MCRELAY_METRICS_H */
