/* SPDX-License-Identifier: ISC */
/*
 * Reports.  Tools.
 */
#include <stdio.h>

#include "common/log.h"
#include "common/printable.h"
#include "common/util.h"
#include "tools/common/batch.h"
#include "tools/common/histogram.h"
#include "tools/common/output.h"

static void
print_value(json_t *value)
{
	const char *key;
	json_t *member;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		json_object_foreach(value, key, member) {
			printable_print(stdout, " %s", key);
			print_value(member);
		}
		break;
	case JSON_STRING:
		printable_print(stdout, " %s", json_string_value(value));
		break;
	case JSON_REAL:
		printf(" %.3f", json_real_value(value));
		break;
	default:
		printf(" %lld", (long long)json_integer_value(value));
	}
}

/* A line for each member; for an array, a line for each of its items. */
static void
print_text(json_t *report)
{
	const char *key;
	json_t *member, *item;
	size_t i;

	json_object_foreach(report, key, member) {
		if (!json_is_array(member)) {
			printable_print(stdout, "%s", key);
			print_value(member);
			printf("\n");
			continue;
		}
		json_array_foreach(member, i, item) {
			printable_print(stdout, "%s", key);
			print_value(item);
			printf("\n");
		}
	}
}

bool
output_report(json_t *report, bool json)
{
	if (json) {
		json_dumpf(report, stdout, JSON_REAL_PRECISION(9));
		printf("\n");
	} else
		print_text(report);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	log_warn("cannot write the report");
	return false;
}

json_t *
output_sent(const struct send_counts *counts, uint64_t elapsed_ns)
{
	const double seconds = (double)MAX_OF(elapsed_ns, UINT64_C(1)) / 1e9;

	return json_pack("{s:I, s:I, s:f, s:f, s:f, s:{s:I, s:I, s:I, s:I}}",
	    "sent", (json_int_t)counts->datagrams,
	    "bytes", (json_int_t)counts->bytes,
	    "elapsed_s", seconds,
	    "rate_per_s", (double)counts->datagrams / seconds,
	    "mbit_per_s", (double)counts->bytes * 8e-6 / seconds,
	    "errors",
	    "full", (json_int_t)counts->full,
	    "no_buffers", (json_int_t)counts->no_buffers,
	    "refused", (json_int_t)counts->refused,
	    "unreachable", (json_int_t)counts->unreachable);
}

json_t *
output_percentiles(const struct histogram *histogram)
{
	return json_pack("{s:f, s:f, s:f, s:f}",
	    "p50", (double)histogram_percentile(histogram, 0.5) / 1e3,
	    "p99", (double)histogram_percentile(histogram, 0.99) / 1e3,
	    "p99.9", (double)histogram_percentile(histogram, 0.999) / 1e3,
	    "max", (double)histogram->max / 1e3);
}
