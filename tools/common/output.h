/* SPDX-License-Identifier: ISC */
/*
 * Reports of tools: one object, as lines of text or as JSON.
 */
#ifndef MCRELAY_TOOLS_OUTPUT_H
#define MCRELAY_TOOLS_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

struct histogram;
struct send_counts;

/* On the standard output; false after a log line. */
bool	output_report(json_t *report, bool json) ATTR_NONNULL;

/* What was sent in so many nanoseconds, and what refused to be. */
json_t	*output_sent(const struct send_counts *counts, uint64_t elapsed_ns)
	    ATTR_NONNULL;
/* Percentiles in microseconds. */
json_t	*output_percentiles(const struct histogram *histogram) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_OUTPUT_H */
